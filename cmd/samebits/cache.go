package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// rootCache is where root's cache is, as the file system standard has it.
const rootCache = "/var/cache/samebits"

// cacheDir is where the cache lies: --cache, SAMEBITS_CACHE, what the
// configuration says, else root's or the user's own place.
func (s *session) cacheDir() (string, error) {
	for _, dir := range []string{s.String("cache"), s.getenv("SAMEBITS_CACHE")} {
		if dir != "" {
			return dir, nil
		}
	}
	for _, c := range s.configs {
		if c.Cache != "" {
			return c.Cache, nil
		}
	}
	if dir := s.getenv("XDG_CACHE_HOME"); filepath.IsAbs(dir) && os.Geteuid() != 0 {
		return filepath.Join(dir, "samebits"), nil
	}
	if os.Geteuid() == 0 {
		return rootCache, nil
	}
	if home := s.getenv("HOME"); home != "" {
		return filepath.Join(home, ".cache", "samebits"), nil
	}
	return "", errors.New("there is no place for the cache: set --cache, SAMEBITS_CACHE or HOME")
}

// openCache opens the cache, and makes it where there is none.
func (s *session) openCache() (*cache.Cache, error) {
	dir, err := s.cacheDir()
	if err != nil {
		return nil, err
	}
	return cache.Open(dir)
}

// openExistingCache opens the cache for a verb that only looks at it.
func (s *session) openExistingCache() (*cache.Cache, error) {
	dir, err := s.cacheDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no cache at %s yet: \"samebits lock fetch\" makes one, or name another with --cache", dir)
	}
	return cache.Open(dir)
}

// A lateCache opens the cache when it is first asked for: a run that has
// nothing to do with it neither makes nor needs one.
type lateCache struct {
	session *session
	once    sync.Once
	cache   *cache.Cache
	err     error
	atClose []func(*cache.Cache) error // in turn, if it was opened
}

func (l *lateCache) get() (*cache.Cache, error) {
	l.once.Do(func() { l.cache, l.err = l.session.openCache() })
	return l.cache, l.err
}

// close closes the cache, if it was opened.
func (l *lateCache) close() {
	l.once.Do(func() { l.err = errors.New("the cache is closed") })
	if l.cache == nil {
		return
	}
	for _, f := range append(l.atClose, (*cache.Cache).Close) {
		if err := f(l.cache); err != nil {
			l.session.warn("%v", err)
		}
	}
}

// Path makes of it a [distro.Blobs].
func (l *lateCache) Path(ctx context.Context, d lockfile.Digest) (string, error) {
	c, err := l.get()
	if err != nil {
		return "", err
	}
	return c.Path(ctx, d)
}

// store is a cache as the planner wants it.
type store struct{ *cache.Cache }

// Begin implements [fetch.Store]. A nil *cache.Partial must not become an
// interface that is not nil.
func (s store) Begin(ctx context.Context, d lockfile.Digest) (fetch.Partial, error) {
	p, err := s.Cache.Begin(ctx, d)
	if p == nil || err != nil {
		return nil, err
	}
	return p, nil
}
