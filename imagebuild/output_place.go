package imagebuild

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/spec"
)

// CheckPlace says what is in the way of writing so many images as an output, as
// far as that can be told before they are made: that is often the longer part.
func CheckPlace(o spec.Output, images int) error {
	f, err := formatOf(o.Type)
	if err == nil {
		err = f.fits(o, images)
	}
	if err != nil || o.Dest == "-" {
		return err
	}
	dest := filepath.Clean(o.Dest)
	info, err := os.Stat(dest)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f.checkAbove(dest)
	case err != nil:
		return fmt.Errorf("output: %w", err)
	case f.directory == nil && info.IsDir():
		return fmt.Errorf("output %s: it is a directory, and an output of the type %s is a file; name one in it", dest, o.Type)
	case f.directory == nil:
		return f.checkAbove(dest)
	case !info.IsDir():
		return fmt.Errorf("output %s: it is a file, and an output of the type %s is a directory", dest, o.Type)
	}
	if names, err := os.ReadDir(dest); err != nil {
		return fmt.Errorf("output: %w", err)
	} else if len(names) > 0 {
		return fmt.Errorf("output %s: it has %q in it already, and must be empty; remove it, or write elsewhere", dest, names[0].Name())
	}
	return writable(dest, dest)
}

// checkAbove looks at the directory that an output is to be made in.
func (f format) checkAbove(dest string) error {
	above := filepath.Dir(dest)
	for {
		info, err := os.Stat(above)
		switch {
		case err == nil && !info.IsDir():
			return fmt.Errorf("output %s: %s is not a directory", dest, above)
		case err == nil:
			return writable(dest, above)
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("output %s: %w", dest, err)
		case !f.parents:
			return fmt.Errorf("output %s: there is no directory %s; make it first", dest, above)
		}
		above = filepath.Dir(above)
	}
}

func writable(dest, dir string) error {
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("output %s: nothing can be written to %s: %w", dest, dir, err)
	}
	return nil
}

// fits says why so many images cannot be written as an output.
func (f format) fits(o spec.Output, images int) error {
	switch {
	case images > 1 && !f.many:
		return fmt.Errorf("an output of the type %s holds one architecture, and there are %d locks; write an oci one, or build each by itself", o.Type, images)
	case f.directory != nil && o.Dest == "-":
		return fmt.Errorf("an output of the type %s is a directory and cannot go to standard output", o.Type)
	case f.file != nil && o.Dest == "-":
		return fmt.Errorf("an output of the type %s is not written in order and cannot go to standard output", o.Type)
	}
	return nil
}

// inNew writes a directory, and where that fails removes it, unless it was there
// before.
func inNew(path string, write func() error) error {
	_, there := os.Lstat(path)
	err := write()
	if err != nil && errors.Is(there, fs.ErrNotExist) {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}
