package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// maxAnswer bounds what a service may answer to a Get, in bytes. The largest
// InRelease files have some 300 kB.
const maxAnswer = 16 << 20

// ErrLimit is what a [Client] answers once it has asked as often as it may.
var ErrLimit = errors.New("the bound on requests to public snapshot archives is reached")

// A Client is a [distro.Fetcher] that asks politely. Its requests are made one
// after the other, however many call it at once, and no more than its limit.
type Client struct {
	fetcher distro.Fetcher
	limit   int

	mu    sync.Mutex // held during a request
	asked int
}

// NewClient returns a client that makes at most limit requests through f.
func NewClient(f distro.Fetcher, limit int) *Client {
	return &Client{fetcher: f, limit: limit}
}

// Asked returns the number of requests so far.
func (c *Client) Asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// Get fetches what the URL has. The answer has arrived whole before Get
// returns, so that the next request does not overlap with it; one of more than
// 16 MiB is an error.
func (c *Client) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.take(); err != nil {
		return nil, err
	}
	body, err := c.fetcher.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("%s has more than %d bytes", url, maxAnswer)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Blob opens the file of the given digest. Each URL that has to be tried counts
// as a request. By-hash URLs are tried last: a kept state does not change
// under its reader, and services are surer to have the plain name.
func (c *Client) Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error) {
	urls = slices.Clone(urls)
	slices.SortStableFunc(urls, func(a, b string) int { return byHash(a) - byHash(b) })
	c.mu.Lock()
	defer c.mu.Unlock()
	err := fmt.Errorf("no URL to fetch %s from: %w", want, fs.ErrNotExist)
	for _, u := range urls {
		if limit := c.take(); limit != nil {
			return nil, limit
		}
		var body io.ReadCloser
		if body, err = c.fetcher.Blob(ctx, want, size, u); err == nil {
			return body, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return nil, err
}

func byHash(url string) int {
	if strings.Contains(url, "/by-hash/") {
		return 1
	}
	return 0
}

// take counts a request; c.mu is held.
func (c *Client) take() error {
	if c.asked >= c.limit {
		return fmt.Errorf("%w (%d)", ErrLimit, c.limit)
	}
	c.asked++
	return nil
}
