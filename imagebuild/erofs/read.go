package erofs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Image is a file system that was read.
type Image struct {
	UUID      [16]byte
	Label     string
	BuildTime tree.Time
	Size      int64 // bytes
	// Tree is what is in it. The contents are read from the image when they are
	// opened.
	Tree *tree.Tree
}

// What bounds a reading.
const (
	maxNodes      = 2_000_000
	maxXattrBytes = 64 << 20 // of all inodes
)

// maxContent bounds the bytes of all files, since they are hashed.
var maxContent int64 = 256 << 30

var errTruncated = errors.New("it is cut off")

// Read reads the EROFS file system of at most size bytes that begins at byte 0
// of r, which has to stay open while the tree is used. It reads what [Write]
// and mkfs.erofs write in blocks of 4 KiB, but for ends of files in inodes,
// fragments, other compressions than LZ4 and zstd, and other devices, which are
// errors; and so are a wrong checksum, directories that are in two places, more than 2,000,000 paths or 256 GiB of
// contents, and names that a tree cannot have. All contents are hashed.
func Read(ctx context.Context, r io.ReaderAt, size int64) (*Image, error) {
	p := &reader{ctx: ctx, r: r, met: map[uint64]string{}}
	i, err := p.read(size)
	if err != nil {
		return nil, fmt.Errorf("reading an EROFS file system: %w", err)
	}
	return i, nil
}

type reader struct {
	ctx        context.Context
	r          io.ReaderAt
	size       int64
	buildTime  tree.Time
	padded     bool
	shared     int64 // where attributes of several inodes are
	tree       tree.Builder
	met        map[uint64]string // the first path of an inode
	nodes      int
	xattrBytes int
	content    int64
}

type pending struct {
	path string
	dir  *file
	self uint64
}

func (p *reader) read(size int64) (*Image, error) {
	b := make([]byte, blockSize)
	p.size = size
	if err := p.readAt(b, 0); err != nil {
		return nil, err
	}
	s := b[superAt:]
	if little.Uint32(s) != magic {
		return nil, errors.New("it has no superblock of EROFS")
	}
	i := &Image{UUID: [16]byte(s[48:64]), Label: strings.TrimRight(string(s[64:80]), "\x00"), Size: int64(little.Uint32(s[36:])) * blockSize,
		BuildTime: tree.Time{Sec: int64(little.Uint64(s[24:])), Nsec: little.Uint32(s[32:])}}
	want := little.Uint32(s[4:])
	little.PutUint32(s[4:], 0)
	switch features := little.Uint32(s[80:]); {
	case s[12] != blockBits || s[13] != 0 || s[90] != 0 || little.Uint32(s[40:]) != 0:
		return nil, fmt.Errorf("it has blocks of 1<<%d bytes or a form that is not known", s[12])
	case little.Uint32(s[8:])&compatChecksum != 0 && checksum(b) != want:
		return nil, errors.New("its superblock has not the checksum that it says")
	case features&^(incompatPadding|incompatConfigs|incompatChunks) != 0:
		unknown := names([2]uint32{0, features &^ (incompatPadding | incompatConfigs | incompatChunks)})
		return nil, fmt.Errorf("it has features that are not known: %s", strings.Join(unknown, ", "))
	case i.Size > size:
		return nil, fmt.Errorf("it says to have %d bytes, and there are %d", i.Size, size)
	case i.BuildTime.Nsec >= 1e9:
		return nil, errors.New("its time has more than a second of nanoseconds")
	}
	p.padded = little.Uint32(s[80:])&incompatPadding != 0
	p.size, p.buildTime, p.shared = i.Size, i.BuildTime, int64(little.Uint32(s[44:]))*blockSize
	id := uint64(little.Uint16(s[14:]))
	n, f, err := p.inode(id)
	if err != nil {
		return nil, &tree.PathError{Err: err}
	}
	if !n.Mode.IsDir() {
		return nil, &tree.PathError{Err: fmt.Errorf("a %s", n.Mode.TypeName())}
	}
	if err := p.tree.Set("", n); err != nil {
		return nil, err
	}
	p.met[id] = ""
	for dirs := []pending{{"", f, id}}; len(dirs) > 0; {
		dir := dirs[len(dirs)-1]
		dirs = dirs[:len(dirs)-1]
		more, err := p.directory(dir)
		if err != nil {
			return nil, &tree.PathError{Path: dir.path, Err: err}
		}
		dirs = append(dirs, more...)
	}
	i.Tree, err = p.tree.Freeze(p.ctx)
	return i, err
}

func (p *reader) readAt(b []byte, at int64) error {
	if at < 0 || at > p.size || int64(len(b)) > p.size-at {
		return errTruncated
	}
	n, err := p.r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		return errTruncated
	}
	return err
}

func (p *reader) inode(id uint64) (tree.Inode, *file, error) {
	var n tree.Inode
	if id > 1<<43 {
		return n, nil, errTruncated
	}
	at := int64(id) * slotSize
	b := make([]byte, extendedInode)
	if err := p.readAt(b[:compactInode], at); err != nil {
		return n, nil, err
	}
	format, count := little.Uint16(b), little.Uint16(b[2:])
	f := &file{p: p, layout: uint8(format >> 1), data: little.Uint32(b[16:])}
	n.Mode = tree.Mode(little.Uint16(b[4:]))
	if format&1 == 0 {
		f.size = int64(little.Uint32(b[8:]))
		n.UID, n.GID = uint32(little.Uint16(b[24:])), uint32(little.Uint16(b[26:]))
		n.ModTime = p.buildTime
		at += compactInode
	} else {
		if err := p.readAt(b, at); err != nil {
			return n, nil, err
		}
		f.size = int64(little.Uint64(b[8:]))
		n.UID, n.GID = little.Uint32(b[24:]), little.Uint32(b[28:])
		n.ModTime = tree.Time{Sec: int64(little.Uint64(b[32:])), Nsec: little.Uint32(b[40:])}
		at += extendedInode
	}
	if count > 0 {
		raw := make([]byte, xattrHead+4*int(count-1))
		if err := p.readAt(raw, at); err != nil {
			return n, nil, err
		}
		at += int64(len(raw))
		var err error
		if n.Xattrs, err = p.attributes(raw); err != nil {
			return n, nil, err
		}
	}
	f.behind = at
	switch {
	case n.ModTime.Nsec >= 1e9 || f.size < 0:
		return n, nil, errors.New("an inode with a size or time that cannot be")
	case (f.layout == layoutCompressed || f.layout == layoutCompact) && !p.padded:
		return n, nil, errors.New("compressed data that does not end where its blocks do, which is not known")
	case f.layout > layoutChunks:
		return n, nil, fmt.Errorf("data laid out in the way %d, which is not known", f.layout)
	case n.Mode.IsRegular():
		if f.size > maxContent-p.content {
			return n, nil, fmt.Errorf("more than %d bytes in all files", maxContent)
		}
		p.content += f.size
		n.Size, n.Content = f.size, f
	case n.Mode.IsDevice():
		n.Major, n.Minor = f.data>>8&0xFFF, f.data&0xFF|f.data>>20<<8
	case n.Mode.Type() == tree.Symlink:
		if f.size == 0 || f.size > tree.MaxPath {
			return n, nil, fmt.Errorf("a symbolic link of %d bytes", f.size)
		}
		target, err := io.ReadAll(&fileReader{f: f})
		if err != nil {
			return n, nil, err
		}
		n.Target = string(target)
	}
	return n, f, nil
}

// directory adds what is in a directory, and returns the directories in it.
func (p *reader) directory(d pending) ([]pending, error) {
	var dirs []pending
	in := &fileReader{f: d.dir}
	for left := d.dir.size; left > 0; {
		if err := p.ctx.Err(); err != nil {
			return nil, err
		}
		b := make([]byte, min(left, blockSize))
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, err
		}
		left -= int64(len(b))
		if len(b) < direntSize {
			return nil, errTruncated
		}
		first := int(little.Uint16(b[8:]))
		if first == 0 || first%direntSize != 0 || first > len(b) {
			return nil, fmt.Errorf("names that begin at %d", first)
		}
		for at := 0; at < first; at += direntSize {
			begin, end := int(little.Uint16(b[at+8:])), len(b)
			if at+direntSize < first {
				end = int(little.Uint16(b[at+direntSize+8:]))
			}
			if begin < first || end < begin || end > len(b) {
				return nil, fmt.Errorf("a name from %d to %d", begin, end)
			}
			name := strings.TrimRight(string(b[begin:end]), "\x00")
			if err := p.entry(d.path, name, little.Uint64(b[at:]), &dirs); err != nil {
				return nil, err
			}
		}
	}
	return dirs, nil
}

func (p *reader) entry(dir, name string, id uint64, dirs *[]pending) error {
	if p.nodes++; p.nodes > maxNodes {
		return fmt.Errorf("more than %d entries", maxNodes)
	}
	if name == "." || name == ".." {
		return nil
	}
	if err := tree.CheckName(name); err != nil {
		return err
	}
	path := name
	if dir != "" {
		path = dir + "/" + name
	}
	if first, found := p.met[id]; found {
		return p.tree.Link(path, first)
	}
	n, f, err := p.inode(id)
	if err != nil {
		return fmt.Errorf("%s: %w", tree.Display(name), err)
	}
	p.met[id] = path
	if n.Mode.IsDir() {
		*dirs = append(*dirs, pending{path, f, id})
	}
	return p.tree.Add(path, n)
}
