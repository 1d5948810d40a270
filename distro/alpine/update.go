package alpine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// Update finds what "apk upgrade" would make of the locked packages: of each
// the newest version that world, its tags and the other packages allow, and
// what the newer versions need besides. What nothing needs any more is left
// out, and said. A package of which no newer version can be had stays as it is
// locked.
func (s *System) Update(ctx context.Context, lock *lockfile.Lock, req distro.LocateRequest) (*distro.Located, error) {
	if have := s.ID(); lock.System.Arch != "" && (lock.System.Arch != have.Arch || s.release && lock.System.Distro != have.Distro) {
		return nil, &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: have.String()}
	}
	l, err := s.locating(ctx, req)
	if err != nil {
		return nil, err
	}
	l.see(func(r apk.Record) bool { return !r.Unsupported && l.fits(r, s.id.Arch) })
	world, err := s.readWorld()
	if err != nil {
		return nil, err
	}
	r, err := newResolver(l, lock, world)
	if err != nil {
		return nil, err
	}
	if err := r.resolve(); err != nil {
		return nil, fmt.Errorf("the newer versions do not go together: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(r.locked)) {
		if r.chosen[name] == nil {
			s.events.Warning(fmt.Sprintf("%s %s is left out of the lock: nothing needs it any more", name, r.locked[name].record.Version))
		}
	}
	return l.settle(ctx, lock, r)
}

// An offer is one version of a package that can be had, or is locked.
type offer struct {
	record    apk.Record
	sightings []sighting
	tags      []string // of the repositories that have it, "" for none
	// there says that it is the locked version. entry is the lock's, with a
	// zero digest where it is missing there.
	there bool
	entry lockfile.Entry
}

func (o *offer) String() string { return o.record.Name + " " + o.record.Version }

// offersOf joins the sightings of one name by version, newest first.
func offersOf(all []sighting) []*offer {
	var out []*offer
	for _, a := range all {
		i := slices.IndexFunc(out, func(o *offer) bool { return o.record.Version == a.record.Version })
		if i < 0 {
			i = len(out)
			out = append(out, &offer{record: a.record})
		}
		out[i].sightings = append(out[i].sightings, a)
		if !slices.Contains(out[i].tags, a.channel.repo.Tag) {
			out[i].tags = append(out[i].tags, a.channel.repo.Tag)
		}
	}
	slices.SortStableFunc(out, newestFirst)
	return out
}

func newestFirst(a, b *offer) int { return -apk.Compare(a.record.Version, b.record.Version) }

// newResolver takes apart what the lock has and what is offered.
func newResolver(l *locating, lock *lockfile.Lock, world []string) (*resolver, error) {
	r := &resolver{offers: make(map[string][]*offer, len(l.sightings)), locked: map[string]*offer{}, banned: map[*offer]bool{}, events: l.s.events}
	for name, all := range l.sightings {
		r.offers[name] = offersOf(all)
	}
	for _, e := range lock.Entries {
		name, version, _, ok := splitName(e.Base())
		if !ok {
			return nil, fmt.Errorf("%s is not named as a package of apk is", e.Path)
		}
		if err := r.lock(name, version, e, l.installed); err != nil {
			return nil, err
		}
	}
	for _, m := range lock.Missing {
		if err := r.lock(m.Name, m.Version, lockfile.Entry{}, l.installed); err != nil {
			return nil, err
		}
	}
	for name, have := range l.installed {
		if r.locked[name] == nil {
			r.around = append(r.around, have)
		}
	}
	slices.SortFunc(r.around, func(a, b apk.Record) int { return cmp.Compare(a.Name, b.Name) })
	r.index()
	return r, r.setRoots(world)
}

// lock adds a locked package to what is offered.
func (r *resolver) lock(name, version string, e lockfile.Entry, installed map[string]apk.Record) error {
	if old := r.locked[name]; old != nil {
		return fmt.Errorf("the lock has two versions of %s: %s and %s", name, old.record.Version, version)
	}
	i := slices.IndexFunc(r.offers[name], func(o *offer) bool { return o.record.Version == version })
	var o *offer
	if i >= 0 {
		o = r.offers[name][i]
	} else {
		o = &offer{record: apk.Record{Name: name, Version: version}}
		if have, ok := installed[name]; ok && have.Version == version {
			o.record = have
		}
		r.offers[name] = append(r.offers[name], o)
		slices.SortStableFunc(r.offers[name], newestFirst)
	}
	o.there, o.entry = true, e
	r.locked[name] = o
	return nil
}

// setRoots works out what a person has asked for: what world says of the
// locked packages, and those that nothing else of the lock needs.
func (r *resolver) setRoots(world []string) error {
	var records []apk.Record
	var all []int
	for _, name := range slices.Sorted(maps.Keys(r.locked)) {
		all = append(all, len(records))
		records = append(records, r.locked[name].record)
	}
	g := newGraph(records)
	for _, text := range world {
		d, err := apk.ParseDependency(text)
		if err != nil {
			return fmt.Errorf("%s: %w", worldFile, err)
		}
		// A person may have constrained what is not installed, and what is
		// there may not keep to it.
		if d.Conflict || r.locked[d.Name] != nil || len(g.satisfying(text)) > 0 {
			r.roots = append(r.roots, want{dependency: d, tag: d.Tag})
		}
	}
	for _, i := range g.explicit(world, all) {
		if name := records[i].Name; !slices.ContainsFunc(r.roots, func(w want) bool { return w.dependency.Name == name }) {
			r.roots = append(r.roots, want{dependency: apk.Dependency{Name: name}})
		}
	}
	return nil
}

// settle makes a lock of what was chosen.
func (l *locating) settle(ctx context.Context, lock *lockfile.Lock, r *resolver) (*distro.Located, error) {
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, o := range r.chosen {
		p := distro.Package{Name: o.record.Name, Version: o.record.Version, Arch: l.s.id.Arch}
		if o.there && !o.entry.Digest.IsZero() {
			l.note(p, located{o.entry, newestOf(o.sightings, o.entry.Archive)}, distro.Reason{})
			continue
		}
		comments := []string(nil)
		if old := r.locked[p.Name]; old != nil {
			comments = old.entry.Comments
		}
		group.Go(func() error {
			found, reason := l.find(ctx, p)
			found.entry.Comments = comments
			l.note(p, found, reason)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out, err := l.result(l.req)
	if err == nil && out.Lock.Date.IsZero() {
		out.Lock.Date = lock.Date
	}
	return out, err
}

// newestOf returns the newest date of the indexes of an archive.
func newestOf(all []sighting, archive lockfile.Archive) time.Time {
	var newest time.Time
	for _, a := range all {
		if a.channel.archive == archive && a.channel.date.After(newest) {
			newest = a.channel.date
		}
	}
	return newest
}

// clauses reads the dependencies of a record; what apk could not read either
// is passed over.
func clauses(list []string) []apk.Dependency {
	out := make([]apk.Dependency, 0, len(list))
	for _, text := range list {
		if d, err := apk.ParseDependency(strings.TrimSpace(text)); err == nil {
			out = append(out, d)
		}
	}
	return out
}
