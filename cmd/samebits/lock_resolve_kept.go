package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// maxKept bounds what is kept of one URL, in bytes. No index that is fetched
// without a hash is as large.
const maxKept = 256 << 20

// kept is a fetcher that keeps in the cache what it got, and when offline gives
// that again. Who asks verifies it in both cases.
type kept struct {
	*fetcher
	offline bool
	off     bool // nothing is kept
}

var _ distro.Fetcher = (*kept)(nil)

// Get opens what a URL has now, or when offline had at last.
func (k *kept) Get(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	if _, local := filePath(rawURL); local || k.off {
		return k.fetcher.Get(ctx, rawURL)
	}
	c, err := k.cache.get()
	if err != nil {
		return nil, err
	}
	key := lockfile.DigestOf([]byte("at URL 1\n" + rawURL + "\n"))
	var d lockfile.Digest
	if k.offline {
		blobs, err := c.Derived(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("%s is not kept in the cache %s; resolve without --offline once", withoutLogin(rawURL), c.Dir())
		}
		d = blobs[0]
	} else {
		body, err := k.fetcher.Get(ctx, rawURL)
		if errors.Is(err, fs.ErrNotExist) { // for that stands an empty file
			body = io.NopCloser(strings.NewReader(""))
		} else if err != nil {
			return nil, err
		}
		d, err = c.Add(ctx, body, maxKept, nil)
		if err = errors.Join(err, body.Close()); err != nil {
			return nil, err
		}
		if err := c.SetDerived(ctx, key, "index "+withoutLogin(rawURL), []lockfile.Digest{d}); err != nil {
			k.session.detail("%s is not kept: %v", withoutLogin(rawURL), err)
		}
	}
	f, err := c.Open(ctx, d)
	if err == nil && d == lockfile.DigestOf(nil) {
		return nil, errors.Join(fmt.Errorf("%s: %w", withoutLogin(rawURL), fs.ErrNotExist), f.Close())
	}
	return f, err
}

// Blob opens a file of the cache, brought there unless offline.
func (k *kept) Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error) {
	if k.offline {
		urls = nil
	}
	return k.fetcher.Blob(ctx, want, size, urls...)
}
