package cache

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// A Layout is a form of export.
type Layout string

// The layouts of Export.
const (
	// LayoutFlat is a directory with each file by the last element of its
	// path.
	LayoutFlat Layout = "flat"
	// LayoutPool is a directory with each file at its path, and the lock as
	// SHA256SUMS, with which "sha256sum -c" passes there.
	LayoutPool Layout = "pool"
	// LayoutTar is a tar file with what LayoutPool has, of which every bit
	// follows from the lock.
	LayoutTar Layout = "tar"
)

// sumsFile is the name of the lock in an export.
const sumsFile = "SHA256SUMS"

// Export writes the files that the lock names to dest, a directory or, for
// LayoutTar, a file. Each is hashed on the way. Files at dest that have the
// right bytes are left alone; others are not written over and are an error.
// Where files of the lock are not in the cache the rest is exported, but for a
// tar file, and the error is a [*MissingError].
func (c *Cache) Export(ctx context.Context, lock *lockfile.Lock, dest string, layout Layout) error {
	if layout == LayoutTar {
		return c.exportTar(ctx, lock, dest)
	}
	files, err := c.exportPaths(lock, layout)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dest, dirMode); err != nil {
		return err
	}
	root, err := os.OpenRoot(dest)
	if err != nil {
		return err
	}
	defer root.Close()
	missing := MissingError{Dir: c.dir}
	for _, f := range files {
		err := c.exportFile(ctx, root, f)
		switch {
		case errors.Is(err, errAbsent):
			missing.add(f.entry, err)
		case err != nil:
			return fmt.Errorf("export to %s: %w", dest, err)
		}
	}
	if layout == LayoutPool {
		if err := writeSums(root, lock); err != nil {
			return fmt.Errorf("export to %s: %w", dest, err)
		}
	}
	return missing.orNil()
}

// errAbsent marks that a blob, not a file of the destination, is not there.
var errAbsent = errors.New("not in the cache")

// open is Open with errors that tell absence from other failures.
func (c *Cache) open(ctx context.Context, d lockfile.Digest) (*os.File, error) {
	f, err := c.Open(ctx, d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", errAbsent, err)
	}
	return f, err
}

func (e *MissingError) add(entry lockfile.Entry, err error) {
	e.Entries = append(e.Entries, entry)
	var damaged *DamagedError
	if errors.As(err, &damaged) {
		e.Err = errors.Join(e.Err, damaged)
	}
}

func (e *MissingError) orNil() error {
	if len(e.Entries) == 0 {
		return nil
	}
	return e
}

type exported struct {
	path  string
	entry lockfile.Entry
}

// exportPaths says where each file goes, sorted by path, and refuses what
// cannot be laid out before anything is written.
func (c *Cache) exportPaths(lock *lockfile.Lock, layout Layout) ([]exported, error) {
	var files []exported
	for _, e := range lock.Entries {
		if err := lockfile.CheckPath(e.Path); err != nil {
			return nil, err
		}
		switch layout {
		case LayoutFlat:
			files = append(files, exported{e.Base(), e})
		case LayoutPool, LayoutTar:
			if e.Path == sumsFile {
				return nil, fmt.Errorf("the lock names a file %s, where the export has the lock itself", sumsFile)
			}
			files = append(files, exported{e.Path, e})
		default:
			return nil, fmt.Errorf("unknown layout %q; there are %s, %s and %s", layout, LayoutFlat, LayoutPool, LayoutTar)
		}
	}
	slices.SortStableFunc(files, func(a, b exported) int { return strings.Compare(a.path, b.path) })
	for i := 1; i < len(files); i++ {
		if a, b := files[i-1].entry, files[i].entry; files[i-1].path == files[i].path && a.Digest != b.Digest {
			return nil, fmt.Errorf("%s and %s are different files of the same name; use another layout", a.Path, b.Path)
		}
	}
	return slices.CompactFunc(files, func(a, b exported) bool { return a.path == b.path }), nil
}

func (c *Cache) exportFile(ctx context.Context, root *os.Root, f exported) error {
	if done, err := alreadyThere(ctx, root, f); done || err != nil {
		return err
	}
	blob, err := c.open(ctx, f.entry.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	if err := root.MkdirAll(path.Dir(f.path), dirMode); err != nil {
		return err
	}
	return place(root, f.path, func(out *os.File) error {
		if unix.IoctlFileClone(int(out.Fd()), int(blob.Fd())) == nil {
			return nil
		}
		_, err := io.Copy(out, blob)
		return err
	})
}

// place writes a file below root under a temporary name, then renames it.
func place(root *os.Root, name string, write func(*os.File) error) error {
	temporary := path.Join(path.Dir(name), ".samebits-"+lockfile.DigestOf([]byte(name)).String()[:16])
	out, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, blobMode)
	if err != nil {
		return err
	}
	err = errors.Join(write(out), out.Close())
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		root.Remove(temporary)
	}
	return err
}

// alreadyThere reports whether the destination has the file with its bytes.
func alreadyThere(ctx context.Context, root *os.Root, f exported) (bool, error) {
	info, err := root.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is there and is no regular file; remove it or choose another destination", f.path)
	}
	in, err := root.Open(f.path)
	if err != nil {
		return false, err
	}
	defer in.Close()
	if err := checkBlob(ctx, in, f.entry.Digest); err != nil {
		return false, fmt.Errorf("%s is there and has other bytes; remove it or choose another destination: %w", f.path, err)
	}
	return true, nil
}

// writeSums writes the lock beside the files. An older one there is replaced.
func writeSums(root *os.Root, lock *lockfile.Lock) error {
	sums, err := sums(lock)
	if err != nil {
		return err
	}
	return place(root, sumsFile, func(out *os.File) error {
		_, err := out.Write(sums)
		return err
	})
}

func sums(lock *lockfile.Lock) ([]byte, error) {
	sorted := *lock
	if err := sorted.Sort(); err != nil {
		return nil, err
	}
	return sorted.Format(), nil
}

func (c *Cache) exportTar(ctx context.Context, lock *lockfile.Lock, dest string) error {
	dir, base := filepath.Split(dest)
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat(base); err == nil {
		return fmt.Errorf("export to %s: %w; remove it or choose another destination", dest, fs.ErrExist)
	}
	return place(root, base, func(out *os.File) error { return c.WriteTar(ctx, lock, out) })
}

// WriteTar writes the content of LayoutTar to w: the lock, then its files by
// path, owned by 0:0, with the lock's date. Nothing is written where files are
// not in the cache, and the error is then a [*MissingError]; a blob that turns
// out to be damaged later breaks the writing off.
func (c *Cache) WriteTar(ctx context.Context, lock *lockfile.Lock, w io.Writer) error {
	files, err := c.exportPaths(lock, LayoutTar)
	if err != nil {
		return err
	}
	missing := MissingError{Dir: c.dir}
	for _, f := range files {
		if !c.Has(f.entry.Digest) {
			missing.add(f.entry, nil)
		}
	}
	if err := missing.orNil(); err != nil {
		return err
	}
	sums, err := sums(lock)
	if err != nil {
		return err
	}
	date := time.Unix(0, 0)
	if !lock.Date.IsZero() {
		date = lock.Date
	}
	tw := tar.NewWriter(w)
	if err := addTar(tw, sumsFile, int64(len(sums)), date, bytes.NewReader(sums)); err != nil {
		return err
	}
	for _, f := range files {
		if err := c.addTarBlob(ctx, tw, f, date); err != nil {
			return fmt.Errorf("write %s: %w", f.path, err)
		}
	}
	return tw.Close()
}

func (c *Cache) addTarBlob(ctx context.Context, tw *tar.Writer, f exported, date time.Time) error {
	blob, err := c.Open(ctx, f.entry.Digest)
	if err != nil {
		return err
	}
	defer blob.Close()
	info, err := blob.Stat()
	if err != nil {
		return err
	}
	return addTar(tw, f.path, info.Size(), date, blob)
}

func addTar(tw *tar.Writer, name string, size int64, date time.Time, r io.Reader) error {
	err := tw.WriteHeader(&tar.Header{Name: name, Size: size, Mode: blobMode, ModTime: date, Typeflag: tar.TypeReg})
	if err != nil {
		return err
	}
	_, err = io.Copy(tw, r)
	return err
}
