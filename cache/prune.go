package cache

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/samebits/samebits/lockfile"
	"golang.org/x/sys/unix"
)

// staleAfter is how long a partial file is kept for someone to go on from.
const staleAfter = 24 * time.Hour

// PruneOptions says what to remove. Where several are given, a blob goes if
// any of them says so. None of them removes only what is left over.
type PruneOptions struct {
	// MaxBytes removes the least recently used blobs until no more than this
	// many bytes are in the cache; 0 sets no limit.
	MaxBytes int64
	// MaxAge removes blobs that were not used for so long; 0 sets no limit.
	MaxAge time.Duration
	// All removes every blob that may be removed.
	All bool
	// DryRun removes nothing.
	DryRun bool
}

// Pruned is what Prune removed, or would remove. Sizes are in bytes.
type Pruned struct {
	// Blobs are sorted by digest; their names and pins are not filled in.
	Blobs []Blob `json:"blobs"`
	Bytes int64  `json:"bytes"`
	// InUse counts the blobs that were spared only because a running process
	// uses them.
	InUse int `json:"in_use"`
	// Leftovers are stale partial and damaged files, and records of what was
	// derived that is not there any more.
	Leftovers     int   `json:"leftovers"`
	LeftoverBytes int64 `json:"leftover_bytes"`
}

// Prune removes blobs that no pin names and no running process uses, partial
// files that nobody went on with for a day, and damaged files. Other users of
// the cache wait for it. What would go can also be asked by those who may not
// write into the cache.
func (c *Cache) Prune(ctx context.Context, opts PruneOptions) (*Pruned, error) {
	var out *Pruned
	lock := c.exclusive
	if opts.DryRun {
		lock = c.still
	}
	err := lock(ctx, func() error {
		var err error
		out, err = c.prune(ctx, opts)
		return err
	})
	return out, err
}

func (c *Cache) prune(ctx context.Context, opts PruneOptions) (*Pruned, error) {
	blobs, err := c.scan(ctx)
	if err != nil {
		return nil, err
	}
	pins, err := c.pinned()
	if err != nil {
		return nil, err
	}
	lease, leased, err := c.oldestLease(!opts.DryRun)
	if err != nil {
		return nil, err
	}
	out := &Pruned{Blobs: []Blob{}}
	for _, b := range candidates(blobs, opts, pins) {
		used := leased && !b.Used.Before(lease)
		if !used {
			if used, err = c.isHeld(b.Digest); err != nil {
				return out, err
			}
		}
		if used {
			out.InUse++
			continue
		}
		out.Blobs = append(out.Blobs, b)
		out.Bytes += b.Size
	}
	slices.SortFunc(out.Blobs, func(a, b Blob) int { return slices.Compare(a.Digest[:], b.Digest[:]) })
	if !opts.DryRun {
		if err := c.remove(ctx, out.Blobs); err != nil {
			return out, err
		}
	}
	if err := c.pruneDerived(out, opts.DryRun); err != nil {
		return out, err
	}
	return out, c.pruneLeftovers(out, opts.DryRun)
}

// candidates returns the blobs that the options ask to remove and no pin
// keeps, the least recently used first.
func candidates(blobs []Blob, opts PruneOptions, pins map[lockfile.Digest][]string) []Blob {
	blobs = slices.Clone(blobs)
	slices.SortFunc(blobs, func(a, b Blob) int {
		return cmp.Or(a.Used.Compare(b.Used), slices.Compare(a.Digest[:], b.Digest[:]))
	})
	var total int64
	for _, b := range blobs {
		total += b.Size
	}
	oldest := time.Now().Add(-opts.MaxAge)
	var out []Blob
	for _, b := range blobs {
		if pins[b.Digest] != nil {
			continue
		}
		over := opts.MaxBytes > 0 && total > opts.MaxBytes
		old := opts.MaxAge > 0 && b.Used.Before(oldest)
		if opts.All || over || old {
			out = append(out, b)
			total -= b.Size
		}
	}
	return out
}

// isHeld reports whether a process without a lease holds a lock on the blob.
func (c *Cache) isHeld(d lockfile.Digest) (bool, error) {
	f, err := openBlob(c.blobPath(d))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return false, nil
	}
	if err != nil {
		return false, c.explain(err)
	}
	defer f.Close()
	free, err := tryFlock(f, unix.LOCK_EX)
	return !free, err
}

func (c *Cache) remove(ctx context.Context, blobs []Blob) error {
	for _, b := range blobs {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.Remove(c.blobPath(b.Digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.explain(err)
		}
	}
	return nil
}

// pruneLeftovers removes, or only counts, stale partial and damaged files.
func (c *Cache) pruneLeftovers(out *Pruned, dryRun bool) error {
	removed := func(path string, info fs.FileInfo) error {
		out.Leftovers++
		out.LeftoverBytes += info.Size()
		if dryRun {
			return nil
		}
		return c.explain(os.RemoveAll(path))
	}
	if err := c.each(damagedDir, removed); err != nil {
		return err
	}
	return c.eachStale(removed)
}

// eachStale calls f, with the file's lock held, for each partial file that
// nobody is filling in and nobody will go on with: it is empty, or old, or its
// blob has come by another way.
func (c *Cache) eachStale(f func(path string, info fs.FileInfo) error) error {
	return c.each(partialDir, func(path string, info fs.FileInfo) error {
		d, ok := blobName(info.Name())
		if ok && info.Size() > 0 && !c.Has(d) && time.Since(info.ModTime()) < staleAfter {
			return nil
		}
		p, err := openBlob(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return c.explain(err)
		}
		defer p.Close()
		if free, err := tryFlock(p, unix.LOCK_EX); err != nil || !free {
			return err
		}
		if here, err := inPlace(p); err != nil || !here {
			return err
		}
		return f(path, info)
	})
}
