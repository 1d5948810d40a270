package inspect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
)

// What is read at most.
const (
	maxParts    = 4096
	maxDepth    = 12
	maxDocument = 8 << 20  // of a JSON document
	maxManifest = 1 << 30  // of a tree as text
	maxUnpacked = 1 << 38  // bytes that one archive may decompress to
	headSize    = 66 << 10 // where magic numbers are
	// All parts together may have so many times the bytes of the whole, since
	// hostile ones may lie over each other; and some more, for small files.
	maxOverlap = 16
	allowance  = 1 << 30
)

// File is a file or directory that was opened, as the part that all others are
// below of.
type File struct {
	*Part
	closers []io.Closer
}

// Close closes the file. Trees that were read of it cannot be used any more.
func (f *File) Close() error {
	var err error
	for _, c := range f.closers {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Open opens a file, or a directory as an OCI layout or as it is. The error is
// one of opening it; what is wrong inside is told by the parts. The context ends
// what is read already now.
func Open(ctx context.Context, path string) (*File, error) {
	r, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // which does not wait for who writes to a pipe
	if err != nil {
		return nil, err
	}
	info, err := r.Stat()
	if err != nil {
		r.Close()
		return nil, err
	}
	f := &File{closers: []io.Closer{r}}
	o := &opener{ctx: ctx}
	switch {
	case info.IsDir():
		err = f.openDir(o, path)
	case info.Mode().IsRegular():
		f.Part = o.open(&Part{source: sourceAt(r, 0, info.Size())}, 0)
	case info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0:
		var size int64
		if size, err = r.Seek(0, io.SeekEnd); err == nil {
			f.Part = o.open(&Part{source: sourceAt(r, 0, size)}, 0)
		}
	default:
		err = errors.New("it can only be read once; write it to a file first")
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

// OpenAt opens what is in the first size bytes of r, which has to stay open while
// the parts are used.
func OpenAt(ctx context.Context, r io.ReaderAt, size int64) *Part {
	return (&opener{ctx: ctx}).open(&Part{source: sourceAt(r, 0, size)}, 0)
}

func (f *File) openDir(o *opener, path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	f.closers = append(f.closers, root)
	if info, err := root.Lstat("oci-layout"); err == nil && info.Mode().IsRegular() {
		f.Part = &Part{Size: -1}
		o.allowed = maxUnpacked // of files that each are there once
		o.layout(f.Part, &dirBlobs{root: root, file: f}, 0)
		return nil
	}
	f.Part = &Part{Format: "directory", Size: -1, holds: holdsAll}
	f.load = func(ctx context.Context) (*tree.Tree, []Attribute, error) {
		t, err := dir.Read(ctx, filepath.Clean(path), dir.ReadOptions{})
		return t, nil, err
	}
	return nil
}

// opener finds out what parts are.
type opener struct {
	ctx            context.Context
	parts          int
	bytes, allowed int64 // of all parts so far
}

// take counts a part, and reports whether there may be one more.
func (o *opener) take(size int64, depth int) error {
	if depth == 0 && o.allowed == 0 {
		o.allowed = maxOverlap*min(size, maxUnpacked) + allowance
	}
	o.parts++
	o.bytes += max(size, 0)
	switch {
	case o.parts > maxParts || depth > maxDepth:
		return fmt.Errorf("there are more than %d parts, or %d in each other", maxParts, maxDepth)
	case o.bytes > o.allowed || o.bytes < 0:
		return fmt.Errorf("the parts lie over each other: they have more than %d bytes in all", o.allowed)
	}
	return nil
}

// open fills a part that has its name and its source.
func (o *opener) open(p *Part, depth int) *Part {
	p.Size, p.Format = p.source.size, unknownFormat
	err := o.take(p.Size, depth)
	if err == nil {
		err = o.ctx.Err()
	}
	var head []byte
	if err == nil {
		head, err = p.source.head(headSize)
	}
	if err != nil {
		p.fail(err)
		return p
	}
	for _, f := range formats() {
		if f.is(head, p.source) {
			p.Format = f.name
			f.open(o, p, depth)
			return p
		}
	}
	for _, f := range strange {
		if f.is(head) {
			p.Format = f.name
			if end := f.label + f.labelSize; f.label > 0 && len(head) >= end {
				label, _, _ := bytes.Cut(head[f.label:end], []byte{0})
				p.add("label", string(label))
			}
			if f.uuid > 0 && len(head) >= f.uuid+16 {
				p.add("uuid", uuid([16]byte(head[f.uuid:])))
			}
			if f.remedy != "" {
				p.fail(beyond(f.remedy))
			}
			return p
		}
	}
	return p
}

// child opens a part of p.
func (o *opener) child(p, q *Part, depth int) *Part {
	p.Parts = append(p.Parts, q)
	return o.open(q, depth+1)
}
