package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/lockfile"
)

// An index is what one Packages file has of the wanted packages. The chain
// from the signature down to the records was checked, unless it says unsigned.
type index struct {
	repo *apt.Repository
	// release is nil where a trusted repository has none.
	release  *archive.Release
	archive  lockfile.Archive
	unsigned bool
	// component is empty for a flat repository; arch is that of the index,
	// which has packages for all architectures too.
	component, arch string
	records         []archive.Record
}

// suite names the suite for messages.
func (x *index) suite() string {
	if x.release != nil && x.release.Codename != "" {
		return x.release.Codename
	}
	return x.repo.Suite
}

// entry returns what a lock says of a record of the index.
func (x *index) entry(r archive.Record) lockfile.Entry {
	return lockfile.Entry{Digest: r.Digest, Path: r.Path, Archive: x.archive, Unsigned: x.unsigned}
}

// A catalog is what the indexes of a root have of the wanted packages.
type catalog struct {
	// indexes are in the order of apt's sources.
	indexes []*index
	// unused says of each repository that could not be used why. Whoever
	// reads the catalog has been warned of them already.
	unused []string
	// absent says that a repository has no list on disk and none could be
	// fetched.
	absent bool
}

// maxParallel bounds how many repositories are read at once.
const maxParallel = 8

// catalog reads the indexes of all repositories of the root, from its lists or
// from the network as req says, and keeps the records that want asks for.
func (s *System) catalog(ctx context.Context, req distro.LocateRequest, want archive.Wanted) (*catalog, error) {
	l := &loader{s: s, req: req, want: want, now: time.Now()}
	var warnings sync.Mutex
	var keyWarnings []string
	l.keys = newKeyrings(s.Files, func(m string) {
		warnings.Lock()
		defer warnings.Unlock()
		keyWarnings = append(keyWarnings, m)
	})
	l.fetcher = &rootFetcher{files: s.Files, next: req.Fetcher}
	repos := s.repositories()
	results := make([]loaded, len(repos))
	slots := make(chan struct{}, maxParallel)
	var wg sync.WaitGroup
	for i, repo := range repos {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results[i] = l.load(ctx, repo)
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	slices.Sort(keyWarnings)
	for _, m := range keyWarnings {
		s.events.Warning(m)
	}
	c := &catalog{}
	for _, r := range results {
		c.indexes = append(c.indexes, r.indexes...)
		c.unused = append(c.unused, r.problems...)
		c.absent = c.absent || r.absent
		for _, m := range r.problems {
			s.events.Warning(m)
		}
	}
	return c, nil
}

// repositories returns those of the root that have packages.
func (s *System) repositories() []*apt.Repository {
	var out []*apt.Repository
	for i := range s.Config.Repositories {
		if r := &s.Config.Repositories[i]; !r.Source {
			out = append(out, r)
		}
	}
	return out
}

// A loader reads repositories, each by one call of load.
type loader struct {
	s       *System
	req     distro.LocateRequest
	want    archive.Wanted
	now     time.Time
	keys    *keyrings
	fetcher *rootFetcher
}

// A loaded is what came of one repository.
type loaded struct {
	indexes  []*index
	problems []string
	absent   bool
}

func (l *loader) load(ctx context.Context, repo *apt.Repository) loaded {
	if repo.Trust.Never {
		return loaded{problems: []string{describe(repo) + ` is marked "trusted=no" in ` + repo.File + " and not used"}}
	}
	online := l.fetcher.reaches(repo.URI)
	var failed []string
	if l.req.Fresh && online {
		out, err := l.fetch(ctx, repo)
		if err == nil {
			return out
		}
		failed = []string{fmt.Sprintf("no fresh index of %s is used: %v", describe(repo), err)}
	}
	out, err := l.readLists(repo)
	if errors.Is(err, fs.ErrNotExist) && online && len(failed) == 0 {
		if out, err = l.fetch(ctx, repo); err != nil {
			return loaded{problems: []string{fmt.Sprintf("the index of %s is not used: %v", describe(repo), err)}}
		}
		return out
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return loaded{absent: true, problems: append(failed, fmt.Sprintf("%s has no list on disk; run apt-get update, or let samebits fetch the index with --update", describe(repo)))}
	case err != nil:
		return loaded{problems: append(failed, err.Error())}
	}
	out.problems = append(failed, out.problems...)
	return out
}

// describe names a repository for a person.
func describe(repo *apt.Repository) string { return baseURL(repo) + " " + repo.Suite }

// baseURL returns the URL of the repository's archive as a lock and messages
// may have it: without user and password, with one slash at the end.
func baseURL(repo *apt.Repository) string {
	uri := repo.URI
	if strings.HasPrefix(uri, "mirror") && len(repo.Mirrors) > 0 {
		uri = repo.Mirrors[0]
	}
	u, err := url.Parse(uri)
	if err != nil {
		return "an unreadable URI"
	}
	if u.Scheme == "copy" || u.Scheme == "file" {
		return "file://" + strings.TrimRight(u.Path, "/") + "/"
	}
	u.User = nil
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	return strings.TrimRight(u.String(), "/") + "/"
}

// archiveOf names the archive of a repository. Only those that are not
// generally known carry their URL: with another mirror of a known one the lock
// is the same.
func archiveOf(repo *apt.Repository, rel *archive.Release) lockfile.Archive {
	a := lockfile.Archive{Name: lockfile.ArchiveName("", "")}
	if rel != nil {
		a.Name = rel.Archive()
	}
	if !isKnownArchive(a.Name) {
		a.URL = baseURL(repo)
	}
	return a
}

func isKnownArchive(name string) bool {
	return slices.ContainsFunc(Distro{}.Traits().Mirrors, func(m distro.Mirror) bool { return m.Archive == name })
}

// components returns those of the repository; a flat one has the one that is
// called "".
func components(repo *apt.Repository) []string {
	if repo.Flat() {
		return []string{""}
	}
	return repo.Components
}

// architectures returns those whose indexes the repository is read for.
// Packages for all architectures are in the index of each, and in some
// archives in one of their own.
func architectures(repo *apt.Repository, rel *archive.Release) []string {
	if repo.Flat() {
		return []string{""}
	}
	if rel != nil && slices.Contains(rel.Architectures, "all") && !rel.NoAllIndex {
		return append(slices.Clone(repo.Architectures), "all")
	}
	return repo.Architectures
}
