package cpio

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

// maxEntries bounds what is read.
const maxEntries = 2_000_000

// Read reads one newc archive, not compressed, into a tree, whose contents store
// keeps, up to its trailer; what follows is left in r or a buffer. Files of more
// than one link that have the same inode and device numbers are hard links.
// Absolute paths, "..", paths that are there twice and parents that are missing
// are errors.
func Read(ctx context.Context, r io.Reader, store tree.Store) (*tree.Tree, error) {
	p := reader{in: bufio.NewReaderSize(r, 64<<10), store: store, links: map[linkID][]string{}}
	for entries := 0; ; entries++ {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("reading a cpio archive: %w", err)
		}
		if entries > maxEntries {
			return nil, fmt.Errorf("reading a cpio archive: more than %d entries", maxEntries)
		}
		end, err := p.entry()
		if err != nil {
			return nil, fmt.Errorf("reading a cpio archive: %w", err)
		}
		if end {
			break
		}
	}
	t, err := p.finish(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading a cpio archive: %w", err)
	}
	return t, nil
}

type linkID struct{ major, minor, ino uint32 }

type reader struct {
	in    *bufio.Reader
	n     int64 // bytes so far
	store tree.Store
	tree  tree.Builder
	links map[linkID][]string // paths of inodes that have several
}

func (p *reader) Read(b []byte) (int, error) {
	n, err := p.in.Read(b)
	p.n += int64(n)
	return n, err
}

// skip reads the zeros before the next border of 4 bytes.
func (p *reader) skip() error {
	var b [4]byte
	_, err := io.ReadFull(p, b[:-p.n&3])
	return err
}

func (p *reader) text(n uint32) (string, error) {
	if n > tree.MaxPath+1 {
		return "", fmt.Errorf("a path of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(p, b); err != nil {
		return "", whole(err)
	}
	return string(b), whole(p.skip())
}

// whole is the error of an archive that ends too early.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// entry reads one, and reports whether it was the trailer.
func (p *reader) entry() (bool, error) {
	var raw [110]byte
	if _, err := io.ReadFull(p, raw[:]); err != nil {
		return false, whole(err)
	}
	if string(raw[:6]) != magic {
		return false, fmt.Errorf("%q is not the beginning of an entry of newc", raw[:6])
	}
	var f [13]uint32
	for i := range f {
		v, err := strconv.ParseUint(string(raw[6+8*i:14+8*i]), 16, 32)
		if err != nil {
			return false, fmt.Errorf("%q is not a number", raw[6+8*i:14+8*i])
		}
		f[i] = uint32(v)
	}
	name, err := p.text(f[11])
	if err != nil {
		return false, err
	}
	name, terminated := strings.CutSuffix(name, "\x00")
	if !terminated {
		return false, fmt.Errorf("the path %q does not end in a NUL", name)
	}
	if name == trailer {
		return true, nil
	}
	if name == "." {
		name = ""
	}
	n := tree.Inode{Mode: tree.Mode(f[1]), UID: f[2], GID: f[3], ModTime: tree.Time{Sec: int64(f[5])}}
	if n.Mode.IsDevice() {
		n.Major, n.Minor = f[9], f[10]
	}
	id := linkID{f[7], f[8], f[0]}
	return false, p.add(name, n, f[6], id, f[4] > 1)
}

func (p *reader) add(name string, n tree.Inode, size uint32, id linkID, linked bool) (err error) {
	switch {
	case n.Mode.Type() == tree.Symlink:
		n.Target, err = p.text(size)
	case n.Mode.IsRegular():
		n.Content, n.Size, n.Digest, err = p.store.Keep(io.LimitReader(p, int64(size)))
		if err == nil && n.Size != int64(size) {
			err = io.ErrUnexpectedEOF
		}
		if err == nil {
			err = whole(p.skip())
		}
	case size > 0:
		err = errors.New("a content of what is no file")
	}
	if err != nil {
		return &tree.PathError{Path: name, Err: err}
	}
	if linked && !n.Mode.IsDir() {
		p.links[id] = append(p.links[id], name)
	}
	return p.tree.Add(name, n)
}

// finish joins hard links: the last that is not empty has the content.
func (p *reader) finish(ctx context.Context) (*tree.Tree, error) {
	for _, names := range p.links {
		last := names[len(names)-1]
		for _, name := range slices.Backward(names) {
			if n, _ := p.tree.Lookup(name); n.Size > 0 {
				last = name
				break
			}
		}
		for _, name := range names {
			if name == last {
				continue
			}
			if err := p.tree.SetLink(name, last); err != nil {
				return nil, err
			}
		}
	}
	return p.tree.Freeze(ctx)
}
