package apk

import (
	"bufio"
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
)

// Slots of directories and files.
const (
	slotDirName  = 1
	slotDirFiles = 3

	slotFileName   = 1
	slotFileSize   = 3
	slotFileHash   = 5
	slotFileTarget = 6
)

// maxFiles bounds the files of one package; the largest of Alpine have some
// 100,000.
const maxFiles = 4 << 20

// An adbFileEntry is a file of a package that has a block of data.
type adbFileEntry struct {
	path, file int // the numbers that its block begins with
	size       int64
	hash       string
	name       string
}

// An adbPackage is a package that is read up to and with its database.
type adbPackage struct {
	*adbFile
	database []byte
	tree     *adbTree
	record   Record
}

// openPackageADB reads a package's database. The package must be closed.
func openPackageADB(b *bufio.Reader) (*adbPackage, error) {
	f, err := openADB(b)
	if err != nil {
		return nil, err
	}
	p := &adbPackage{adbFile: f}
	if err := p.read(); err != nil {
		f.close()
		return nil, err
	}
	return p, nil
}

// read reads the database and what it says of the package.
func (p *adbPackage) read() (err error) {
	if p.schema != schemaPackage {
		return malformed("it is an ADB file, but no package")
	}
	if p.database, err = p.adbFile.database(); err != nil {
		return err
	}
	p.tree = newADBTree(p.database)
	root := p.tree.root()
	if p.record, err = root.object(slotPackageInfo).record(); err != nil {
		return err
	}
	p.record.ReplacesPriority = int(min(root.uint(slotPackageReplaces), math.MaxInt32))
	return p.tree.err
}

// readPackageADB reads what a package of apk 3 says of itself. Its identity is
// that of its bytes.
func readPackageADB(b *bufio.Reader) (Record, error) {
	p, err := openPackageADB(b)
	if err != nil {
		return Record{}, err
	}
	defer p.close()
	p.record.Identity = adbDigest(adbSHA256, p.database)
	return p.record, nil
}

// checkPackageADB checks a package of apk 3.
func checkPackageADB(b *bufio.Reader, want Record, keys *Keys) error {
	p, err := openPackageADB(b)
	if err != nil {
		return err
	}
	defer p.close()
	proven := false
	if len(want.Identity) > 0 {
		if proven, err = adbIdentity(p.database, p.record.Identity, want.Identity); err != nil {
			return err
		}
	}
	verdict, size, block, err := p.signatures(p.database, keys)
	if err != nil {
		return err
	}
	if err := verdict.err(); err != nil && (!proven || errors.Is(err, ErrBadSignature)) {
		return err
	}
	if err := compareRecords(p.record, want); err != nil {
		return err
	}
	files, err := p.tree.files()
	if err != nil {
		return err
	}
	return p.checkData(files, size, block)
}

// files lists what must have a block of data, in their order.
func (t *adbTree) files() ([]adbFileEntry, error) {
	var out []adbFileEntry
	paths := t.root().object(slotPackagePaths)
	for p := 1; p <= paths.len(); p++ {
		dir := paths.object(p)
		files := dir.object(slotDirFiles)
		for i := 1; i <= files.len() && t.err == nil; i++ {
			f := files.object(i)
			e := adbFileEntry{path: p, file: i, size: f.size(slotFileSize), hash: f.blob(slotFileHash)}
			if e.size == 0 || !f.slot(slotFileTarget).isNull() {
				continue // empty, a link or a device
			}
			e.name = clip(dir.blob(slotDirName) + "/" + f.blob(slotFileName))
			if len(e.hash) != 32 && len(e.hash) != 64 {
				t.fail("the file %q has no SHA-256 or SHA-512", e.name)
			}
			if len(out) == maxFiles {
				t.fail("more than %d files", maxFiles)
			}
			out = append(out, e)
		}
		if t.err != nil {
			return nil, t.err
		}
	}
	return out, t.err
}

// checkData checks the blocks of data, of which the first one is open, against
// the files.
func (f *adbFile) checkData(files []adbFileEntry, size int64, block io.Reader) error {
	for _, e := range files {
		if block == nil {
			return malformed("the file %q has no data", e.name)
		}
		if err := e.check(size, block); err != nil {
			return err
		}
		var err error
		_, size, block, err = f.block()
		if errors.Is(err, io.EOF) {
			block = nil
			continue
		}
		if err != nil {
			return err
		}
	}
	if block != nil {
		return malformed("it has data of no file")
	}
	return nil
}

// check holds a block of data against the file that it should be of.
func (e adbFileEntry) check(size int64, block io.Reader) error {
	var head [8]byte
	if _, err := io.ReadFull(block, head[:]); err != nil {
		return unpackError(err)
	}
	path, file := binary.LittleEndian.Uint32(head[:]), binary.LittleEndian.Uint32(head[4:])
	if int64(path) != int64(e.path) || int64(file) != int64(e.file) || size-int64(len(head)) != e.size {
		return malformed("a block of data is not of the file %q, which comes next", e.name)
	}
	h := crypto.SHA256.New()
	if len(e.hash) == 64 {
		h = crypto.SHA512.New()
	}
	n, err := io.Copy(h, block)
	if err != nil {
		return unpackError(err)
	}
	if n != e.size {
		return unpackError(io.ErrUnexpectedEOF)
	}
	if got := h.Sum(nil); !bytes.Equal(got, []byte(e.hash)) {
		return fmt.Errorf("file %q: %w", e.name,
			&MismatchError{What: "data", Got: hex.EncodeToString(got), Want: hex.EncodeToString([]byte(e.hash))})
	}
	return nil
}
