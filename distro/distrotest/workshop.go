package distrotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// A Workshop is a [distro.Workshop] whose programs are a function. It lays out
// no packages, and notes which it was given.
type Workshop struct {
	// Answer stands in for the command: files are those that were put into
	// the root, by path.
	Answer func(files map[string][]byte, s distro.Step) (printed string, err error)
	// Laid are the locks that were laid out, Open the roots not closed yet.
	Laid []*lockfile.Lock
	Open int
}

// Lay implements [distro.Workshop].
func (w *Workshop) Lay(_ context.Context, sys distro.Locator, lock *lockfile.Lock) (distro.Bench, error) {
	if sys == nil {
		return nil, errors.New("nothing tells where the files of the lock are")
	}
	w.Laid = append(w.Laid, lock)
	w.Open++
	return &bench{workshop: w, files: map[string][]byte{}, dirs: map[string]bool{}}, nil
}

// bench is a root in memory.
type bench struct {
	workshop *Workshop
	files    map[string][]byte
	dirs     map[string]bool
}

// Run implements [distro.Bench].
func (b *bench) Run(_ context.Context, s distro.Step) ([]byte, error) {
	printed, err := b.workshop.Answer(b.files, s)
	return []byte(printed), err
}

// Close implements [distro.Bench].
func (b *bench) Close() error {
	b.workshop.Open--
	return nil
}

// Put implements [distro.Target]. Only files and directories can be put.
func (b *bench) Put(f distro.File, content io.Reader) error {
	switch f.Type {
	case distro.Directory:
		b.dirs[f.Path] = true
		return nil
	case distro.Regular:
		var data bytes.Buffer
		n, err := io.Copy(&data, content)
		if err == nil && n != f.Size {
			err = fmt.Errorf("%s has %d bytes, not %d", f.Path, n, f.Size)
		}
		b.files[f.Path] = data.Bytes()
		return err
	}
	return fmt.Errorf("put %s: a file of type %c", f.Path, f.Type)
}

// Stat implements [distro.Target].
func (b *bench) Stat(path string) (distro.File, error) {
	if data, ok := b.files[path]; ok {
		return distro.File{Path: path, Type: distro.Regular, Size: int64(len(data))}, nil
	}
	if b.dirs[path] {
		return distro.File{Path: path, Type: distro.Directory}, nil
	}
	return distro.File{}, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
}

// Read implements [distro.Target].
func (b *bench) Read(path string) (io.ReadCloser, error) {
	data, ok := b.files[path]
	if !ok {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(slices.Clone(data))), nil
}

// ReadDir implements [distro.Target]; nobody resolves by it.
func (b *bench) ReadDir(path string) ([]string, error) {
	return nil, &fs.PathError{Op: "list", Path: path, Err: errors.ErrUnsupported}
}

// Remove implements [distro.Target].
func (b *bench) Remove(path string) error {
	delete(b.files, path)
	return nil
}
