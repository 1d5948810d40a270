package snapshottest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Fetcher is a plain [distro.Fetcher] over HTTP without a cache. It asks
// again, up to three times, where it is told to wait or the server fails.
type Fetcher struct{}

// Get fetches a URL.
func (Fetcher) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	var last error
	for range 3 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return nil, err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, err
		}
		switch {
		case resp.StatusCode == http.StatusOK:
			return resp.Body, nil
		case resp.StatusCode == http.StatusNotFound:
			_ = resp.Body.Close()
			return nil, fmt.Errorf("%s: %w", url, fs.ErrNotExist)
		}
		_ = resp.Body.Close()
		last = fmt.Errorf("%s: %s", url, resp.Status)
		wait, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		select {
		case <-time.After(time.Duration(wait) * time.Second):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, last
}

// Blob fetches the first of the URLs that has the right bytes.
func (f Fetcher) Blob(ctx context.Context, want lockfile.Digest, _ int64, urls ...string) (io.ReadCloser, error) {
	err := fmt.Errorf("no URL: %w", fs.ErrNotExist)
	for _, u := range urls {
		var body io.ReadCloser
		if body, err = f.Get(ctx, u); err != nil {
			continue
		}
		var data []byte
		data, err = io.ReadAll(body)
		_ = body.Close()
		if err != nil {
			continue
		}
		if got := lockfile.DigestOf(data); got != want {
			err = &lockfile.DigestError{Want: want, Got: got, Size: int64(len(data))}
			continue
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, err
}
