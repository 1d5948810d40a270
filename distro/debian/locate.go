package debian

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/lockfile"
)

// Locate finds the file of each package at exactly its version: in the indexes
// of the root (or fresh ones), in apt's package cache, in archives that keep
// the past, among the files that earlier runs fetched.
func (s *System) Locate(ctx context.Context, req distro.LocateRequest) (*distro.Located, error) {
	names := make(map[string]bool, len(req.Packages))
	for _, p := range req.Packages {
		names[p.Name] = true
	}
	c, err := s.catalog(ctx, req, func(name []byte) bool { return names[string(name)] })
	if err != nil {
		return nil, err
	}
	l := &locating{s: s, catalog: c, found: map[distro.Package]located{}, reasons: map[distro.Package]string{}}
	l.left = slices.Compact(slices.SortedFunc(slices.Values(req.Packages), distro.Package.Compare))
	l.inIndexes(ctx)
	if len(l.left) > 0 {
		if err := l.inPackageCache(ctx, req.Directories); err != nil {
			return nil, err
		}
	}
	if len(l.left) > 0 && req.Snapshots && req.Fetcher != nil {
		l.inPast(ctx, req)
	}
	if len(l.left) > 0 && req.Identifier != nil {
		if err := l.inOwnCache(ctx, req.Identifier); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return l.result(req)
}

// A located is the file of a package and what it is known from.
type located struct {
	entry lockfile.Entry
	date  time.Time // of the Release that it rests on; zero for none
}

// A locating is one run of Locate.
type locating struct {
	s       *System
	catalog *catalog
	left    []distro.Package // not found yet, sorted
	found   map[distro.Package]located
	reasons map[distro.Package]string // of those that are left, where there is a special one
}

// take notes what was found and takes it off those that are left.
func (l *locating) take(find func(distro.Package) (located, bool)) {
	l.left = slices.DeleteFunc(l.left, func(p distro.Package) bool {
		f, ok := find(p)
		if ok {
			l.found[p] = f
		}
		return ok
	})
}

// A sighting is a record of a wanted package in an index.
type sighting struct {
	index  *index
	record archive.Record
}

func (a sighting) entry() lockfile.Entry { return a.index.entry(a.record) }

// compare puts first what a lock is to name: signed before unsigned, known
// archives before others, then by name and path. Nothing in it depends on
// which mirror of an archive is configured, or on the order of apt's sources.
func (a sighting) compare(b sighting) int {
	e, f := a.entry(), b.entry()
	rank := func(e lockfile.Entry) int {
		n := 0
		if e.Unsigned {
			n += 2
		}
		if e.Archive.URL != "" {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(e), rank(f)), e.Compare(f), strings.Compare(e.Digest.String(), f.Digest.String()))
}

// inIndexes locates what the indexes have.
func (l *locating) inIndexes(ctx context.Context) {
	sightings := map[distro.Package][]sighting{}
	for _, x := range l.catalog.indexes {
		for _, r := range x.records {
			sightings[r.Package] = append(sightings[r.Package], sighting{x, r})
		}
	}
	l.take(func(p distro.Package) (located, bool) {
		all := sightings[p]
		if len(all) == 0 {
			return located{}, false
		}
		slices.SortFunc(all, sighting.compare)
		best := all[0]
		if slices.ContainsFunc(all, func(a sighting) bool { return a.record.Digest != best.record.Digest }) {
			best = l.choose(ctx, p, all)
		}
		return located{best.entry(), newestDate(all, best)}, true
	})
}

// newestDate returns the newest date of the indexes that name the same file
// in the same archive: which of them comes first is of no account then.
func newestDate(all []sighting, best sighting) time.Time {
	var newest time.Time
	for _, a := range all {
		if a.record.Digest == best.record.Digest && a.index.archive == best.index.archive && a.index.release != nil &&
			a.index.release.Date.After(newest) {
			newest = a.index.release.Date
		}
	}
	return newest
}

// choose decides between different files of the same name, version and
// architecture. The first whose relations are those of the installed package
// is taken, else the first; all is sorted. A person is told.
func (l *locating) choose(ctx context.Context, p distro.Package, all []sighting) sighting {
	best, why := all[0], "which of them is installed cannot be told"
	if statuses, err := l.s.Statuses(ctx); err == nil {
		i := slices.IndexFunc(statuses, func(s Status) bool { return s.ID() == p })
		same := func(a sighting) bool { return i >= 0 && sameRelations(statuses[i], a.record) }
		differs := func(a sighting) bool { return !same(a) }
		if j := slices.IndexFunc(all, same); j >= 0 && slices.ContainsFunc(all, differs) {
			best, why = all[j], "its dependencies are those of the installed package"
		}
	}
	var others []string
	for _, a := range all {
		name := a.entry().Archive.String()
		if a.record.Digest != best.record.Digest && !slices.Contains(others, name) {
			others = append(others, name)
		}
	}
	l.s.events.Warning(fmt.Sprintf("%s is a different file in %s than in %s; the one of %s is locked: %s",
		p, best.entry().Archive, strings.Join(others, " and "), best.entry().Archive, why))
	return best
}

func sameRelations(s Status, r archive.Record) bool {
	squeeze := func(v string) string { return strings.Join(strings.Fields(v), " ") }
	return squeeze(s.Depends) == squeeze(r.Depends) && squeeze(s.PreDepends) == squeeze(r.PreDepends) &&
		squeeze(s.Provides) == squeeze(r.Provides)
}

// inPast asks archives that keep old versions.
func (l *locating) inPast(ctx context.Context, req distro.LocateRequest) {
	keys := newKeyrings(l.s.Files, func(string) {}) // warned of before
	var suites []pastSuite
	for _, repo := range l.s.repositories() {
		p := pastSuite{repo: *repo, keys: keys.of(repo.Trust)}
		for _, x := range l.catalog.indexes {
			if x.repo == repo && !x.unsigned {
				p.now = x.release
			}
		}
		suites = append(suites, p)
	}
	found, reasons := l.s.searchPast(ctx, req, slices.Clone(l.left), suites)
	l.take(func(p distro.Package) (located, bool) {
		r, ok := found[p]
		if !ok {
			return located{}, false
		}
		e := lockfile.Entry{Digest: r.Digest, Path: r.Path, Archive: r.archive}
		return located{e, r.release.Date}, true
	})
	for p, reason := range reasons {
		l.reasons[p] = reason
	}
}

// result makes the lock.
func (l *locating) result(req distro.LocateRequest) (*distro.Located, error) {
	lock := &lockfile.Lock{System: l.s.ID()}
	out := &distro.Located{Lock: lock, Reasons: map[lockfile.Missing]distro.Reason{}}
	owner := map[string]distro.Package{}
	all := slices.SortedFunc(slices.Values(keysOf(l.found)), distro.Package.Compare)
	for _, p := range all {
		f := l.found[p]
		if q, taken := owner[f.entry.Path]; taken && l.found[q].entry.Digest != f.entry.Digest {
			// A lock has one file for a path.
			l.reasons[p] = fmt.Sprintf("%s has it at the path at which %s has %s: %s", f.entry.Archive, l.found[q].entry.Archive, q.Name, f.entry.Path)
			l.left = append(l.left, p)
			continue
		}
		owner[f.entry.Path] = p
		lock.Entries = append(lock.Entries, f.entry)
		if f.date.After(lock.Date) {
			lock.Date = f.date
		}
	}
	lock.Date = lock.Date.UTC().Truncate(time.Second)
	for _, p := range l.left {
		lock.Missing = append(lock.Missing, p.Missing())
		out.Reasons[p.Missing()] = l.reason(p)
	}
	if len(l.left) > 0 {
		out.Hints = l.hints(req)
	}
	return out, lock.Sort()
}

func keysOf(m map[distro.Package]located) []distro.Package {
	out := make([]distro.Package, 0, len(m))
	for p := range m {
		out = append(out, p)
	}
	return out
}
