// Package rootfs reads files below a directory that is the root of some other
// system. Symbolic links are followed as that system would follow them: an
// absolute one begins at the root again, and none leads out of it. A hostile
// root thus cannot make its reader look at files of the host.
//
// The package refuses to write, which chroot below it does for those who
// install, and to open what is neither a regular file nor a directory.
package rootfs

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A Root is a directory opened as the root of a system. Names are relative to
// it, with or without a leading slash. Its methods may be called concurrently.
// It is closed when it is no longer referred to, or by Close.
type Root struct {
	path string
	dir  *os.File
}

// Open opens the directory at path.
func Open(path string) (*Root, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &Root{path: path, dir: os.NewFile(uintptr(fd), path)}, nil
}

// Path returns the path that the root was opened with.
func (r *Root) Path() string { return r.path }

// Close closes the root. What was opened below it stays open.
func (r *Root) Close() error { return r.dir.Close() }

// Join returns the path of name for messages: the root's path and the name,
// with no link followed.
func (r *Root) Join(name string) string { return filepath.Join(r.path, name) }

// Open opens a regular file or directory for reading.
func (r *Root) Open(name string) (*os.File, error) {
	// O_NONBLOCK keeps a named pipe without a writer from blocking for ever.
	fd, err := r.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: r.Join(name), Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "stat", Path: r.Join(name), Err: err}
	}
	if t := st.Mode & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFDIR {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: r.Join(name), Err: errIrregular}
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: r.Join(name), Err: err}
	}
	return os.NewFile(uintptr(fd), r.Join(name)), nil
}

var errIrregular = fmt.Errorf("neither a regular file nor a directory: %w", fs.ErrInvalid)

// ReadFile reads a file of at most limit bytes; a longer one is an error.
func (r *Root) ReadFile(name string, limit int64) ([]byte, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 0, min(info.Size(), limit)+1)
	for {
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, fmt.Errorf("%s is longer than %d bytes", r.Join(name), limit)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, err
		}
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, 512)
		}
	}
}

// ReadDir lists a directory, sorted by name. The entries' Info describes the
// host's view of them: use [Root.Stat], which follows links within the root.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) {
	f, err := r.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// Stat describes a file, following links.
func (r *Root) Stat(name string) (fs.FileInfo, error) {
	fd, err := r.open(name, unix.O_PATH)
	if err != nil {
		return nil, &fs.PathError{Op: "stat", Path: r.Join(name), Err: err}
	}
	f := os.NewFile(uintptr(fd), r.Join(name))
	defer f.Close()
	return f.Stat()
}
