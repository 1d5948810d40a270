package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// client is the connection to the outside. Proxies and logins are those of the
// system's own configuration, then those of the environment and of netrc.
func (s *session) client(access distro.Access) *web.Client {
	logins := s.netrc()
	return web.NewClient(web.Config{
		Proxy: func(r *http.Request) (*url.URL, error) {
			if access.Proxy != nil {
				if proxy, ok := access.Proxy(r.URL); ok {
					return proxy, nil
				}
			}
			return http.ProxyFromEnvironment(r)
		},
		Login: func(u *url.URL) (web.Login, bool) {
			if access.Login != nil {
				if l, ok := access.Login(u); ok {
					password, _ := l.Password()
					return web.Login{User: l.Username(), Password: password}, true
				}
			}
			return logins.find(u.Hostname())
		},
	})
}

// A fetcher is what distributions reach the network and the cache by: a
// [distro.Fetcher].
type fetcher struct {
	session *session
	client  *web.Client
	cache   *lateCache
}

// Get opens what a URL has now.
func (f *fetcher) Get(ctx context.Context, rawURL string) (io.ReadCloser, error) {
	if name, ok := filePath(rawURL); ok {
		return os.Open(name)
	}
	return f.client.Get(ctx, rawURL)
}

// Blob opens a file of the cache, brought there from one of the URLs where it
// is not.
func (f *fetcher) Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error) {
	c, err := f.cache.get()
	if err != nil {
		return nil, err
	}
	if r, err := c.Open(ctx, want); err == nil {
		return r, nil
	} else if !isNotExist(err) {
		return nil, err
	}
	if len(urls) == 0 {
		return nil, fmt.Errorf("the file %s: %w", want, fs.ErrNotExist)
	}
	planner := &fetch.Planner{Store: store{c}}
	if size >= 0 {
		planner.MaxSize = max(size, 1)
	}
	for _, u := range urls {
		src, err := f.at(u)
		if err != nil {
			return nil, err
		}
		planner.Sources = append(planner.Sources, src)
	}
	entry := lockfile.Entry{Digest: want, Path: path.Base(urls[0])}
	report := planner.Fetch(ctx, []fetch.Request{{Entry: entry}})
	switch {
	case report.Err != nil:
		return nil, report.Err
	case len(report.Failed) > 0:
		return nil, &report.Failed[0]
	}
	return c.Open(ctx, want)
}

// at makes a source of the URL of a single file.
func (f *fetcher) at(rawURL string) (fetch.Source, error) {
	if name, ok := filePath(rawURL); ok {
		d, err := dir.New(filepath.Dir(name))
		return oneFile{d, filepath.Base(name)}, err
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	name := path.Base(u.Path)
	u.Path, u.RawPath = path.Dir(u.Path), ""
	src, err := web.New(f.client, web.Place{URL: u.String()})
	return oneFile{src, name}, err
}

// oneFile is a source that gives one file of another source, whatever is
// asked for.
type oneFile struct {
	fetch.Source
	name string
}

// Name is that of the file.
func (o oneFile) Name() string { return strings.TrimSuffix(o.Source.Name(), "/") + "/" + o.name }

// Open opens the file.
func (o oneFile) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	req.Entry.Path = o.name
	return o.Source.Open(ctx, req)
}

// Limits are those of the other source.
func (o oneFile) Limits() fetch.Limits { return fetch.LimitsOf(o.Source) }

// filePath returns the path of a file: URL.
func filePath(rawURL string) (string, bool) {
	rest, ok := strings.CutPrefix(rawURL, "file:")
	if !ok {
		return "", false
	}
	if after, ok := strings.CutPrefix(rest, "//"); ok {
		_, p, _ := strings.Cut(after, "/")
		rest = "/" + p
	}
	if clean, err := url.PathUnescape(rest); err == nil {
		rest = clean
	}
	return rest, true
}
