package alpine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// Locate finds the file of each package at exactly its version, and of what is
// installed exactly the file that it came from.
//
// No index of apk tells the digest of a file. A signed index tells a package's
// identity; a file of that identity is fetched, or taken from where it is at
// hand, checked down to its data, and hashed. What no index has any more is
// looked for in apk's cache, in req.Directories and at archives that keep old
// packages. It is held against the identity that apk noted when it installed
// it and must be signed by a key that the root trusts, else it is marked
// unsigned.
//
// An index of apk tells no date. The date of the lock is the newest build time
// in the indexes that it rests on: these are signed, and the same on every
// mirror.
func (s *System) Locate(ctx context.Context, req distro.LocateRequest) (*distro.Located, error) {
	l, err := s.locating(ctx, req)
	if err != nil {
		return nil, err
	}
	left := slices.Compact(slices.SortedFunc(slices.Values(req.Packages), distro.Package.Compare))
	wanted := make(map[string]bool, len(left))
	for _, p := range left {
		wanted[p.Name] = true
	}
	l.see(func(r apk.Record) bool { return wanted[r.Name] })
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, p := range left {
		group.Go(func() error {
			found, reason := l.find(ctx, p)
			l.note(p, found, reason)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.result(req)
}

// A located is the file of a package.
type located struct {
	entry lockfile.Entry // with a zero digest where it was not found
	date  time.Time
}

// A locating is one run of Locate or Update. Its methods may be called
// concurrently once it is made.
type locating struct {
	s          *System
	req        distro.LocateRequest
	catalog    *catalog
	identifier distro.Identifier
	shelf      *shelf
	installed  map[string]apk.Record
	sightings  map[string][]sighting // by name

	mu      sync.Mutex
	found   map[distro.Package]located
	reasons map[distro.Package]distro.Reason // of those that were not found
}

// A sighting is a record in an index.
type sighting struct {
	channel *channel
	record  apk.Record
}

func (s *System) locating(ctx context.Context, req distro.LocateRequest) (*locating, error) {
	records, err := s.database()
	if err != nil {
		return nil, err
	}
	l := &locating{s: s, req: req, identifier: req.Identifier, installed: make(map[string]apk.Record, len(records)),
		found: map[distro.Package]located{}, reasons: map[distro.Package]distro.Reason{}}
	for _, r := range records {
		l.installed[r.Name] = r
	}
	if l.identifier == nil {
		l.identifier = atHand{}
	}
	l.shelf = s.newShelf(req.Directories)
	l.catalog, err = s.catalog(ctx, req)
	return l, err
}

// see looks through the indexes for the records that are wanted.
func (l *locating) see(wanted func(apk.Record) bool) {
	l.sightings = map[string][]sighting{}
	for _, c := range l.catalog.channels {
		for _, r := range c.index.Records {
			if wanted(r) {
				l.sightings[r.Name] = append(l.sightings[r.Name], sighting{c, r})
			}
		}
	}
	for _, all := range l.sightings {
		slices.SortStableFunc(all, func(a, b sighting) int { return l.compare(a, b) })
	}
}

// compare puts first what a lock is to name: known archives before others,
// then by name and path. Nothing in it depends on which mirror of an archive
// is configured, or on the order of apk's repositories.
func (l *locating) compare(a, b sighting) int {
	own := func(x sighting) int { return min(len(x.channel.archive.URL), 1) }
	arch := l.s.id.Arch
	return cmp.Or(own(a)-own(b), a.channel.archive.Compare(b.channel.archive),
		strings.Compare(a.channel.path(a.record, arch), b.channel.path(b.record, arch)))
}

// note keeps what came of a package.
func (l *locating) note(p distro.Package, found located, reason distro.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if found.entry.Digest.IsZero() {
		l.reasons[p] = reason
		return
	}
	l.found[p] = found
}

// find finds the file of one package, or says why not.
func (l *locating) find(ctx context.Context, p distro.Package) (located, distro.Reason) {
	have, here := l.installed[p.Name]
	here = here && l.s.packageOf(have) == p
	var same, rebuilt []sighting
	for _, a := range l.sightings[p.Name] {
		switch {
		case a.record.Version != p.Version || !l.fits(a.record, p.Arch):
		case here && len(have.Identity) > 0 && !sameIdentity(a.record.Identity, have.Identity):
			rebuilt = append(rebuilt, a)
		default:
			same = append(same, a)
		}
	}
	var failed error
	if len(same) > 0 {
		found, err := l.identify(ctx, p, same)
		if err == nil {
			return found, distro.Reason{}
		}
		failed = err
	}
	if here && len(have.Identity) > 0 && ctx.Err() == nil {
		if found, ok := l.gone(ctx, p, have); ok {
			return found, distro.Reason{}
		}
	}
	return located{}, l.reason(p, rebuilt, failed)
}

// fits reports whether a record is for packages of the architecture.
func (l *locating) fits(r apk.Record, arch string) bool {
	return r.Arch == arch || r.Arch == "noarch" || r.Arch == "" || arch == "noarch"
}

// sameIdentity compares two identities, of which either may be cut short.
func sameIdentity(a, b []byte) bool {
	n := min(len(a), len(b))
	return n >= 20 && bytes.Equal(a[:n], b[:n])
}

// identify finds the digest of what indexes list. All sightings are of one
// package; the first of them names it in the lock.
func (l *locating) identify(ctx context.Context, p distro.Package, all []sighting) (located, error) {
	first := all[0]
	r := first.record
	if len(r.Identity) == 0 {
		return located{}, errors.New("the index does not tell its identity")
	}
	urls := l.shelf.named(r)
	var date time.Time
	for _, a := range all {
		if !sameIdentity(a.record.Identity, r.Identity) {
			continue
		}
		if a.channel.date.After(date) && a.channel.archive == first.channel.archive {
			date = a.channel.date
		}
		urls = append(urls, l.places(a)...)
	}
	slices.SortStableFunc(urls, func(a, b string) int { return isRemote(a) - isRemote(b) })
	want := distro.Unhashed{
		Identity: identityOf(r), Size: -1, URLs: unique(urls),
		Check: func(body reader) error { return apk.CheckPackage(body, r, nil) },
	}
	if r.Size > 0 {
		want.Size = r.Size
	}
	digest, err := l.identifier.Identify(ctx, want)
	if err != nil {
		return located{}, err
	}
	e := lockfile.Entry{Digest: digest, Path: first.channel.path(r, l.s.id.Arch), Archive: first.channel.archive}
	return located{e, date}, nil
}

// identityOf names a package's file in the form of a lock's path.
func identityOf(r apk.Record) string {
	return "apk/" + r.Name + "-" + r.Version + "/" + hex.EncodeToString(r.Identity)
}

// places returns the URLs at which a sighted file may be.
func (l *locating) places(a sighting) []string {
	arch := l.s.id.Arch
	if dir, ok := localDir(repositoryURL(a.channel.repo)); ok {
		return l.shelf.inRoot(dir + "/" + a.channel.packagePath(a.record, arch))
	}
	urls := []string{a.channel.url(a.record, arch)}
	if a.channel.archive.Name == knownArchive {
		for _, m := range (Distro{}).Traits().Mirrors {
			if m.Archive == knownArchive && !m.Keeper {
				urls = append(urls, joinURL(m.URL, a.channel.path(a.record, arch)))
			}
		}
	}
	return urls
}

func isRemote(url string) int {
	if strings.HasPrefix(url, "file:") {
		return 0
	}
	return 1
}

// unique drops what is said twice; the first of each stays.
func unique(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	})
}

// result makes the lock.
func (l *locating) result(req distro.LocateRequest) (*distro.Located, error) {
	lock := &lockfile.Lock{System: l.s.ID()}
	out := &distro.Located{Lock: lock, Reasons: map[lockfile.Missing]distro.Reason{}}
	owner := map[string]distro.Package{}
	all := make([]distro.Package, 0, len(l.found))
	for p := range l.found {
		all = append(all, p)
	}
	slices.SortFunc(all, distro.Package.Compare)
	for _, p := range all {
		f := l.found[p]
		if q, taken := owner[f.entry.Path]; taken && l.found[q].entry.Digest != f.entry.Digest {
			// A lock has one file for a path.
			l.reasons[p] = distro.Reason{Kind: "another package has its path in the lock", Detail: f.entry.Path + " is " + q.String()}
			continue
		}
		owner[f.entry.Path] = p
		lock.Entries = append(lock.Entries, f.entry)
		if f.date.After(lock.Date) {
			lock.Date = f.date
		}
	}
	lock.Date = lock.Date.UTC().Truncate(time.Second)
	for p, reason := range l.reasons {
		lock.Missing = append(lock.Missing, p.Missing())
		out.Reasons[p.Missing()] = reason
	}
	if len(l.reasons) > 0 {
		out.Hints = l.hints(req)
	}
	return out, lock.Sort()
}

// reason says why a package could not be located. rebuilt are sightings of
// its version with other bytes; failed is what came of the index's file.
func (l *locating) reason(p distro.Package, rebuilt []sighting, failed error) distro.Reason {
	var offers []string
	for _, a := range l.sightings[p.Name] {
		if a.record.Version != p.Version {
			offers = append(offers, a.channel.short()+" offers "+a.record.Version)
		}
	}
	slices.Sort(offers)
	offers = slices.Compact(offers)
	switch {
	case failed != nil && errors.Is(failed, fs.ErrNotExist):
		return distro.Reason{Kind: "the index lists it, but no place has the file"}
	case failed != nil:
		return distro.Reason{Kind: "the index lists it, but its file could not be had", Detail: failed.Error()}
	case len(rebuilt) > 0:
		return distro.Reason{Kind: "the repositories have another build of this version than the one that is installed",
			Detail: fmt.Sprintf("%s has %x, installed is %x", rebuilt[0].channel.short(), rebuilt[0].record.Identity, l.installed[p.Name].Identity)}
	case len(offers) > 0:
		return distro.Reason{Kind: "the repositories offer other versions now", Detail: strings.Join(offers, ", ")}
	case len(l.catalog.channels) == 0:
		return distro.Reason{Kind: "no index could be read"}
	case len(l.catalog.unused) > 0:
		return distro.Reason{Kind: "no index that could be read has this name"}
	}
	return distro.Reason{Kind: "no configured repository has this name; it may have been installed from a file"}
}

// hints says what would help to find what is left.
func (l *locating) hints(req distro.LocateRequest) []string {
	var out []string
	switch {
	case l.catalog.absent && req.Fetcher == nil:
		out = append(out, "indexes are absent from the root: run without --offline to have them fetched, or apk update first")
	case len(l.catalog.unused) > 0:
		out = append(out, "some indexes could not be used: see the warnings")
	case len(l.s.Repositories) == 0:
		out = append(out, "etc/apk/repositories names no repository")
	case l.catalog.cached && req.Fetcher != nil:
		out = append(out, "indexes in the root's cache may be old: run with --update to have fresh ones fetched")
	}
	return append(out,
		"Alpine's mirrors keep no old versions: a .apk file of the installed one is found in the root's etc/apk/cache, in a directory given with --packages, or at an archive of your own")
}
