package cache

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// maxNameLine bounds a line of the names file; longer ones are passed over.
const maxNameLine = 8 << 10

// A name says that the file of a digest is known by a path.
type name struct {
	digest lockfile.Digest
	path   string
}

func (n name) compare(o name) int {
	if c := bytes.Compare(n.digest[:], o.digest[:]); c != 0 {
		return c
	}
	return strings.Compare(n.path, o.path)
}

// Remember records the paths that files are known by, for people to read. The
// entries' archives are not kept, and the files need not be in the cache.
func (c *Cache) Remember(ctx context.Context, entries []lockfile.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	names := make([]name, 0, len(entries))
	for _, e := range entries {
		if err := lockfile.CheckPath(e.Path); err != nil {
			return fmt.Errorf("remember the name of %s: %w", e.Digest, err)
		}
		names = append(names, name{e.Digest, e.Path})
	}
	slices.SortFunc(names, name.compare)
	names = slices.Compact(names)
	err := c.exclusive(ctx, func() error { return c.addNames(names) })
	if err != nil {
		return fmt.Errorf("remember file names: %w", err)
	}
	return nil
}

// addNames appends what is new, in order, to the names file and the index.
func (c *Cache) addNames(names []name) error {
	f, err := os.OpenFile(c.path(namesFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, blobMode)
	if err != nil {
		return c.explain(err)
	}
	defer f.Close()
	end, err := wholeLines(f)
	if err != nil {
		return err
	}
	fresh, err := c.unknown(f, end, names)
	if err != nil || len(fresh) == 0 {
		return err
	}
	var b bytes.Buffer
	for _, n := range fresh {
		fmt.Fprintf(&b, "%s  %s\n", n.digest, n.path)
	}
	if _, err := f.WriteAt(b.Bytes(), end); err != nil {
		return errors.Join(c.explain(err), f.Truncate(end))
	}
	// The index is a convenience: one that could not be written is dropped,
	// and the answers come from the names file.
	if c.extendIndex(f, end+int64(b.Len()), fresh) != nil {
		return c.dropIndex()
	}
	return nil
}

// wholeLines cuts off what a crash left of a line at the end, and returns the
// length of the file.
func wholeLines(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	tail := make([]byte, min(info.Size(), 2*maxNameLine))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && err != io.EOF {
		return 0, err
	}
	torn := len(tail) - 1 - bytes.LastIndexByte(tail, '\n')
	if torn == 0 {
		return info.Size(), nil
	}
	end := info.Size() - int64(torn)
	return end, f.Truncate(end)
}

// unknown returns those of the names that are not recorded yet.
func (c *Cache) unknown(f *os.File, end int64, names []name) ([]name, error) {
	known, err := c.sealedIndex(f, end)
	if err != nil {
		if err := c.rebuildIndex(f, end); err != nil {
			return nil, err
		}
		if known, err = c.sealedIndex(f, end); err != nil {
			return nil, err
		}
	}
	defer known.close()
	var fresh []name
	for _, n := range names {
		if !known.has(n) {
			fresh = append(fresh, n)
		}
	}
	return fresh, nil
}

// Names returns the paths that a file is known by, sorted; none if there are
// none.
func (c *Cache) Names(ctx context.Context, d lockfile.Digest) ([]string, error) {
	var out []string
	err := c.readNames(ctx, func(n name) {
		out = append(out, n.path)
	}, &d)
	slices.Sort(out)
	return slices.Compact(out), err
}

// allNames returns the sorted paths of every digest that has any.
func (c *Cache) allNames(ctx context.Context) (map[lockfile.Digest][]string, error) {
	out := map[lockfile.Digest][]string{}
	err := c.readNames(ctx, func(n name) { out[n.digest] = append(out[n.digest], n.path) }, nil)
	for d := range maps.Keys(out) {
		slices.Sort(out[d])
		out[d] = slices.Compact(out[d])
	}
	return out, err
}

// readNames calls f for the names of one digest, or of all if only is nil. It
// asks the index, and reads the names file where that is of no use.
func (c *Cache) readNames(ctx context.Context, f func(name), only *lockfile.Digest) error {
	return c.shared(ctx, func() error {
		file, err := openBlob(c.path(namesFile))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if index, err := c.sealedIndex(file, info.Size()); err == nil {
			defer index.close()
			return index.each(only, f)
		}
		return parseNames(file, func(n name) {
			if only == nil || *only == n.digest {
				f(n)
			}
		})
	})
}

// parseNames reads a names file. Lines that are damaged are passed over, and
// so is a last one without its end: the names are for people, and a torn line
// must not hide the others.
func parseNames(r io.Reader, f func(name)) error {
	br := bufio.NewReaderSize(r, maxNameLine)
	long := false // within a line that does not fit the buffer
	for {
		line, err := br.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			long = true
			continue
		case err != nil:
			return err
		}
		if n, ok := parseName(string(line[:len(line)-1])); ok && !long {
			f(n)
		}
		long = false
	}
}

func parseName(line string) (name, bool) {
	hex, path, ok := strings.Cut(line, "  ")
	d, isDigest := blobName(hex)
	return name{d, path}, ok && isDigest && lockfile.CheckPath(path) == nil
}

// Rebuild makes the index anew from the files.
func (c *Cache) Rebuild(ctx context.Context) error {
	return c.exclusive(ctx, func() error {
		f, err := os.OpenFile(c.path(namesFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, blobMode)
		if err != nil {
			return c.explain(err)
		}
		defer f.Close()
		end, err := wholeLines(f)
		if err != nil {
			return err
		}
		return c.rebuildIndex(f, end)
	})
}
