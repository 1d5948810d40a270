package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A lease says since when a process relies on blobs. It is a locked file whose
// modification time is the moment at which its holder began. Each use of a
// blob sets the blob's own time, so Prune spares what was used since the
// oldest lease that is still locked. One open file a Cache suffices however
// many blobs it uses. Who may not write into the cache holds a shared lock on
// each blob in place of a lease.

// slack covers file systems that keep coarse times, and small steps of the
// clock.
const slack = time.Minute

// ensureLease takes the Cache's lease if it has none. It returns false where
// one cannot be had, which is no error: the cache may be read-only or full.
func (c *Cache) ensureLease(ctx context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lease != nil || c.noLease {
		return c.lease != nil, nil
	}
	err := c.exclusive(ctx, func() error {
		f, err := os.CreateTemp(c.path(leasesDir), "")
		if err != nil {
			return err
		}
		if _, err := tryFlock(f, unix.LOCK_EX); err != nil {
			return errors.Join(err, os.Remove(f.Name()), f.Close())
		}
		c.lease = f
		return nil
	})
	if err != nil && ctx.Err() != nil {
		return false, err
	}
	c.noLease = err != nil
	return err == nil, nil
}

// hold keeps a shared lock on a blob until the Cache is closed. The caller has
// the cache's lock, under which Prune takes no lock on a blob.
func (c *Cache) hold(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.held[name]; ok {
		if here, err := inPlace(old); err == nil && here {
			return nil
		}
		old.Close()
		delete(c.held, name)
	}
	f, err := openBlob(name)
	if err != nil {
		return err
	}
	if ok, err := tryFlock(f, unix.LOCK_SH); err != nil {
		return errors.Join(err, f.Close())
	} else if !ok {
		// Whoever fills in this blob holds its lock a moment longer and
		// protects it; there is nothing to hold for us.
		return f.Close()
	}
	c.held[name] = f
	return nil
}

// oldestLease returns when the oldest living lease began, less the slack; ok
// is false where there is none. The leases of dead processes are removed where
// tidy says so. The caller has the exclusive lock.
func (c *Cache) oldestLease(tidy bool) (oldest time.Time, ok bool, err error) {
	entries, err := os.ReadDir(c.path(leasesDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return oldest, false, err
	}
	for _, e := range entries {
		began, alive, err := c.checkLease(c.path(leasesDir+"/"+e.Name()), tidy)
		if err != nil {
			return oldest, false, fmt.Errorf("lease of a process: %w", err)
		}
		if alive && (!ok || began.Before(oldest)) {
			oldest, ok = began, true
		}
	}
	return oldest.Add(-slack), ok, nil
}

// checkLease looks whether the holder of a lease lives, and removes the lease
// if it does not and tidy says so.
func (c *Cache) checkLease(name string, tidy bool) (began time.Time, alive bool, err error) {
	f, err := openBlob(name)
	if errors.Is(err, fs.ErrNotExist) {
		return began, false, nil
	}
	if err != nil {
		return began, false, err
	}
	defer f.Close()
	free, err := tryFlock(f, unix.LOCK_EX)
	if err != nil {
		return began, false, err
	}
	if free {
		if tidy {
			err = c.explain(os.Remove(name))
		}
		return began, false, err
	}
	info, err := f.Stat()
	if err != nil {
		return began, false, err
	}
	return info.ModTime(), true, nil
}
