package cache

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// Add takes what r has into the cache under the digest that it turns out to
// have. A check, if there is one, reads the bytes as they come; what it refuses
// is not kept, and its error returned, unless r itself failed. What it leaves
// unread is taken in all the same. A file of more than max bytes is an error
// that wraps [ErrTooLarge]; max is no bound where it is negative.
func (c *Cache) Add(ctx context.Context, r io.Reader, max int64, check func(io.Reader) error) (d lockfile.Digest, err error) {
	if _, err := c.ensureLease(ctx); err != nil {
		return d, err
	}
	f, err := c.incoming(ctx)
	if err != nil {
		return d, err
	}
	defer f.Close()
	named := f.Name() != c.path(partialDir)
	defer func() {
		if err != nil && named {
			err = errors.Join(err, c.explain(os.Remove(f.Name())))
		}
	}()
	hash := sha256.New()
	in := &intake{r: contextReader{ctx, r}, w: f, hash: hash, max: max}
	if check != nil {
		if err := check(in); err != nil && in.err == nil {
			return d, err
		}
	}
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	for {
		if _, err := in.Read(buf[:]); err == io.EOF {
			break
		} else if err != nil {
			return d, c.explain(err)
		}
	}
	hash.Sum(d[:0])
	return d, c.place(ctx, f, d)
}

// ErrTooLarge is what files of more bytes than were announced end in.
var ErrTooLarge = errors.New("there are more bytes than announced")

// An intake writes down and hashes what is read of it.
type intake struct {
	r    io.Reader
	w    io.Writer
	hash hash.Hash
	n    int64
	max  int64 // negative for no bound
	err  error // of r or w
}

func (in *intake) Read(p []byte) (int, error) {
	if in.err != nil {
		return 0, in.err
	}
	n, err := in.r.Read(p)
	in.n += int64(n)
	if in.max >= 0 && in.n > in.max {
		n, err = 0, fmt.Errorf("%w: more than %d", ErrTooLarge, in.max)
	}
	in.hash.Write(p[:n])
	if _, werr := in.w.Write(p[:n]); werr != nil {
		n, err = 0, werr
	}
	if err != nil && err != io.EOF {
		in.err = err
	}
	return n, err
}

// incoming makes a file for bytes whose digest is not known yet. It has no
// name, so that nothing stays of it if this process dies, where the system
// can do that; else it has one and is locked, so that nobody takes it for a
// leftover.
func (c *Cache) incoming(ctx context.Context) (f *os.File, err error) {
	if canLink() {
		fd, err := unix.Open(c.path(partialDir), unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, blobMode)
		if err == nil {
			return os.NewFile(uintptr(fd), c.path(partialDir)), nil
		}
		if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.ENOENT) {
			return nil, c.explain(&os.PathError{Op: "make a file in", Path: c.path(partialDir), Err: err})
		}
	}
	// With the cache's lock nobody sweeps the file away before it is locked.
	err = c.shared(ctx, func() error {
		name := c.path(partialDir + "/incoming-" + rand.Text())
		if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, blobMode); err != nil {
			return c.explain(err)
		}
		if ok, err := tryFlock(f, unix.LOCK_EX); err != nil || !ok {
			return errors.Join(fmt.Errorf("%s cannot be locked", name), err, f.Close(), os.Remove(name))
		}
		return nil
	})
	return f, err
}

// place makes a file of incoming the blob that it is.
func (c *Cache) place(ctx context.Context, f *os.File, d lockfile.Digest) error {
	blob := c.blobPath(d)
	if err := f.Chmod(blobMode); err != nil {
		return c.explain(err)
	}
	if f.Name() == c.path(partialDir) {
		err := linkOpen(f, blob)
		if errors.Is(err, fs.ErrExist) {
			// It may have been damaged: these bytes are known to be right.
			return c.shared(ctx, func() error { return c.overwrite(f, blob) })
		}
		if err != nil {
			return c.explain(err)
		}
	} else if err := os.Rename(f.Name(), blob); err != nil {
		return c.explain(err)
	}
	c.mu.Lock()
	c.fresh = append(c.fresh, blob)
	c.mu.Unlock()
	return nil
}

// overwrite puts a file without a name in the place of a blob.
func (c *Cache) overwrite(f *os.File, blob string) error {
	if _, err := tryFlock(f, unix.LOCK_EX); err != nil {
		return err
	}
	name := c.path(partialDir + "/incoming-" + rand.Text())
	if err := linkOpen(f, name); err != nil {
		return c.explain(err)
	}
	return c.explain(os.Rename(name, blob))
}

// linkOpen gives an open file without a name a name.
func linkOpen(f *os.File, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, procFD(f), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "link", Old: f.Name(), New: name, Err: err}
	}
	return nil
}

func procFD(f *os.File) string { return "/proc/self/fd/" + strconv.FormatUint(uint64(f.Fd()), 10) }

// canLink reports whether an open file can be given a name, which takes /proc.
var canLink = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
})

// ByName returns the digests of all files that are known by a name. The files
// need not be in the cache.
func (c *Cache) ByName(ctx context.Context) (map[string][]lockfile.Digest, error) {
	out := map[string][]lockfile.Digest{}
	err := c.readNames(ctx, func(n name) { out[n.path] = append(out[n.path], n.digest) }, nil)
	return out, err
}
