package cache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// The layout of a cache directory, version 1.
const (
	version       = 1
	versionPrefix = "samebits cache "

	versionFile = "version"
	tagFile     = "CACHEDIR.TAG"
	lockFile    = "lock"
	namesFile   = "names"
	indexFile   = "index.db"
	sealFile    = "index.sum"
	blobsDir    = "blobs"
	partialDir  = "partial"
	damagedDir  = "damaged"
	pinsDir     = "pins"
	leasesDir   = "leases"

	blobMode = 0o644
	dirMode  = 0o755
)

// blobsPath is where blobs lie below the cache directory.
const blobsPath = blobsDir + "/sha256"

const tagText = "Signature: 8a477f597d28d172789f06886806bc55\n" +
	"# This directory is a cache of package files made by samebits.\n" +
	"# For what this file is about see https://bford.info/cachedir/\n"

// A Cache is an open cache directory. Its methods may be called concurrently,
// and other processes may use the same directory. Blobs that were asked for
// through a Cache are safe from Prune until it is closed; a process that runs
// for long opens one for each job.
type Cache struct {
	dir string

	mu      sync.Mutex
	lease   *os.File            // nil where there is none
	noLease bool                // a lease could not be made: hold each blob
	held    map[string]*os.File // blobs with a shared lock, by path
	fresh   []string            // blobs committed since the last Sync
}

// Open opens the cache in dir, and makes it where there is none. A directory
// with other things in it is refused, and so is a cache of a newer samebits.
// A cache that may not be written to can be opened and read.
func Open(dir string) (*Cache, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open cache %s: %w", dir, err)
	}
	c := &Cache{dir: abs, held: map[string]*os.File{}}
	if err := c.init(); err != nil {
		return nil, fmt.Errorf("open cache %s: %w", abs, err)
	}
	return c, nil
}

// init checks that the directory is a cache, and makes what it lacks.
func (c *Cache) init() error {
	if _, err := os.Stat(c.dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(c.dir, dirMode); err != nil {
			return fmt.Errorf("%w; choose another directory for the cache", err)
		}
	} else if err != nil {
		return err
	}
	known, err := c.checkVersion()
	if err != nil {
		return err
	}
	if err := c.fill(known); err != nil && (!known || !isReadOnly(err)) {
		return err
	}
	return nil
}

// checkVersion reads the version file. It returns false where there is none,
// or an empty one as a crash leaves it, and nothing else forbids making one.
func (c *Cache) checkVersion() (known bool, err error) {
	b, err := os.ReadFile(c.path(versionFile))
	if err == nil && len(b) > 0 {
		return true, parseVersion(string(b))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !ours(e.Name()) {
			return false, fmt.Errorf("the directory has %q in it and is no samebits cache; choose an empty one, and import what is here with \"samebits cache import\"", e.Name())
		}
	}
	return false, nil
}

// ours reports whether a name at the top of a directory may be there before
// the version file is.
func ours(name string) bool {
	switch name {
	case versionFile, tagFile, lockFile, namesFile, indexFile, sealFile,
		blobsDir, partialDir, damagedDir, pinsDir, leasesDir, derivedDir, "lost+found":
		return true
	}
	return false
}

func parseVersion(s string) error {
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(s, versionPrefix), "\n"), 10, 31)
	switch {
	case err != nil || !strings.HasPrefix(s, versionPrefix) || n == 0:
		return fmt.Errorf("its file %q does not say %q; the directory is no samebits cache", versionFile, versionPrefix+"1")
	case n > version:
		return fmt.Errorf("the cache has format %d and this samebits knows formats up to %d; use a newer samebits or another directory", n, version)
	}
	return nil
}

// fill makes the parts of the cache that are not there. Two processes may do
// so at once: they write the same bytes.
func (c *Cache) fill(known bool) error {
	if !known {
		if err := c.writeOnce(versionFile, versionPrefix+strconv.Itoa(version)+"\n"); err != nil {
			return err
		}
	}
	for _, d := range []string{blobsPath, partialDir, damagedDir, pinsDir, leasesDir} {
		if info, err := os.Lstat(c.path(d)); err == nil && info.IsDir() {
			continue
		}
		if err := os.MkdirAll(c.path(d), dirMode); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{tagFile: tagText, lockFile: ""} {
		if _, err := os.Lstat(c.path(name)); err == nil {
			continue
		}
		if err := c.writeOnce(name, text); err != nil {
			return err
		}
	}
	return nil
}

// writeOnce writes a small file of which all processes write the same bytes.
func (c *Cache) writeOnce(name, text string) error {
	f, err := os.OpenFile(c.path(name), os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW, blobMode)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// Dir returns the absolute path of the cache directory.
func (c *Cache) Dir() string { return c.dir }

func (c *Cache) path(elem string) string { return c.dir + "/" + elem }

// Close gives up the claim on the blobs that were asked for. The Cache must
// not be used afterwards.
func (c *Cache) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, f := range c.held {
		errs = append(errs, f.Close())
	}
	clear(c.held)
	if c.lease != nil {
		if err := os.Remove(c.lease.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
		errs = append(errs, c.lease.Close())
		c.lease = nil
	}
	return errors.Join(errs...)
}

// shared runs f while no other process removes blobs or writes names.
func (c *Cache) shared(ctx context.Context, f func() error) error {
	l, err := os.Open(c.path(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		// A copy of a cache that nobody can write to needs no lock.
		return f()
	}
	return c.locked(ctx, l, err, unix.LOCK_SH, f)
}

// still is exclusive for an f that changes nothing, which those who may only
// read can have.
func (c *Cache) still(ctx context.Context, f func() error) error {
	l, err := os.Open(c.path(lockFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f()
	}
	return c.locked(ctx, l, err, unix.LOCK_EX, f)
}

// exclusive runs f while no other process relies on what is in the cache
// staying as it is. It is held for short.
func (c *Cache) exclusive(ctx context.Context, f func() error) error {
	l, err := os.OpenFile(c.path(lockFile), os.O_RDWR|os.O_CREATE, blobMode)
	return c.locked(ctx, l, err, unix.LOCK_EX, f)
}

func (c *Cache) locked(ctx context.Context, l *os.File, err error, how int, f func() error) error {
	if err != nil {
		return c.explain(err)
	}
	defer l.Close()
	if err := flock(ctx, l, how); err != nil {
		return err
	}
	return f()
}
