package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// fetch gets the indexes of a repository from the first of its mirrors that
// serves them.
func (l *loader) fetch(ctx context.Context, repo *apt.Repository) (loaded, error) {
	mirrors := repo.Mirrors
	if len(mirrors) == 0 {
		list, err := l.mirrorList(ctx, repo.URI)
		if err != nil {
			return loaded{}, err
		}
		mirrors = list
	}
	var failed error
	for _, base := range mirrors {
		out, err := l.fetchFrom(ctx, repo, archive.Dir(base, repo.Suite))
		if err == nil {
			return out, nil
		}
		failed = err
		if archive.IsSignature(err) {
			break
		}
	}
	if failed == nil {
		failed = errors.New("the list of its mirrors is empty")
	}
	return loaded{}, failed
}

// mirrorList fetches the list of mirrors behind a "mirror+http:" URI; any
// other URI is its own mirror.
func (l *loader) mirrorList(ctx context.Context, uri string) ([]string, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, err
	}
	_, scheme, ok := bytes.Cut([]byte(u.Scheme), []byte("mirror+"))
	if !ok {
		return []string{uri}, nil
	}
	u.Scheme = string(scheme)
	body, err := l.fetcher.Get(ctx, u.String())
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, archive.MaxRelease))
	if err != nil {
		return nil, err
	}
	return apt.ParseMirrorList(data), nil
}

func (l *loader) fetchFrom(ctx context.Context, repo *apt.Repository, dir string) (loaded, error) {
	l.s.events.Stepping("fetching the Release file of " + describe(repo))
	rel, unsigned, err := l.freshRelease(ctx, repo, dir)
	if err != nil {
		return loaded{}, err
	}
	var out loaded
	byHash := rel != nil && rel.ByHash
	if repo.ByHash != nil {
		byHash = *repo.ByHash
	}
	for _, component := range components(repo) {
		for _, arch := range architectures(repo, rel) {
			name := archive.PackagesPath(component, arch)
			l.s.events.Stepping(fmt.Sprintf("fetching the index %s of %s", name, describe(repo)))
			var records []archive.Record
			if rel == nil {
				records, err = archive.FetchUnlisted(ctx, l.fetcher, dir, name, l.want)
			} else {
				records, err = archive.FetchPackages(ctx, l.fetcher, dir, rel, name, byHash, l.want)
			}
			if errors.Is(err, archive.ErrNotListed) {
				continue // a suite need not have each component for each architecture
			}
			if err != nil {
				return loaded{}, fmt.Errorf("%s: %w", name, err)
			}
			out.indexes = append(out.indexes, &index{repo: repo, release: rel, archive: archiveOf(repo, rel),
				unsigned: unsigned, component: component, arch: arch, records: records})
		}
	}
	return out, nil
}

// freshRelease gets the Release and judges it as of now: it tells what is
// offered today, so neither its key nor itself may have expired, and it may
// not be older than what the root has seen. It is nil, without an error, where
// a trusted repository has none.
func (l *loader) freshRelease(ctx context.Context, repo *apt.Repository, dir string) (*archive.Release, bool, error) {
	unsigned := false
	rel, err := archive.FetchRelease(ctx, l.fetcher, dir, l.keys.of(repo.Trust), l.now)
	if archive.IsSignature(err) {
		if !pardons(repo) {
			return nil, false, fmt.Errorf("%w; %s", err, signatureRemedy(err))
		}
		unsigned = true
		rel, err = archive.FetchUnsigned(ctx, l.fetcher, dir)
	}
	if errors.Is(err, fs.ErrNotExist) && pardons(repo) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, err
	}
	if repo.CheckValidUntil && !rel.ValidUntil.IsZero() && l.now.After(rel.ValidUntil) {
		return nil, false, fmt.Errorf("it was valid until %s only; if the archive is meant to be an old one, set Check-Valid-Until: no in apt's sources", stamp(rel.ValidUntil))
	}
	if old, oldUnsigned, err := l.listedRelease(repo); err == nil && old != nil && !oldUnsigned && rel.Date.Before(old.Date) {
		return nil, false, fmt.Errorf("it is of %s, older than the list on disk of %s; try another mirror", stamp(rel.Date), stamp(old.Date))
	}
	return rel, unsigned, nil
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// A rootFetcher serves file: and copy: URIs from the root and passes the
// others on.
type rootFetcher struct {
	files *rootfs.Root
	next  distro.Fetcher // nil when offline
}

var errOffline = errors.New("the network may not be used")

// reaches reports whether the fetcher can serve the URI at all.
func (f *rootFetcher) reaches(uri string) bool {
	_, local := f.local(uri)
	return local || f.next != nil
}

func (f *rootFetcher) local(uri string) (path string, ok bool) {
	u, err := url.Parse(uri)
	if err != nil || (u.Scheme != "file" && u.Scheme != "copy") {
		return "", false
	}
	return u.Path, true
}

// Get implements [distro.Fetcher].
func (f *rootFetcher) Get(ctx context.Context, uri string) (io.ReadCloser, error) {
	if path, ok := f.local(uri); ok {
		return f.files.Open(path)
	}
	if f.next == nil {
		return nil, errOffline
	}
	return f.next.Get(ctx, uri)
}

// Blob implements [distro.Fetcher].
func (f *rootFetcher) Blob(ctx context.Context, want lockfile.Digest, size int64, urls ...string) (io.ReadCloser, error) {
	if _, ok := f.local(urls[0]); !ok {
		if f.next == nil {
			return nil, errOffline
		}
		return f.next.Blob(ctx, want, size, urls...)
	}
	for _, u := range urls {
		path, _ := f.local(u)
		data, err := f.files.ReadFile(path, size)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if got := lockfile.DigestOf(data); got != want {
			return nil, fmt.Errorf("%s: %w", path, &lockfile.DigestError{Want: want, Got: got, Size: int64(len(data))})
		}
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	return nil, fs.ErrNotExist
}
