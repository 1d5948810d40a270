package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sync/errgroup"
)

// Verified is the result of Verify. Sizes are in bytes.
type Verified struct {
	Blobs int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
	// Damaged are the digests of the blobs that were damaged, sorted. They
	// are set aside, so that the next fetch gets them again.
	Damaged []lockfile.Digest `json:"damaged"`
}

// Verify hashes all blobs, several at a time, and sets the damaged ones aside.
// It does not count as a use. progress, which may be nil, is told the bytes
// done and the bytes in all after each blob, never twice at once. The error
// joins a [*DamagedError] for each damaged blob.
func (c *Cache) Verify(ctx context.Context, progress func(done, total int64)) (Verified, error) {
	blobs, err := c.scan(ctx)
	if err != nil {
		return Verified{}, err
	}
	var total, done int64
	for _, b := range blobs {
		total += b.Size
	}
	var mu sync.Mutex
	var out Verified
	damage := map[lockfile.Digest]error{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, b := range blobs {
		group.Go(func() error {
			err := c.verifyBlob(ctx, b.Digest)
			var damaged *DamagedError
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.As(err, &damaged):
				damage[b.Digest] = err
				out.Damaged = append(out.Damaged, b.Digest)
			case errors.Is(err, fs.ErrNotExist):
				return nil // pruned in the meantime
			case err != nil:
				return err
			}
			out.Blobs++
			out.Bytes += b.Size
			if done += b.Size; progress != nil {
				progress(done, total)
			}
			return nil
		})
	}
	err = group.Wait()
	slices.SortFunc(out.Damaged, func(a, b lockfile.Digest) int { return slices.Compare(a[:], b[:]) })
	errs := []error{err}
	for _, d := range out.Damaged {
		errs = append(errs, damage[d])
	}
	return out, errors.Join(errs...)
}

func (c *Cache) verifyBlob(ctx context.Context, d lockfile.Digest) error {
	f, err := openBlob(c.blobPath(d))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := checkBlob(ctx, f, d); err != nil {
		return c.judge(f, d, err)
	}
	return nil
}

// Sync sees to it that the blobs committed through this Cache are on the disk,
// and removes what earlier runs left over. It is called once, at the end of a
// run: docs/decisions/0001-durability-of-blobs.md says why.
func (c *Cache) Sync(ctx context.Context) error {
	c.mu.Lock()
	fresh := c.fresh
	c.fresh = nil
	c.mu.Unlock()
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, name := range fresh {
		group.Go(func() error {
			if err := gctx.Err(); err != nil {
				return err
			}
			return syncBlob(name)
		})
	}
	if err := group.Wait(); err != nil {
		return c.explain(err)
	}
	if len(fresh) > 0 {
		if err := syncDir(c.path(blobsPath)); err != nil {
			return c.explain(err)
		}
	}
	return c.sweep(ctx)
}

func syncBlob(name string) error {
	f, err := openBlob(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // pruned or set aside since
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// sweep removes the leases of dead processes and stale partial files. A cache
// that cannot be written to has none of its own making.
func (c *Cache) sweep(ctx context.Context) error {
	err := c.exclusive(ctx, func() error {
		if _, _, err := c.oldestLease(true); err != nil {
			return err
		}
		return c.eachStale(func(path string, _ fs.FileInfo) error { return c.explain(os.Remove(path)) })
	})
	var readOnly *ReadOnlyError
	if errors.As(err, &readOnly) {
		return nil
	}
	return err
}
