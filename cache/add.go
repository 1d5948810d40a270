package cache

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// Add takes what r has into the cache under the digest that it turns out to
// have. Before that check, if there is one, is given the bytes to read; what
// it refuses is not kept, and its error returned. A file of more than max
// bytes is an error that wraps [ErrTooLarge]; max is no bound where it is
// negative.
func (c *Cache) Add(ctx context.Context, r io.Reader, max int64, check func(io.Reader) error) (d lockfile.Digest, err error) {
	if _, err := c.ensureLease(ctx); err != nil {
		return d, err
	}
	var f *os.File
	// With the cache's lock nobody sweeps the file away before it is locked.
	err = c.shared(ctx, func() (err error) {
		f, err = c.incoming()
		return err
	})
	if err != nil {
		return d, err
	}
	defer f.Close()
	defer func() {
		// The file is gone from this name if it became the blob.
		if ok, _ := inPlace(f); ok {
			err = errors.Join(err, c.explain(os.Remove(f.Name())))
		}
	}()
	p := &Partial{c: c, f: f, hash: sha256.New()}
	if p.size, err = c.receive(ctx, io.MultiWriter(f, p.hash), r, max); err != nil {
		return d, err
	}
	if check != nil {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return d, err
		}
		if err := check(contextReader{ctx, f}); err != nil {
			return d, err
		}
	}
	p.hash.Sum(p.want[:0])
	return p.want, p.Commit()
}

// ErrTooLarge is what files of more bytes than were announced end in.
var ErrTooLarge = errors.New("there are more bytes than announced")

// incoming makes a file for bytes whose digest is not known yet. It is locked,
// so that nobody takes it for a leftover.
func (c *Cache) incoming() (*os.File, error) {
	name := c.path(partialDir + "/incoming-" + rand.Text())
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, blobMode)
	if err != nil {
		return nil, c.explain(err)
	}
	if ok, err := tryFlock(f, unix.LOCK_EX); err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("%s cannot be locked", name), err, f.Close(), os.Remove(name))
	}
	return f, nil
}

// receive copies r to w and returns the number of bytes.
func (c *Cache) receive(ctx context.Context, w io.Writer, r io.Reader, max int64) (int64, error) {
	if max >= 0 {
		r = io.LimitReader(r, max+1)
	}
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	n, err := io.CopyBuffer(w, contextReader{ctx, r}, buf[:])
	if err != nil {
		return n, c.explain(err)
	}
	if max >= 0 && n > max {
		return n, fmt.Errorf("%w: more than %d", ErrTooLarge, max)
	}
	return n, nil
}

// ByName returns the digests of all files that are known by a name. The files
// need not be in the cache.
func (c *Cache) ByName(ctx context.Context) (map[string][]lockfile.Digest, error) {
	out := map[string][]lockfile.Digest{}
	err := c.readNames(ctx, func(n name) { out[n.path] = append(out[n.path], n.digest) }, nil)
	return out, err
}
