package cache

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// A Partial is the sole right to fill in one blob. Bytes that were written
// stay in the cache when it is closed, for a later Begin to go on from. It may
// not be used concurrently.
type Partial struct {
	c         *Cache
	want      lockfile.Digest
	f         *os.File // locked
	hash      hash.Hash
	size      int64
	committed bool
}

// Begin takes the sole right to fill in the blob with this digest, and waits
// while another goroutine or process has it, until ctx is done. It returns nil
// and no error where the blob is, or has meanwhile come to be, in the cache.
// What is there of an earlier try is hashed and kept.
func (c *Cache) Begin(ctx context.Context, d lockfile.Digest) (*Partial, error) {
	for {
		f, err := c.use(ctx, d)
		if err == nil {
			return nil, f.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		p, err := c.claim(ctx, d)
		if p != nil || err != nil {
			return p, err
		}
	}
}

// claim opens and locks the partial file. It returns nil and no error where
// the file went away while it waited, most often into the store.
func (c *Cache) claim(ctx context.Context, d lockfile.Digest) (*Partial, error) {
	name := c.path(partialDir + "/" + d.String())
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, blobMode)
	if err != nil {
		return nil, c.explain(err)
	}
	p := &Partial{c: c, want: d, f: f, hash: sha256.New()}
	ok, err := p.lock(ctx)
	if err == nil && ok {
		// Between the look for the blob and the lock, another process may
		// have completed it and a third have made this file anew.
		if c.Has(d) {
			return nil, p.Close()
		}
		p.size, err = hashAll(ctx, p.hash, f)
		if err == nil {
			return p, nil
		}
	}
	return nil, errors.Join(err, f.Close())
}

// lock waits for the file's lock, then checks that the file is still the one
// that its name leads to.
func (p *Partial) lock(ctx context.Context) (bool, error) {
	info, err := p.f.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("%s is not a regular file; remove it", p.f.Name())
	}
	if err := flock(ctx, p.f, unix.LOCK_EX); err != nil {
		return false, err
	}
	return inPlace(p.f)
}

// Write appends bytes.
func (p *Partial) Write(b []byte) (int, error) {
	if p.committed {
		return 0, fmt.Errorf("write to blob %s, which is complete", p.want)
	}
	n, err := p.f.Write(b)
	p.hash.Write(b[:n])
	p.size += int64(n)
	return n, p.c.explain(err)
}

// Offset returns the number of bytes that are there.
func (p *Partial) Offset() int64 { return p.size }

// Reset drops the bytes that are there.
func (p *Partial) Reset() error {
	if p.committed {
		return fmt.Errorf("reset blob %s, which is complete", p.want)
	}
	if err := p.f.Truncate(0); err != nil {
		return p.c.explain(err)
	}
	if _, err := p.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	p.hash.Reset()
	p.size = 0
	return nil
}

// Commit checks the digest of all bytes. If it is right, the blob is in the
// cache from then on; if not, the bytes are dropped and the error is a
// [*lockfile.DigestError]. Either way the right goes on until Close.
func (p *Partial) Commit() error {
	if p.committed {
		return nil
	}
	var got lockfile.Digest
	p.hash.Sum(got[:0])
	if got != p.want {
		bad := &lockfile.DigestError{Want: p.want, Got: got, Size: p.size}
		if err := p.Reset(); err != nil {
			return errors.Join(bad, err)
		}
		return bad
	}
	if err := p.f.Chmod(blobMode); err != nil {
		return p.c.explain(err)
	}
	now := time.Now()
	if err := os.Chtimes(p.f.Name(), time.Time{}, now); err != nil {
		return p.c.explain(err)
	}
	if err := os.Rename(p.f.Name(), p.c.blobPath(p.want)); err != nil {
		return p.c.explain(err)
	}
	p.committed = true
	// The disk begins to write now, so that Sync has little to wait for. What
	// fails here fails there too.
	_ = unix.SyncFileRange(int(p.f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE)
	p.c.mu.Lock()
	p.c.fresh = append(p.c.fresh, p.c.blobPath(p.want))
	p.c.mu.Unlock()
	return nil
}

// Close gives up the right to fill in the blob.
func (p *Partial) Close() error {
	if !p.committed && p.size == 0 {
		// Nothing is here to go on from. The lock is still held, so nobody
		// else can be writing.
		if ok, err := inPlace(p.f); err == nil && ok {
			if err := os.Remove(p.f.Name()); err != nil {
				return errors.Join(p.c.explain(err), p.f.Close())
			}
		}
	}
	return p.f.Close()
}

// buffers are for hashAll, which hashes many small files.
var buffers = sync.Pool{New: func() any { return new([128 << 10]byte) }}

// hashAll hashes r to its end, in pieces between which ctx is looked at.
func hashAll(ctx context.Context, h hash.Hash, r io.Reader) (int64, error) {
	buf := buffers.Get().(*[128 << 10]byte)
	defer buffers.Put(buf)
	var total int64
	for {
		if err := ctx.Err(); err != nil {
			return total, err
		}
		n, err := r.Read(buf[:])
		h.Write(buf[:n])
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
