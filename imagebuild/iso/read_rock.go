package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// rock is what Rock Ridge's entries tell.
type rock struct {
	inode  tree.Inode
	name   strings.Builder
	target strings.Builder
	slash  bool // before the target's next component
	links  uint32
	serial uint32
	there  bool
	child  int64   // the sector of the directory that is meant, where it was moved
	moved  bool    // it is one that was moved here
	packed *zisofs // how the content is compressed, or nil
}

// root sets the root's attributes, and finds out whether there is Rock Ridge.
func (p *reader) root(record []byte) error {
	area := systemUse(record)
	p.skip = -1
	if len(area) >= 7 && string(area[:2]) == "SP" && area[4] == 0xBE && area[5] == 0xEF {
		p.skip = int(area[6])
	}
	k, err := p.rock(record)
	if err != nil {
		return err
	}
	if k.there && !k.inode.Mode.IsDir() {
		return errors.New("it is no directory")
	}
	if !k.there {
		k.inode.Mode = tree.Directory | 0o755
	}
	return p.tree.Set("", k.inode)
}

// systemUse is what is behind the identifier.
func systemUse(record []byte) []byte {
	at := 33 + int(record[32])
	at += at & 1
	return record[min(at, len(record)):]
}

// rock reads the entries of a record, wherever they go on.
func (p *reader) rock(record []byte) (*rock, error) {
	k := &rock{inode: tree.Inode{ModTime: parseStamp(record[18:25])}}
	if p.skip < 0 {
		return k, nil
	}
	area := systemUse(record)
	if record[32] != 1 || record[33] != 0 || p.tree.Len() > 1 {
		area = area[min(p.skip, len(area)):]
	}
	for range maxContinued {
		next, err := k.area(area)
		if err != nil || next == nil {
			return k, err
		}
		b, err := p.sector(int64(next[0]))
		if err != nil {
			return k, err
		}
		if int64(next[1])+int64(next[2]) > sectorSize {
			return k, fmt.Errorf("%d bytes at byte %d of a sector", next[2], next[1])
		}
		area = b[next[1] : next[1]+next[2]]
	}
	return k, errors.New("its attributes have no end")
}

// area reads entries; next is the sector, byte and length of where they go on.
func (k *rock) area(b []byte) (next *[3]uint32, err error) {
	le := binary.LittleEndian
	for len(b) >= 4 {
		length := int(b[2])
		if length < 4 || length > len(b) {
			break // padding
		}
		e := b[4:length]
		switch letters := string(b[:2]); {
		case letters == "CE" && len(e) >= 24:
			next = &[3]uint32{le.Uint32(e), le.Uint32(e[8:]), le.Uint32(e[16:])}
		case letters == "PX" && len(e) >= 32:
			k.there = true
			k.inode.Mode, k.links = tree.Mode(le.Uint32(e)), le.Uint32(e[8:])
			k.inode.UID, k.inode.GID = le.Uint32(e[16:]), le.Uint32(e[24:])
			if len(e) >= 40 {
				k.serial = le.Uint32(e[32:])
			}
		case letters == "PN" && len(e) >= 16:
			if k.inode.Major, k.inode.Minor = le.Uint32(e), le.Uint32(e[8:]); k.inode.Major == 0 {
				k.inode.Major, k.inode.Minor = k.inode.Minor>>8, k.inode.Minor&0xFF
			}
		case letters == "TF" && len(e) >= 1:
			k.times(e)
		case letters == "NM" && len(e) >= 1:
			if k.name.Write(e[1:]); k.name.Len() > tree.MaxName {
				return nil, errors.New("its name is too long")
			}
		case letters == "SL" && len(e) >= 1:
			if err := k.symlink(e[1:]); err != nil {
				return nil, err
			}
		case letters == "CL" && len(e) >= 4:
			k.child = int64(le.Uint32(e))
		case letters == "RE":
			k.moved = true
		case (letters == "ZF" || letters == "Z2") && len(e) >= 12:
			var err error
			if k.packed, err = parseZisofs(e); err != nil {
				return nil, err
			}
		case letters == "ST":
			return next, nil
		}
		b = b[length:]
	}
	return next, nil
}

// times takes the one of modification.
func (k *rock) times(e []byte) {
	if e[0]&timesModified == 0 || e[0]&0x80 != 0 {
		return // in the long form: the record's own is one of seconds, too
	}
	if at := 1 + 7*int(e[0]&1); len(e) >= at+7 {
		k.inode.ModTime = parseStamp(e[at : at+7])
	}
}

func (k *rock) symlink(b []byte) error {
	for len(b) >= 2 {
		flags, length := b[0], int(b[1])
		if 2+length > len(b) {
			return errors.New("its target is cut off")
		}
		if k.slash {
			k.target.WriteByte('/')
		}
		switch {
		case flags&fromRoot != 0:
			k.target.WriteByte('/')
		case flags&current != 0:
			k.target.WriteByte('.')
		case flags&parent != 0:
			k.target.WriteString("..")
		default:
			k.target.Write(b[2 : 2+length])
		}
		k.slash = flags&(continues|fromRoot) == 0
		if k.target.Len() > tree.MaxPath {
			return errors.New("its target is too long")
		}
		b = b[2+length:]
	}
	return nil
}

// entry adds a file or directory to the tree.
func (p *reader) entry(dir, id string, record []byte, parts []place) error {
	if p.tree.Len() > maxNodes {
		return fmt.Errorf("more than %d files", maxNodes)
	}
	k, err := p.rock(record)
	if err != nil {
		return err
	}
	if k.moved {
		return nil // it is met where it was
	}
	if k.child > 0 {
		if record, parts, err = p.relocated(k, parts); err != nil {
			return err
		}
	}
	isDir := record[25]&flagDirectory != 0
	n := k.inode
	if !k.there {
		if n.Mode = tree.Regular | 0o644; isDir {
			n.Mode = tree.Directory | 0o755
		}
	}
	path := k.name.String()
	if path == "" {
		path, _, _ = strings.Cut(strings.ToLower(id), ";")
		path = strings.TrimSuffix(path, ".")
	}
	if err := tree.CheckName(path); err != nil {
		return err
	}
	if dir != "" {
		path = dir + "/" + path
	}
	if isDir != n.Mode.IsDir() {
		return errors.New("it is a directory, and is none")
	}
	switch {
	case isDir:
		p.open = append(p.open, pending{path, parts[0]})
	case n.Mode.IsRegular():
		if err := p.content(&n, record, parts); err != nil {
			return err
		}
		if k.packed != nil {
			if err := p.unpack(&n, k.packed); err != nil {
				return err
			}
		}
	case n.Mode.Type() == tree.Symlink:
		n.Target = k.target.String()
	}
	if first, found := p.inodes[k.serial]; found && !isDir && k.serial > 0 && k.links > 1 {
		return p.tree.Link(path, first)
	}
	if !isDir && k.links > 1 {
		p.inodes[k.serial] = path
	}
	return p.tree.Add(path, n)
}

// relocated is the record of a directory that was moved, since it was too deep,
// by its own: its name alone is that of where it was.
func (p *reader) relocated(k *rock, parts []place) ([]byte, []place, error) {
	b, err := p.sector(k.child)
	if err != nil {
		return nil, nil, err
	}
	length := int(b[0])
	if length < 34 || b[32] != 1 || b[33] != 0 || b[25]&flagDirectory == 0 {
		return nil, nil, fmt.Errorf("the sector %d is not the beginning of a directory", k.child)
	}
	record := b[:length]
	own, err := p.rock(record)
	if err != nil {
		return nil, nil, err
	}
	k.inode, k.there, k.links = own.inode, own.there, own.links
	at := placeOf(record)
	at.sector = k.child
	return record, []place{at}, nil
}

func (p *reader) content(n *tree.Inode, record []byte, parts []place) error {
	if record[26] != 0 || record[27] != 0 {
		return errors.New("it is interleaved")
	}
	readers := make([]tree.Extent, 0, len(parts))
	for _, part := range parts {
		if part.size > 0 && part.sector*sectorSize+part.size > p.size {
			return fmt.Errorf("it ends at byte %d of %d", part.sector*sectorSize+part.size, p.size)
		}
		readers = append(readers, tree.Extent{Offset: part.sector * sectorSize, Length: part.size})
		n.Size += part.size
	}
	n.Content = &content{p.r, readers}
	return nil
}

// content is that of a file whose extents are in several places.
type content struct {
	r     io.ReaderAt
	parts []tree.Extent
}

func (c *content) Open() (io.ReadCloser, error) {
	if len(c.parts) == 1 {
		return tree.Section(c.r, c.parts[0].Offset, c.parts[0].Length).Open()
	}
	readers := make([]io.Reader, len(c.parts))
	for i, part := range c.parts {
		readers[i] = io.NewSectionReader(c.r, part.Offset, part.Length)
	}
	return io.NopCloser(io.MultiReader(readers...)), nil
}
