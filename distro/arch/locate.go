package arch

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

// Locate finds the file of each package at exactly its version, and of the
// same build: in the databases of the root (or fresh ones), in pacman's
// package cache and the given directories, in archives that keep the past.
//
// A digest counts as signed where the database itself is, by a trusted key, or
// where the package's own signature was verified over bytes of that digest:
// those of a package cache, of a given directory, of the cache that the
// Identifier has, or fetched. Where no bytes can be had, the database's digest
// is taken and marked unsigned. What carries a signature that pacman would
// refuse is not located.
func (s *System) Locate(ctx context.Context, req distro.LocateRequest) (*distro.Located, error) {
	names := make(map[string]bool, len(req.Packages))
	for _, p := range req.Packages {
		names[p.Name] = true
	}
	l, err := s.newLocating(ctx, req, func(name string) bool { return names[name] })
	if err != nil {
		return nil, err
	}
	l.left = slices.Compact(slices.SortedFunc(slices.Values(req.Packages), distro.Package.Compare))
	if err := l.inDatabases(ctx); err != nil {
		return nil, err
	}
	if err := l.inDirectories(ctx); err != nil {
		return nil, err
	}
	if len(l.left) > 0 && req.Snapshots && req.Fetcher != nil && req.Identifier != nil {
		if err := l.inKeepers(ctx); err != nil {
			return nil, err
		}
	}
	return l.result()
}

// A located is the file of a package.
type located struct {
	entry lockfile.Entry
	built time.Time
}

// A locating is one run of Locate.
type locating struct {
	s       *System
	req     distro.LocateRequest
	catalog *catalog
	files   *shelves
	verify  *verifier
	// built says when what is installed was built.
	built   map[distro.Package]time.Time
	left    []distro.Package // not found yet, sorted
	found   map[distro.Package]located
	reasons map[distro.Package]distro.Reason // of those that are left, where there is a special one
	// signatures are those that databases have, by the names of the files.
	signatures map[string][]byte
	// unverified counts the entries that are marked for want of their bytes;
	// example says why of one of them.
	unverified int
	example    string
}

func (s *System) newLocating(ctx context.Context, req distro.LocateRequest, want func(string) bool) (*locating, error) {
	c, err := s.catalog(ctx, req, want)
	if err != nil {
		return nil, err
	}
	l := &locating{
		s: s, req: req, catalog: c, built: map[distro.Package]time.Time{},
		found: map[distro.Package]located{}, reasons: map[distro.Package]distro.Reason{},
		signatures: map[string][]byte{},
	}
	l.files = s.shelves(req.Directories, want)
	l.verify = &verifier{s: s, req: req, keys: c.keys, files: l.files}
	installed, _, err := s.readLocal(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range installed {
		l.built[identity(p)] = p.BuildDate
	}
	return l, nil
}

// take notes what was found and takes it off those that are left.
func (l *locating) take(found map[distro.Package]located) {
	maps.Copy(l.found, found)
	l.left = slices.DeleteFunc(l.left, func(p distro.Package) bool {
		_, ok := found[p]
		return ok
	})
}

// A sighting is a wanted package in a database.
type sighting struct {
	from *database
	*pacman.Desc
}

// sameBuild reports whether a file is, as far as its time tells, of the build
// that is installed.
func (l *locating) sameBuild(p *pacman.Desc) bool {
	built, ok := l.built[identity(p)]
	return !ok || built.IsZero() || p.BuildDate.IsZero() || built.Equal(p.BuildDate)
}

// inDatabases locates what the databases have.
func (l *locating) inDatabases(ctx context.Context) error {
	sightings := map[distro.Package][]sighting{}
	for _, d := range l.catalog.databases {
		for i := range d.packages {
			p := &d.packages[i]
			sightings[identity(p)] = append(sightings[identity(p)], sighting{d, p})
			if len(p.Signature) > 0 && l.signatures[p.Filename] == nil {
				l.signatures[p.Filename] = p.Signature
			}
		}
	}
	var chosen []sighting
	for _, p := range l.left {
		all := sightings[p]
		same := slices.DeleteFunc(slices.Clone(all), func(x sighting) bool { return !l.sameBuild(x.Desc) })
		switch {
		case len(same) > 0:
			chosen = append(chosen, best(same))
		case len(all) > 0:
			l.reasons[p] = distro.Reason{
				Kind: "the repositories have another build of this version",
				Detail: fmt.Sprintf("%s has that of %s, installed is that of %s", all[0].from.repo.Name,
					stamp(all[0].BuildDate), stamp(l.built[p])),
			}
		}
	}
	verdicts, err := l.verify.all(ctx, chosen)
	if err != nil {
		return err
	}
	found := map[distro.Package]located{}
	for i, x := range chosen {
		v := verdicts[i]
		if v.refused != nil {
			l.reasons[identity(x.Desc)] = distro.Reason{Kind: v.kind, Detail: v.refused.Error()}
			continue
		}
		l.mark(x, v)
		found[identity(x.Desc)] = located{x.entry(!v.signed), x.BuildDate}
	}
	l.s.warnRefused(chosen, verdicts)
	l.take(found)
	return nil
}

// mark counts what is marked for want of its bytes.
func (l *locating) mark(x sighting, v verdict) {
	if !v.noBytes {
		return
	}
	l.unverified++
	if l.example == "" && v.why != nil {
		l.example = " (" + x.Filename + ": " + strings.ReplaceAll(v.why.Error(), "\n", "; ") + ")"
	}
}

// warnRefused tells of what is not used, once for each reason.
func (s *System) warnRefused(chosen []sighting, verdicts []verdict) {
	files := map[string][]string{}
	for i, v := range verdicts {
		if v.refused != nil {
			why := v.kind + ": " + v.refused.Error()
			files[why] = append(files[why], chosen[i].Filename)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(files)) {
		of := files[why]
		more := ""
		if len(of) > 1 {
			more = fmt.Sprintf(" and %d others", len(of)-1)
		}
		s.events.Warning(fmt.Sprintf("%s%s of the databases cannot be used: %s", of[0], more, why))
	}
}

// best chooses among the same build in several repositories: of a signed
// database first, then of a known archive, then as pacman does, by the order of
// the configuration.
func best(all []sighting) sighting {
	rank := func(x sighting) int {
		n := 0
		if !x.from.signed {
			n += 2
		}
		if x.from.home.archive.URL != "" {
			n++
		}
		return n
	}
	return slices.MinFunc(all, func(a, b sighting) int { return cmp.Compare(rank(a), rank(b)) })
}

// entry returns what a lock says of the package.
func (x sighting) entry(unsigned bool) lockfile.Entry {
	return lockfile.Entry{Digest: x.digest(), Path: x.from.home.path(x.Filename), Archive: x.from.home.archive, Unsigned: unsigned}
}

// digest returns the database's digest, which newDatabase saw to.
func (x sighting) digest() lockfile.Digest {
	d, err := lockfile.ParseDigest(x.SHA256)
	if err != nil {
		return lockfile.Digest{}
	}
	return d
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// result makes the lock. Its date is the newest time at which a located
// package was built: it stands in the package, behind its signature, and does
// not depend on when or from where the databases came.
func (l *locating) result() (*distro.Located, error) {
	lock := &lockfile.Lock{System: l.s.ID()}
	out := &distro.Located{Lock: lock, Reasons: map[lockfile.Missing]distro.Reason{}}
	owner := map[string]distro.Package{}
	for _, p := range slices.SortedFunc(maps.Keys(l.found), distro.Package.Compare) {
		f := l.found[p]
		if q, taken := owner[f.entry.Path]; taken && l.found[q].entry.Digest != f.entry.Digest {
			// A lock has one file for a path.
			l.reasons[p] = distro.Reason{Kind: "its file has the path of another", Detail: f.entry.Path + " is of " + q.String()}
			l.left = append(l.left, p)
			continue
		}
		owner[f.entry.Path] = p
		lock.Entries = append(lock.Entries, f.entry)
		if f.built.After(lock.Date) {
			lock.Date = f.built
		}
	}
	lock.Date = lock.Date.UTC().Truncate(time.Second)
	for _, p := range l.left {
		lock.Missing = append(lock.Missing, p.Missing())
		out.Reasons[p.Missing()] = l.reason(p)
	}
	if l.unverified > 0 {
		l.s.events.Warning(l.unverifiedNote())
	}
	if len(l.left) > 0 {
		out.Hints = l.hints()
	}
	return out, lock.Sort()
}

// unverifiedNote tells why entries are marked unsigned, and what helps.
func (l *locating) unverifiedNote() string {
	note := fmt.Sprintf("%d packages are locked as unsigned, since what signs them is a signature over their files, which are not at hand", l.unverified)
	switch {
	case l.catalog.keys == nil:
		return fmt.Sprintf("%d packages are locked as unsigned, since the root has no keys to judge their signatures by (%s)", l.unverified, l.catalog.noKeys)
	case l.req.Fetcher == nil:
		return note + "; run without --offline to have them fetched and verified"
	}
	return strings.TrimSuffix(note, ", which are not at hand") + ", which could not be had" + l.example
}
