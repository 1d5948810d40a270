package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/samebits/samebits/lockfile"
)

// A ReadOnlyError says that a cache cannot be written to.
type ReadOnlyError struct {
	Dir string
	Err error
}

// Error names the directory and what to do.
func (e *ReadOnlyError) Error() string {
	return fmt.Sprintf("the cache %s cannot be written to: %v; choose another directory for the cache, or run as a user who may write there", e.Dir, e.Err)
}

// Unwrap returns what the system said.
func (e *ReadOnlyError) Unwrap() error { return e.Err }

// A FullError says that the file system of a cache has no room left.
type FullError struct {
	Dir string
	Err error
}

// Error names the directory and what to do.
func (e *FullError) Error() string {
	return fmt.Sprintf("no room for the cache %s: %v; free some space, prune the cache, or choose another directory", e.Dir, e.Err)
}

// Unwrap returns what the system said.
func (e *FullError) Unwrap() error { return e.Err }

// A DamagedError says that the bytes of a blob are not what its name says. It
// wraps [fs.ErrNotExist], since the cache does not have the file, and a
// [*lockfile.DigestError] where the bytes could be read and hashed.
type DamagedError struct {
	Digest lockfile.Digest
	// SetAside is where the file was moved to; empty where it could not be,
	// and Err then says why.
	SetAside string
	Err      error
}

// Error says what became of the blob.
func (e *DamagedError) Error() string {
	if e.SetAside == "" {
		return fmt.Sprintf("the blob %s is damaged and could not be set aside: %v", e.Digest, e.Err)
	}
	return fmt.Sprintf("the blob %s was damaged and is set aside as %s; fetch it again: %v", e.Digest, e.SetAside, e.Err)
}

// Unwrap returns fs.ErrNotExist and the reason.
func (e *DamagedError) Unwrap() []error { return []error{fs.ErrNotExist, e.Err} }

// A MissingError lists entries whose files are not in the cache. It wraps
// [fs.ErrNotExist].
type MissingError struct {
	Dir     string
	Entries []lockfile.Entry // never empty
	Err     error            // what was said of damaged blobs; may be nil
}

// Error names the first of the files and tells how many there are.
func (e *MissingError) Error() string {
	s := fmt.Sprintf("%d files of the lock are not in the cache %s, the first is %s; fetch them first", len(e.Entries), e.Dir, e.Entries[0].Path)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns fs.ErrNotExist and what was said of damaged blobs.
func (e *MissingError) Unwrap() []error {
	if e.Err == nil {
		return []error{fs.ErrNotExist}
	}
	return []error{fs.ErrNotExist, e.Err}
}

// A NoPinError says that a cache has no pin of a name. It wraps
// [fs.ErrNotExist].
type NoPinError struct{ Dir, Name string }

// Error names the pin and the cache.
func (e *NoPinError) Error() string {
	return fmt.Sprintf("there is no pin %s in the cache %s", e.Name, e.Dir)
}

// Unwrap returns fs.ErrNotExist.
func (e *NoPinError) Unwrap() error { return fs.ErrNotExist }

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// explain adds the remedy to errors of writing into the cache.
func (c *Cache) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case isReadOnly(err):
		return &ReadOnlyError{Dir: c.dir, Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &FullError{Dir: c.dir, Err: err}
	}
	return err
}
