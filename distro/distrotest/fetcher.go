package distrotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// A Fetcher is a [distro.Fetcher], a [distro.Identifier] and a [distro.Blobs]
// over plain HTTP and file: URLs, with a directory for a cache.
type Fetcher struct {
	// Dir keeps the files by their digests.
	Dir string

	mu    sync.Mutex
	known map[string]lockfile.Digest // by identity
	asked []string
}

// Asked returns the URLs that were asked for so far.
func (f *Fetcher) Asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.asked...)
}

// Get opens what a URL has.
func (f *Fetcher) Get(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	f.mu.Lock()
	f.asked = append(f.asked, rawURL)
	f.mu.Unlock()
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "file" {
		return os.Open(u.Path)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return resp.Body, nil
	case http.StatusNotFound:
		err = fmt.Errorf("%s: %w", rawURL, fs.ErrNotExist)
	default:
		err = fmt.Errorf("%s: %s", rawURL, resp.Status)
	}
	return nil, errors.Join(err, resp.Body.Close())
}

// Blob opens a file by its digest.
func (f *Fetcher) Blob(ctx context.Context, want lockfile.Digest, _ int64, urls ...string) (io.ReadCloser, error) {
	if name, err := f.Path(ctx, want); err == nil {
		return os.Open(name)
	}
	return f.first(ctx, urls, func(data []byte) error {
		if got := lockfile.DigestOf(data); got != want {
			return &lockfile.DigestError{Want: want, Got: got, Size: int64(len(data))}
		}
		return f.keep(data)
	})
}

// Identify finds out a digest.
func (f *Fetcher) Identify(ctx context.Context, want distro.Unhashed) (lockfile.Digest, error) {
	f.mu.Lock()
	d, ok := f.known[want.Identity]
	f.mu.Unlock()
	if ok {
		data, err := os.ReadFile(filepath.Join(f.Dir, d.String()))
		if err == nil && want.Check(bytes.NewReader(data)) == nil {
			return d, nil
		}
	}
	body, err := f.first(ctx, want.URLs, func(data []byte) error {
		if want.Size >= 0 && int64(len(data)) != want.Size {
			return fmt.Errorf("%d bytes where %d are right", len(data), want.Size)
		}
		if err := want.Check(bytes.NewReader(data)); err != nil {
			return err
		}
		d = lockfile.DigestOf(data)
		return f.keep(data)
	})
	if err != nil {
		return lockfile.Digest{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[string]lockfile.Digest{}
	}
	f.known[want.Identity] = d
	return d, body.Close()
}

// Path returns the path of a file that is kept.
func (f *Fetcher) Path(_ context.Context, d lockfile.Digest) (string, error) {
	name := filepath.Join(f.Dir, d.String())
	_, err := os.Stat(name)
	return name, err
}

func (f *Fetcher) keep(data []byte) error {
	return os.WriteFile(filepath.Join(f.Dir, lockfile.DigestOf(data).String()), data, 0o644)
}

// first returns what the first URL has that is accepted. The error is
// fs.ErrNotExist only where all of them say so.
func (f *Fetcher) first(ctx context.Context, urls []string, accept func([]byte) error) (io.ReadCloser, error) {
	var errs []error
	for _, u := range urls {
		data, err := f.all(ctx, u)
		if err == nil {
			err = accept(data)
		}
		if err == nil {
			return io.NopCloser(bytes.NewReader(data)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("%s: %w", u, err))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return nil, fmt.Errorf("none of %s: %w", strings.Join(urls, ", "), fs.ErrNotExist)
}

func (f *Fetcher) all(ctx context.Context, u string) ([]byte, error) {
	body, err := f.Get(ctx, u)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(body)
	return data, errors.Join(err, body.Close())
}
