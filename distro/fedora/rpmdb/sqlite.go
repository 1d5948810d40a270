package rpmdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"strings"
)

// The format is that of https://www.sqlite.org/fileformat2.html; only what one
// table needs of it is here.

const (
	sqliteMagic     = "SQLite format 3\x00"
	interiorTable   = 5
	leafTable       = 13
	maxSQLiteDepth  = 20
	packagesTable   = "Packages"
	sqliteSchemaAt  = 1 // the page where the table of tables begins
	schemaFields    = 5
	schemaFieldType = 0
	schemaFieldName = 1
	schemaFieldRoot = 3
)

// A pager gives the pages of an SQLite database, those of its log first.
type pager struct {
	db       io.ReaderAt
	pageSize int64
	usable   int64 // of each page
	pages    int64 // how many there are
	wal      io.ReaderAt
	newer    map[int64]int64 // where the log has a page
	visited  int64           // pages read so far: more than there are is a loop
}

// openSQLite begins to read the table of packages.
func openSQLite(db io.ReaderAt, size int64, beside func(string) (*os.File, error)) (iter.Seq2[[]byte, error], error) {
	if err := checkJournal(beside); err != nil {
		return nil, err
	}
	wal, err := beside("-wal")
	if errors.Is(err, fs.ErrNotExist) {
		return sqliteBlobs(db, size, nil, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("the write-ahead log: %w", err)
	}
	info, err := wal.Stat()
	if err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	blobs, err := sqliteBlobs(db, size, wal, info.Size())
	if err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	return func(yield func([]byte, error) bool) {
		defer wal.Close()
		blobs(yield)
	}, nil
}

// checkJournal refuses a database with a rollback journal that is to be played
// back: its pages are of an unfinished change.
func checkJournal(beside func(string) (*os.File, error)) error {
	f, err := beside("-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err != nil || string(head) != "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" {
		return nil // ended or emptied: SQLite plays no such journal back
	}
	return errors.New("a change of it was interrupted, and its journal is still there; rpm -qa in the root, with the right to write, mends it")
}

// sqliteBlobs returns the second column of the table of packages.
func sqliteBlobs(db io.ReaderAt, size int64, wal io.ReaderAt, walSize int64) (iter.Seq2[[]byte, error], error) {
	p := &pager{db: db, wal: wal}
	if wal != nil {
		if err := p.readLog(walSize); err != nil {
			return nil, fmt.Errorf("the write-ahead log: %w", err)
		}
	}
	if err := p.readHeader(size); err != nil {
		return nil, err
	}
	root, err := p.findTable(packagesTable)
	if err != nil {
		return nil, err
	}
	return func(yield func([]byte, error) bool) {
		_, err := p.table(root, 0, func(record []byte) (bool, error) {
			fields, err := recordFields(record, 2)
			if err != nil {
				return false, err
			}
			return yield(fields[1], nil), nil
		})
		if err != nil {
			yield(nil, err)
		}
	}, nil
}

func (p *pager) readHeader(size int64) error {
	var head []byte
	var err error
	if at, ok := p.newer[sqliteSchemaAt]; ok {
		head, err = readAt(p.wal, 100, at)
	} else {
		head, err = readAt(p.db, 100, 0)
	}
	if err != nil {
		return err
	}
	if string(head[:16]) != sqliteMagic {
		return fmt.Errorf("it is no SQLite database: %w", errDamaged)
	}
	pageSize := int64(binary.BigEndian.Uint16(head[16:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	if pageSize < 512 || pageSize&(pageSize-1) != 0 || p.pageSize != 0 && p.pageSize != pageSize {
		return fmt.Errorf("pages of %d bytes: %w", pageSize, errDamaged)
	}
	p.pageSize, p.usable = pageSize, pageSize-int64(head[20])
	if p.usable < 480 {
		return fmt.Errorf("%d bytes of each page are in use: %w", p.usable, errDamaged)
	}
	p.pages = max(p.pages, size/pageSize)
	return nil
}

func (p *pager) page(number int64) ([]byte, error) {
	if p.visited++; p.visited > p.pages {
		return nil, fmt.Errorf("its pages go round in a circle: %w", errDamaged)
	}
	if number < 1 || number > p.pages {
		return nil, fmt.Errorf("there is no page %d: %w", number, errDamaged)
	}
	if at, ok := p.newer[number]; ok {
		return readAt(p.wal, p.pageSize, at)
	}
	return readAt(p.db, p.pageSize, (number-1)*p.pageSize)
}

// findTable returns the page at which a table begins.
func (p *pager) findTable(name string) (int64, error) {
	root := int64(0)
	_, err := p.table(sqliteSchemaAt, 0, func(record []byte) (bool, error) {
		fields, err := recordFields(record, schemaFields)
		if err != nil {
			return false, err
		}
		if string(fields[schemaFieldType]) == "table" && strings.EqualFold(string(fields[schemaFieldName]), name) {
			for _, b := range fields[schemaFieldRoot] {
				root = root<<8 | int64(b)
			}
			return false, nil
		}
		return true, nil
	})
	if err == nil && root == 0 {
		err = fmt.Errorf("it has no table %s: %w", name, errDamaged)
	}
	p.visited = 0
	return root, err
}

// table calls each with every record of the table below a page, until it
// returns false; more says that it did not.
func (p *pager) table(number int64, depth int, each func(record []byte) (bool, error)) (more bool, err error) {
	if depth > maxSQLiteDepth {
		return false, fmt.Errorf("its tables are nested too deep: %w", errDamaged)
	}
	page, err := p.page(number)
	if err != nil {
		return false, err
	}
	head := page
	if number == sqliteSchemaAt {
		head = page[100:]
	}
	kind, cells := head[0], int(binary.BigEndian.Uint16(head[3:]))
	pointers := head[8:]
	if kind == interiorTable {
		pointers = head[12:]
	}
	if kind != interiorTable && kind != leafTable || len(pointers) < 2*cells {
		return false, fmt.Errorf("page %d is none of a table: %w", number, errDamaged)
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(pointers[2*i:]))
		if at+4 > int(p.usable) {
			return false, fmt.Errorf("page %d, cell %d: %w", number, i, errDamaged)
		}
		if kind == interiorTable {
			more, err = p.table(int64(binary.BigEndian.Uint32(page[at:])), depth+1, each)
		} else {
			var record []byte
			if record, err = p.record(page[at:p.usable]); err == nil {
				more, err = each(record)
			}
		}
		if err != nil || !more {
			return false, err
		}
	}
	if kind == interiorTable {
		return p.table(int64(binary.BigEndian.Uint32(head[8:])), depth+1, each)
	}
	return true, nil
}

// record puts the record of a leaf's cell together with what flowed over.
func (p *pager) record(cell []byte) ([]byte, error) {
	length, n := varint(cell)
	if n == 0 || length > maxBlob {
		return nil, fmt.Errorf("a record of %d bytes: %w", length, errDamaged)
	}
	cell = cell[n:]
	_, n = varint(cell) // the row's number
	cell = cell[n:]
	size := int64(length)
	local := size
	if most := p.usable - 35; size > most {
		least := (p.usable-12)*32/255 - 23
		if local = least + (size-least)%(p.usable-4); local > most {
			local = least
		}
	}
	if n == 0 || local > int64(len(cell)) || local < size && local+4 > int64(len(cell)) {
		return nil, fmt.Errorf("a record that leaves its page: %w", errDamaged)
	}
	out := append([]byte(nil), cell[:local]...)
	if local == size {
		return out, nil
	}
	next := int64(binary.BigEndian.Uint32(cell[local:]))
	for int64(len(out)) < size {
		page, err := p.page(next)
		if err != nil {
			return nil, err
		}
		next = int64(binary.BigEndian.Uint32(page))
		out = append(out, page[4:4+min(p.usable-4, size-int64(len(out)))]...)
	}
	return out, nil
}

// recordFields returns the bytes of the first n fields of a record.
func recordFields(record []byte, n int) ([][]byte, error) {
	length, used := varint(record)
	if used == 0 || length < uint64(used) || length > uint64(len(record)) {
		return nil, fmt.Errorf("a record without a head: %w", errDamaged)
	}
	kinds, values := record[used:length], record[length:]
	out := make([][]byte, n)
	for i := range out {
		kind, used := varint(kinds)
		if used == 0 {
			return nil, fmt.Errorf("a record of %d fields where %d are right: %w", i, n, errDamaged)
		}
		kinds = kinds[used:]
		size := uint64(0)
		switch {
		case kind >= 12:
			size = (kind - 12) / 2 // of a blob, or a text where it is odd
		case kind <= 4:
			size = kind
		case kind == 5:
			size = 6
		case kind <= 7:
			size = 8
		}
		if size > uint64(len(values)) {
			return nil, fmt.Errorf("a field that leaves its record: %w", errDamaged)
		}
		out[i], values = values[:size], values[size:]
	}
	return out, nil
}

// varint reads SQLite's number of one to nine bytes; n is 0 where it is cut
// off.
func varint(b []byte) (value uint64, n int) {
	for i, c := range b {
		if i == 8 {
			return value<<8 | uint64(c), 9
		}
		value = value<<7 | uint64(c&0x7f)
		if c < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}
