package fedora

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/lockfile"
)

// Locate finds the file of each package at exactly its version: in the indexes
// of the root (or fresh ones), in the package caches of the root and the
// directories of the request, at Fedora's build system.
func (s *System) Locate(ctx context.Context, req distro.LocateRequest) (*distro.Located, error) {
	names := make(map[string]bool, len(req.Packages))
	for _, p := range req.Packages {
		names[p.Name] = true
	}
	c, err := s.catalog(ctx, req, wanted{name: func(name string) bool { return names[name] }})
	if err != nil {
		return nil, err
	}
	l, err := s.newLocating(ctx, req, c)
	if err != nil {
		return nil, err
	}
	l.left = slices.Compact(slices.SortedFunc(slices.Values(req.Packages), distro.Package.Compare))
	sightings := l.sightings()
	for _, look := range []func(context.Context, distro.Package) (located, bool){
		func(ctx context.Context, p distro.Package) (located, bool) { return l.inIndexes(ctx, p, sightings[p]) },
		l.inDirectories,
		l.inKoji,
	} {
		if err := l.take(ctx, look); err != nil {
			return nil, err
		}
	}
	l.tellUnchecked()
	return l.result()
}

// A located is the file of a package.
type located struct {
	entry lockfile.Entry
	built time.Time
}

// A locating is one run of Locate or Update.
type locating struct {
	s         *System
	req       distro.LocateRequest
	catalog   *catalog
	installed map[distro.Package]*rpmdb.Package
	files     *packageFiles
	left      []distro.Package // not found yet, sorted

	mu        sync.Mutex
	found     map[distro.Package]located
	reasons   map[distro.Package]string // of those that are left, where there is a special one
	unchecked map[string]int            // packages of each repository whose signature was not looked at
}

func (s *System) newLocating(ctx context.Context, req distro.LocateRequest, c *catalog) (*locating, error) {
	all, err := s.packages(ctx)
	if err != nil {
		return nil, err
	}
	l := &locating{
		s: s, req: req, catalog: c, installed: map[distro.Package]*rpmdb.Package{},
		found: map[distro.Package]located{}, reasons: map[distro.Package]string{}, unchecked: map[string]int{},
	}
	for _, p := range all {
		l.installed[id(p)] = p
	}
	l.files = s.newPackageFiles(req.Directories)
	return l, nil
}

// lookups is how many packages are looked for at once.
const lookups = 16

// take looks for all packages that are left and takes off those that are
// found.
func (l *locating) take(ctx context.Context, look func(context.Context, distro.Package) (located, bool)) error {
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(lookups)
	for _, p := range l.left {
		group.Go(func() error {
			if err := inner.Err(); err != nil {
				return err
			}
			if f, ok := look(inner, p); ok {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.found[p] = f
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	l.left = slices.DeleteFunc(l.left, func(p distro.Package) bool {
		_, ok := l.found[p]
		return ok
	})
	return ctx.Err()
}

// because notes why a package was not found where it might have been.
func (l *locating) because(p distro.Package, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reasons[p] = reason
}

// A sighting is a record of a wanted package in an index.
type sighting struct {
	index  *index
	record *yum.Record
}

// sightings are all records of each package, the best first.
func (l *locating) sightings() map[distro.Package][]sighting {
	out := map[distro.Package][]sighting{}
	for _, x := range l.catalog.indexes {
		for i := range x.records {
			r := &x.records[i]
			p := distro.Package{Name: r.Name, Version: evr(r.NEVRA), Arch: r.Arch}
			out[p] = append(out[p], sighting{x, r})
		}
	}
	for _, all := range out {
		slices.SortFunc(all, sighting.compare)
	}
	return out
}

// entry makes the lock's entry of a record, without a mark.
func (a sighting) entry() lockfile.Entry {
	e := lockfile.Entry{Path: path.Join(a.index.repo.path, a.record.Location), Archive: a.index.repo.archive}
	e.Digest, _ = a.record.Checksum.Digest()
	switch {
	case a.record.Base != "":
		e.Path = a.record.Location
		e.Archive = lockfile.Archive{Name: lockfile.ArchiveName(a.index.repo.ID, ""), URL: strings.TrimSuffix(withoutLogin(a.record.Base), "/")}
	case e.Archive.URL == "" && a.index.repo.path == "" && len(a.index.mirrors) > 0:
		// Known by a list of mirrors alone: the same one for all who have it.
		e.Archive.URL = strings.TrimSuffix(withoutLogin(slices.Min(a.index.mirrors)), "/")
	}
	return e
}

// compare puts first what a lock is to name: signed before unsigned, known
// archives before others, then by name and path. Nothing in it depends on
// which mirror is configured, or on the order of the repositories.
func (a sighting) compare(b sighting) int {
	rank := func(s sighting) int {
		n := 0
		if !s.index.signed {
			n += 2
		}
		if s.entry().Archive.URL != "" {
			n++
		}
		return n
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), a.entry().Compare(b.entry()), strings.Compare(a.record.Checksum.Hex, b.record.Checksum.Hex))
}

// urls are where the file of a record may be had, the best first.
func (l *locating) urls(a sighting) []string {
	if a.record.Base != "" {
		return []string{join(a.record.Base, a.record.Location)}
	}
	var out []string
	add := func(base, path string) {
		if u := join(base, path); !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	for _, base := range a.index.repo.BaseURLs {
		add(base, a.record.Location)
	}
	for _, base := range a.index.mirrors[:min(len(a.index.mirrors), mirrorsToTry)] {
		add(base, a.record.Location)
	}
	for _, m := range mirrors {
		if m.Archive == a.index.repo.archive.Name && (!m.Keeper || l.req.Snapshots) {
			add(m.URL, path.Join(a.index.repo.path, a.record.Location))
		}
	}
	return out
}

// inIndexes locates what the indexes have, by the rule of decision 0009: a
// hash of a signed index counts; one of another counts once the package's own
// signature was verified over the bytes that have it, and is marked where that
// could not be done.
func (l *locating) inIndexes(ctx context.Context, p distro.Package, all []sighting) (located, bool) {
	for _, a := range all {
		if l.otherBuild(p, a.record.BuildTime) {
			l.because(p, fmt.Sprintf("what %s has under this version was built at another time than what is installed", a.index.repo.ID))
			continue
		}
		e := a.entry()
		if a.index.signed && !e.Digest.IsZero() {
			return located{e, a.record.BuildTime}, true
		}
		if !a.index.repo.GPGCheck && !e.Digest.IsZero() {
			e.Unsigned = true
			return located{e, a.record.BuildTime}, true
		}
		digest, err := l.checkPackage(ctx, p, a, e.Digest)
		switch {
		case err == nil:
			e.Digest = digest
			return located{e, a.record.BuildTime}, true
		case isRefusal(err):
			l.because(p, fmt.Sprintf("the file that %s has is refused: %v", a.index.repo.ID, err))
			continue
		case e.Digest.IsZero():
			l.because(p, fmt.Sprintf("%s tells no SHA-256 of it, and the file cannot be had: %v", a.index.repo.ID, err))
			continue
		}
		l.mu.Lock()
		l.unchecked[a.index.repo.ID]++
		l.mu.Unlock()
		e.Unsigned = true
		return located{e, a.record.BuildTime}, true
	}
	return located{}, false
}

// otherBuild reports whether a file that was built at a time cannot be the one
// that is installed.
func (l *locating) otherBuild(p distro.Package, built time.Time) bool {
	have := l.installed[p]
	return have != nil && !built.IsZero() && !have.BuildTime.IsZero() && !built.Equal(have.BuildTime)
}

// tellUnchecked warns of the packages that are marked since their own
// signatures could not be looked at.
func (l *locating) tellUnchecked() {
	for _, x := range l.catalog.indexes {
		if n := l.unchecked[x.repo.ID]; n > 0 {
			l.s.events.Warning(fmt.Sprintf("%d packages of %s are marked unsigned: its metadata is not signed, and the packages, which are, could not be had to be checked; run without --offline to have them fetched",
				n, x.repo.ID))
		}
	}
}

// result makes the lock.
func (l *locating) result() (*distro.Located, error) {
	lock := &lockfile.Lock{System: l.s.ID()}
	out := &distro.Located{Lock: lock, Reasons: map[lockfile.Missing]distro.Reason{}}
	owner := map[string]distro.Package{}
	var all []distro.Package
	for p := range l.found {
		all = append(all, p)
	}
	slices.SortFunc(all, distro.Package.Compare)
	for _, p := range all {
		f := l.found[p]
		if q, taken := owner[f.entry.Path]; taken && l.found[q].entry.Digest != f.entry.Digest {
			// A lock has one file for a path.
			l.reasons[p] = fmt.Sprintf("%s has it at the path at which %s has %s: %s", f.entry.Archive, l.found[q].entry.Archive, q, f.entry.Path)
			l.left = append(l.left, p)
			continue
		}
		owner[f.entry.Path] = p
		lock.Entries = append(lock.Entries, f.entry)
		if built := cmp.Or(f.built, l.builtAt(p)); built.After(lock.Date) {
			lock.Date = built
		}
	}
	lock.Date = lock.Date.UTC().Truncate(time.Second)
	for _, p := range l.left {
		lock.Missing = append(lock.Missing, p.Missing())
		out.Reasons[p.Missing()] = l.reason(p)
	}
	if len(l.left) > 0 {
		out.Hints = l.hints()
	}
	return out, lock.Sort()
}

func (l *locating) builtAt(p distro.Package) time.Time {
	if have := l.installed[p]; have != nil {
		return have.BuildTime
	}
	return time.Time{}
}

// sameBuild reports whether a file is of the build that is installed, by the
// digest of its header. known is false where nothing tells.
func (l *locating) sameBuild(p distro.Package, file *rpm.Package) (same, known bool) {
	have := l.installed[p]
	if have == nil {
		return false, false
	}
	if _, ok, err := have.HeaderDigest(); err != nil || !ok {
		return false, false
	}
	return sameHeader(have, file), true
}
