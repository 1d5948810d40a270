// Package dir takes files from a directory: one with the archive's paths, one
// with plain file names, or a store's blobs/sha256.
//
// It refuses to follow a link out of the directory and to open anything but a
// regular file.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

type source struct{ path string }

// New returns the directory as a source. It fails where path is not a
// directory.
func New(path string) (fetch.Source, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", abs)
	}
	return &source{abs}, nil
}

// Name is the directory's absolute path.
func (s *source) Name() string { return s.path }

// Serves is true: any file may lie there.
func (s *source) Serves(lockfile.Entry) bool { return true }

// Open opens the first of these that is a regular file: the entry's path, the
// blob with its digest, a file with its base name.
func (s *source) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.path)
	if err != nil {
		// The directory was there before: that a file is not is another matter.
		return nil, fetch.Permanent(fmt.Errorf("open the directory: %v", err))
	}
	defer root.Close()
	names := []string{req.Entry.Path, "blobs/sha256/" + req.Entry.Digest.String(), req.Entry.Base()}
	for _, name := range names {
		f, info, err := openRegular(root, name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, fetch.Permanent(err)
		}
		return body(ctx, f, info, req)
	}
	return nil, &fs.PathError{Op: "open", Path: filepath.Join(s.path, req.Entry.Path), Err: fs.ErrNotExist}
}

// openRegular opens a file without waiting for the other end of a pipe.
func openRegular(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", filepath.Join(root.Name(), name))
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// body starts at the offset, or at 0 where the file is another one than the
// validator tells or has no byte there.
func body(ctx context.Context, f *os.File, info fs.FileInfo, req fetch.Request) (*fetch.Body, error) {
	version := fmt.Sprintf("%d-%d", info.Size(), info.ModTime().UnixNano())
	offset := req.Offset
	if offset > info.Size() || (req.Validator != "" && req.Validator != version) {
		offset = 0
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return &fetch.Body{ReadCloser: &file{f, ctx}, Offset: offset, Size: info.Size(), Validator: version}, nil
}

// file ends with the context that it was opened in.
type file struct {
	*os.File
	ctx context.Context
}

func (f *file) Read(p []byte) (int, error) {
	if err := f.ctx.Err(); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}
