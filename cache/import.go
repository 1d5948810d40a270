package cache

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// Imported is what Import found.
type Imported struct {
	// Entries are all files that are in the cache now, with the names that
	// they were found by, sorted.
	Entries []lockfile.Entry `json:"entries"`
	// Added counts the files that were not in the cache before, and Bytes
	// their bytes.
	Added int   `json:"added"`
	Bytes int64 `json:"bytes"`
}

// Import takes files into the cache and remembers their names. A path may be
// a file; a tar file, named *.tar, whose members are taken; a cache of
// samebits or of repro-get; or any other directory, of which all files are
// taken. Empty files, links, hidden files, directories named "partial" and
// SHA256SUMS in the first directory are passed over.
//
// Files are copied, or cloned where the file system can: a hard link would
// change with its other name. Files that cannot be read, and those of a cache
// whose bytes are not what their names say, are told in the error, which does
// not stop the rest.
func (c *Cache) Import(ctx context.Context, paths ...string) (Imported, error) {
	im := importer{c: c, ctx: ctx}
	for _, p := range paths {
		if err := im.path(p); err != nil {
			im.errs = append(im.errs, fmt.Errorf("import %s: %w", p, err))
			break
		}
	}
	slices.SortFunc(im.out.Entries, func(a, b lockfile.Entry) int {
		return name{a.Digest, a.Path}.compare(name{b.Digest, b.Path})
	})
	im.out.Entries = slices.CompactFunc(im.out.Entries, func(a, b lockfile.Entry) bool {
		return a.Digest == b.Digest && a.Path == b.Path
	})
	named := slices.DeleteFunc(slices.Clone(im.out.Entries), func(e lockfile.Entry) bool { return e.Path == "" })
	im.errs = append(im.errs, c.Remember(ctx, named))
	return im.out, errors.Join(im.errs...)
}

type importer struct {
	c    *Cache
	ctx  context.Context
	out  Imported
	errs []error
}

func (im *importer) path(p string) error {
	info, err := os.Stat(p)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		if blobs, err := os.Stat(filepath.Join(p, blobsPath)); err == nil && blobs.IsDir() {
			return im.cache(p)
		}
		return im.tree(p)
	case !info.Mode().IsRegular():
		return errors.New("neither a file nor a directory")
	}
	f, err := os.Open(p)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.HasSuffix(p, ".tar") {
		return im.tar(f)
	}
	return im.file(f, filepath.Base(p))
}

// tree takes all files below a directory. Links are not followed: they may
// lead to files of the user that are nobody else's business.
func (im *importer) tree(dir string) error {
	dir, err := filepath.EvalSymlinks(dir) // the one link that the user named
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return im.unread(&sourceError{err})
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		switch hidden := strings.HasPrefix(e.Name(), "."); {
		case rel == ".":
			return nil
		case e.IsDir() && (hidden || e.Name() == partialDir):
			return fs.SkipDir
		case !e.Type().IsRegular() || hidden || rel == sumsFile:
			return nil
		}
		if info, err := e.Info(); err == nil && info.Size() == 0 {
			return nil // such as apt's lock, which not everyone may open
		}
		f, err := openBlob(p)
		if err != nil {
			return im.unread(&sourceError{err})
		}
		defer f.Close()
		return im.unread(im.file(f, filepath.ToSlash(rel)))
	})
}

// A sourceError is of a file that is to be imported, and not of the cache.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// unread notes that a file could not be read, and returns any other error.
func (im *importer) unread(err error) error {
	var source *sourceError
	if !errors.As(err, &source) || im.ctx.Err() != nil {
		return err
	}
	im.errs = append(im.errs, fmt.Errorf("import: it could not be read and was left out: %w", err))
	return nil
}

// file takes an open file.
func (im *importer) file(f *os.File, called string) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	clone := func(p *Partial) (bool, error) { return p.clone(im.ctx, f) }
	return im.add(io.NewSectionReader(f, 0, info.Size()), called, clone)
}

// add hashes what r has, and copies it if the cache does not have it. The
// bytes are hashed again on the way in, so a file that changes meanwhile is
// refused. clone may be nil.
func (im *importer) add(r *io.SectionReader, called string, clone func(*Partial) (bool, error)) error {
	h := sha256.New()
	size, err := hashAll(im.ctx, h, r)
	if err != nil {
		return &sourceError{err}
	}
	if size != r.Size() {
		return io.ErrUnexpectedEOF
	}
	d := lockfile.Digest(h.Sum(nil))
	p, err := im.c.Begin(im.ctx, d)
	if err != nil {
		return err
	}
	if p != nil {
		if err := errors.Join(im.fill(p, r, clone), p.Close()); err != nil {
			return fmt.Errorf("copy %s: %w", called, err)
		}
		im.out.Added++
		im.out.Bytes += size
	}
	if lockfile.CheckPath(called) != nil {
		called = "" // a name that a lock could not have is not remembered
	}
	im.out.Entries = append(im.out.Entries, lockfile.Entry{Digest: d, Path: called})
	return nil
}

func (im *importer) fill(p *Partial, r io.ReadSeeker, clone func(*Partial) (bool, error)) error {
	if err := p.Reset(); err != nil {
		return err
	}
	if clone != nil {
		if ok, err := clone(p); err != nil {
			return err
		} else if ok {
			return p.Commit()
		}
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(p, contextReader{im.ctx, r}); err != nil {
		return err
	}
	return p.Commit()
}

// clone shares the blocks of a whole file, on file systems that can, and
// hashes what it got. It returns false where that cannot be done.
func (p *Partial) clone(ctx context.Context, from *os.File) (bool, error) {
	if unix.IoctlFileClone(int(p.f.Fd()), int(from.Fd())) != nil {
		return false, nil
	}
	n, err := hashAll(ctx, p.hash, p.f)
	p.size = n
	return true, err
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// cache takes the blobs of another cache, with the names that it knows.
func (im *importer) cache(dir string) error {
	names, err := foreignNames(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Join(dir, blobsPath))
	if err != nil {
		return err
	}
	for _, e := range entries {
		d, ok := blobName(e.Name())
		if !ok || !e.Type().IsRegular() {
			continue
		}
		called := append(names[d], reproGetName(dir, d)...)
		if err := im.blob(filepath.Join(dir, blobsPath, e.Name()), d, called); err != nil {
			return err
		}
	}
	return nil
}

// blob takes a file that is said to have a digest.
func (im *importer) blob(file string, d lockfile.Digest, names []string) error {
	p, err := im.c.Begin(im.ctx, d)
	if err != nil {
		return err
	}
	if p != nil {
		err := im.fillBlob(p, file)
		size := p.Offset()
		err = errors.Join(err, p.Close())
		var wrong *lockfile.DigestError
		if errors.As(err, &wrong) {
			im.errs = append(im.errs, fmt.Errorf("import %s: it is damaged and was left out: %w", file, err))
			return nil
		}
		if err != nil {
			return im.unread(err)
		}
		im.out.Added++
		im.out.Bytes += size
	}
	if len(names) == 0 {
		names = []string{""}
	}
	for _, n := range names {
		im.out.Entries = append(im.out.Entries, lockfile.Entry{Digest: d, Path: n})
	}
	return nil
}

func (im *importer) fillBlob(p *Partial, file string) error {
	f, err := openBlob(file)
	if err != nil {
		return &sourceError{err}
	}
	defer f.Close()
	return im.fill(p, f, func(p *Partial) (bool, error) { return p.clone(im.ctx, f) })
}

// foreignNames reads the names file of another samebits cache, if it has one.
func foreignNames(dir string) (map[lockfile.Digest][]string, error) {
	f, err := openBlob(filepath.Join(dir, namesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names := map[lockfile.Digest][]string{}
	err = parseNames(f, func(n name) { names[n.digest] = append(names[n.digest], n.path) })
	return names, err
}

// reproGetName reads the name that repro-get keeps for a blob, if it does.
func reproGetName(dir string, d lockfile.Digest) []string {
	const limit = 64 << 10
	f, err := openBlob(filepath.Join(dir, "metadata", "sha256", d.String()))
	if err != nil {
		return nil
	}
	defer f.Close()
	var meta struct{ Basename string }
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil || json.Unmarshal(b, &meta) != nil || lockfile.CheckPath(meta.Basename) != nil || path.Base(meta.Basename) != meta.Basename {
		return nil
	}
	return []string{meta.Basename}
}
