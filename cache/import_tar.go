package cache

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// tar takes the files of a tar archive. They are read where they lie in it,
// twice: to learn the digest, then to copy. Of a path that leads out of where
// the archive would be unpacked, or that a lock could not have, only the last
// element counts.
func (im *importer) tar(f *os.File) error {
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return wholeTar(f)
		}
		if err != nil {
			return notTar(err)
		}
		called := path.Clean(h.Name)
		isFile := h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeGNUSparse
		if !isFile || h.Size == 0 || called == sumsFile || strings.HasPrefix(path.Base(called), ".") {
			continue
		}
		if lockfile.CheckPath(called) != nil {
			called = path.Base(called)
		}
		if isSparse(h) {
			return fmt.Errorf("%s is stored as a sparse file; unpack the archive and import the directory", called)
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if err := im.add(io.NewSectionReader(f, at, h.Size), called, nil); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				err = notTar(err)
			}
			return fmt.Errorf("%s: %w", called, err)
		}
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return err
		}
	}
}

func notTar(err error) error {
	return fmt.Errorf("it is cut off, or no tar file without compression: %w", err)
}

// wholeTar checks that the reading of an archive came to its end mark, a block
// of zeros, and not only to where a file that was cut off ends.
func wholeTar(f *os.File) error {
	var block [512]byte
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	if at < int64(len(block)) {
		return notTar(io.ErrUnexpectedEOF)
	}
	if _, err := f.ReadAt(block[:], at-int64(len(block))); err != nil {
		return err
	}
	if block != [512]byte{} {
		return notTar(io.ErrUnexpectedEOF)
	}
	return nil
}

// isSparse reports whether a member lies in its archive without its holes,
// which the old form of GNU tar tells by the type and the others by records.
func isSparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range h.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}
