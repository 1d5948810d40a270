package iso

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Limits of file systems that others wrote.
const (
	maxNodes       = 2_000_000
	maxDescriptors = 64
	maxDirSize     = 256 << 20
	maxContinued   = 1000 // places that one record's entries go on in
	maxFileParts   = 1 << 16
)

// Boot is an image of El Torito's catalog.
type Boot struct {
	UEFI   bool
	Offset int64 // bytes
	// Sectors of 512 bytes that are loaded; for UEFI, of the image, or 0.
	Sectors int
}

// Volume is a file system that was read.
type Volume struct {
	VolumeID  string
	Time      tree.Time
	Size      int64 // bytes that the volume says to have
	RockRidge bool
	Boot      []Boot
	// Tree is what is in it. Without Rock Ridge, names are in small letters and
	// without versions, and all is root's, 0755 and 0644. The contents are read
	// from the volume when they are opened.
	Tree *tree.Tree
}

// Read reads the file system of at most size bytes that begins at byte 0 of r,
// which has to stay open while the tree is used. Joliet's names are not read, and
// interleaved files are errors. Directories that Rock Ridge moved, since they were
// too deep, are where they belong, and files that zisofs compressed are as they
// were. More than 256 GiB of these are an error.
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Volume, error) {
	p := &reader{ctx: ctx, r: r, size: size, seen: map[int64]bool{}, inodes: map[uint32]string{}}
	v, err := p.read()
	if err != nil {
		return nil, fmt.Errorf("reading an ISO 9660 file system: %w", err)
	}
	return v, nil
}

type reader struct {
	ctx    context.Context
	r      io.ReaderAt
	size   int64
	tree   tree.Builder
	seen   map[int64]bool    // sectors of directories
	inodes map[uint32]string // paths of inodes that have several
	packed int64             // bytes of files that are compressed
	skip   int               // bytes before Rock Ridge's entries, -1 for none of these
	open   []pending
}

// pending is a directory that is still to be read.
type pending struct {
	path  string
	place place
}

// sector reads one.
func (p *reader) sector(number int64) ([]byte, error) {
	b := make([]byte, sectorSize)
	if number < 0 || number >= p.size/sectorSize {
		return nil, fmt.Errorf("the sector %d is not in it", number)
	}
	if n, err := p.r.ReadAt(b, number*sectorSize); n < len(b) {
		return nil, err
	}
	return b, nil
}

func (p *reader) read() (*Volume, error) {
	var v *Volume
	var root place
	catalog := int64(0)
	for i := int64(primarySector); ; i++ {
		b, err := p.sector(i)
		switch {
		case err != nil:
			return nil, err
		case string(b[1:6]) != "CD001":
			return nil, errors.New("it does not begin as one")
		case b[0] == 1 && v == nil:
			v = &Volume{VolumeID: strings.TrimRight(string(b[40:72]), " "), Size: int64(binary.LittleEndian.Uint32(b[80:])) * sectorSize, Time: parseLong(b[813:830])}
			if block := binary.LittleEndian.Uint16(b[128:]); block != sectorSize {
				return nil, fmt.Errorf("blocks of %d bytes", block)
			}
			root = placeOf(b[156:])
		case b[0] == 0 && strings.HasPrefix(string(b[7:]), "EL TORITO"):
			catalog = int64(binary.LittleEndian.Uint32(b[71:]))
		}
		if b[0] == 255 {
			break
		}
		if i == primarySector+maxDescriptors {
			return nil, errors.New("its descriptors have no end")
		}
	}
	if v == nil {
		return nil, errors.New("it has no primary descriptor")
	}
	if catalog > 0 {
		if err := p.boot(v, catalog); err != nil {
			return nil, err
		}
	}
	if err := p.walk(root); err != nil {
		return nil, err
	}
	v.RockRidge = p.skip >= 0
	var err error
	v.Tree, err = p.tree.Freeze(p.ctx)
	return v, err
}

func placeOf(record []byte) place {
	return place{int64(binary.LittleEndian.Uint32(record[2:])), int64(binary.LittleEndian.Uint32(record[10:])), record[25]}
}

// parseLong is the time of a descriptor, or 1970.
func parseLong(b []byte) tree.Time {
	var year, month, day, hour, minute, second, hundredths int
	if n, _ := fmt.Sscanf(string(b[:16]), "%4d%2d%2d%2d%2d%2d%2d", &year, &month, &day, &hour, &minute, &second, &hundredths); n < 7 || year < 1900 || year > 2155 {
		return tree.Time{}
	}
	t := parseStamp([]byte{byte(year - 1900), byte(month), byte(day), byte(hour), byte(minute), byte(second), b[16]})
	t.Nsec = uint32(hundredths%100) * 1e7
	return t
}

// boot reads the catalog's first sector.
func (p *reader) boot(v *Volume, catalog int64) error {
	b, err := p.sector(catalog)
	if err != nil {
		return fmt.Errorf("the boot catalog: %w", err)
	}
	uefi := b[1] == platformUEFI
	for at, left := 32, 1; at+32 <= len(b); at += 32 {
		e := b[at:]
		switch {
		case left > 0:
			if left--; e[0] == bootable {
				v.Boot = append(v.Boot, Boot{uefi, int64(binary.LittleEndian.Uint32(e[8:])) * sectorSize, int(binary.LittleEndian.Uint16(e[6:]))})
			}
		case e[0] == 0x90 || e[0] == lastHeader:
			uefi, left = e[1] == platformUEFI, int(binary.LittleEndian.Uint16(e[2:]))
		default:
			return nil
		}
	}
	return nil
}

// walk reads all directories.
func (p *reader) walk(root place) error {
	p.open = []pending{{"", root}}
	for len(p.open) > 0 {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		d := p.open[len(p.open)-1]
		p.open = p.open[:len(p.open)-1]
		if p.seen[d.place.sector] {
			return &tree.PathError{Path: d.path, Err: errors.New("its sectors are those of another directory")}
		}
		p.seen[d.place.sector] = true
		if err := p.directory(d); err != nil {
			return &tree.PathError{Path: d.path, Err: err}
		}
	}
	return nil
}

// directory adds what is in one.
func (p *reader) directory(d pending) error {
	if d.place.size > maxDirSize {
		return fmt.Errorf("a directory of %d bytes", d.place.size)
	}
	var parts []place // of a file that has several
	var before string // the identifier that these are of
	for s := range sectors(d.place.size) {
		b, err := p.sector(d.place.sector + s)
		if err != nil {
			return err
		}
		for len(b) > 0 && b[0] > 0 {
			length := int(b[0])
			if length < 34 || length > len(b) || 33+int(b[32]) > length {
				return fmt.Errorf("a record of %d bytes", length)
			}
			record := b[:length]
			b = b[length:]
			id := string(record[33 : 33+int(record[32])])
			if id == "\x00" || id == "\x01" {
				if d.path == "" && id == "\x00" {
					if err := p.root(record); err != nil {
						return err
					}
				}
				continue
			}
			if len(parts) > 0 && id != before || len(parts) > maxFileParts {
				return fmt.Errorf("the extents of %q do not end", before)
			}
			before = id
			if parts = append(parts, placeOf(record)); record[25]&flagMore != 0 {
				continue
			}
			if err := p.entry(d.path, id, record, parts); err != nil {
				return fmt.Errorf("%q: %w", id, err)
			}
			parts = nil
		}
	}
	return nil
}
