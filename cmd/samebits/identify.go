package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// identifyTries is how often a file is asked of a place that breaks off.
const identifyTries = 3

// An identifier finds out the digests of files that no index tells, by
// fetching them into the cache: a [distro.Identifier].
type identifier struct {
	session *session
	fetcher *fetcher // nil when offline
	cache   *lateCache

	once  sync.Once
	known map[string][]lockfile.Digest // by identity
	begun time.Time

	mu    sync.Mutex
	found []lockfile.Entry         // since, with identities for paths
	files int                      // that came over the network
	bytes int64                    // of them
	hosts map[string]chan struct{} // what may be asked at once of each

	// keepers are the hosts that keep old files for everyone.
	keepers map[string]bool
}

// newIdentifier returns an identifier that goes as far as f does and is gentle
// with the keepers; f is nil when offline.
func (s *session) newIdentifier(f *fetcher, c *lateCache, keepers []distro.Mirror) *identifier {
	i := &identifier{session: s, fetcher: f, cache: c, hosts: map[string]chan struct{}{}, keepers: map[string]bool{}}
	for _, k := range keepers {
		i.keepers[hostOf(k.URL)] = true
	}
	c.atClose = append(c.atClose, i.keep)
	return i
}

// Identify looks into the cache, then at each URL in turn.
func (i *identifier) Identify(ctx context.Context, want distro.Unhashed) (lockfile.Digest, error) {
	c, err := i.cache.get()
	if err != nil {
		return lockfile.Digest{}, err
	}
	i.once.Do(func() { i.remembered(ctx, c) })
	for _, d := range i.known[want.Identity] {
		if i.isStill(ctx, c, d, want) {
			return d, nil
		}
	}
	var errs []error
	for _, u := range want.URLs {
		d, err := i.take(ctx, c, u, want)
		if err == nil {
			return d, nil
		}
		if ctx.Err() != nil {
			return d, ctx.Err()
		}
		if !isNotExist(err) {
			errs = append(errs, fmt.Errorf("%s: %w", withoutLogin(u), err))
		}
	}
	if len(errs) > 0 {
		return lockfile.Digest{}, errors.Join(errs...)
	}
	return lockfile.Digest{}, fmt.Errorf("no source has it: %w", os.ErrNotExist)
}

// remembered reads what earlier runs found out. What cannot be read is found
// out again.
func (i *identifier) remembered(ctx context.Context, c *cache.Cache) {
	i.begun = time.Now()
	known, err := c.ByName(ctx)
	if err != nil {
		i.session.detail("what the cache knows of its files is not used: %v", err)
	}
	i.known = known
}

// isStill checks a file that the cache remembers, as if it came from outside:
// a name in the cache is no proof.
func (i *identifier) isStill(ctx context.Context, c *cache.Cache, d lockfile.Digest, want distro.Unhashed) bool {
	size, err := c.Size(d)
	if err != nil || want.Size >= 0 && size != want.Size {
		return false
	}
	f, err := c.Open(ctx, d)
	if err != nil {
		return false
	}
	defer f.Close()
	return want.Check(f) == nil
}

// take brings the file of a URL into the cache. A body that breaks off is
// asked for again; what the check refuses is not.
func (i *identifier) take(ctx context.Context, c *cache.Cache, u string, want distro.Unhashed) (d lockfile.Digest, err error) {
	name, local := filePath(u)
	if !local && i.fetcher == nil {
		return d, errOffline
	}
	var refused error
	if !local {
		free, err := i.slot(ctx, u)
		if err != nil {
			return d, err
		}
		defer free()
	}
	for range identifyTries {
		var body io.ReadCloser
		if local {
			body, err = os.Open(name)
		} else {
			body, err = i.fetcher.Get(ctx, u)
		}
		if err != nil {
			return d, err
		}
		counted := &counter{r: body}
		d, err = c.Add(ctx, counted, want.Size, func(r io.Reader) error {
			err := want.Check(r)
			if err == nil {
				_, err = io.Copy(io.Discard, r)
			}
			if counted.ended && want.Size >= 0 && counted.n != want.Size {
				return io.ErrUnexpectedEOF
			}
			if counted.failed == nil {
				refused = err
			}
			return err
		})
		err = errors.Join(err, body.Close())
		if err == nil {
			i.note(d, want.Identity, counted.n, local)
			return d, nil
		}
		if refused != nil || local || ctx.Err() != nil || errors.Is(err, cache.ErrTooLarge) {
			return d, err
		}
	}
	return d, err
}

func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// slot waits until the URL's host may be asked, one at a time with a pause
// between where it keeps old files for everyone, and returns what gives the
// place free.
func (i *identifier) slot(ctx context.Context, rawURL string) (free func(), err error) {
	host := hostOf(rawURL)
	i.mu.Lock()
	slots := i.hosts[host]
	if slots == nil {
		slots = make(chan struct{}, fetch.DefaultPerHost)
		if i.keepers[host] {
			slots = make(chan struct{}, 1)
		}
		i.hosts[host] = slots
	}
	i.mu.Unlock()
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	give := func() { <-slots }
	if i.keepers[host] {
		return func() { time.AfterFunc(web.KeeperPause, give) }, nil
	}
	return give, nil
}

func (i *identifier) note(d lockfile.Digest, identity string, n int64, local bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.found = append(i.found, lockfile.Entry{Digest: d, Path: identity})
	if !local {
		i.files++
		i.bytes += n
	}
}

// keep writes down what was found out, for the next run. The files themselves
// are on their way to the disk and not waited for: the lock does not rest on
// their being there, and whoever uses one hashes it again.
func (i *identifier) keep(c *cache.Cache) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.found) == 0 {
		return nil
	}
	if i.files > 0 {
		i.session.say("%s fetched to hash, %s in %s", count(i.files, "package"), size(i.bytes), took(time.Since(i.begun)))
	}
	return c.Remember(context.WithoutCancel(i.session.ctx), i.found)
}

// counter counts what is read, and notes how it ended.
type counter struct {
	r      io.Reader
	n      int64
	ended  bool
	failed error
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	switch {
	case err == io.EOF:
		c.ended = true
	case err != nil:
		c.failed = err
	}
	return n, err
}
