package fedora

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/fedora/yum"
	"github.com/samebits/samebits/lockfile"
)

// Update finds what the locked packages become when they are upgraded from
// what the enabled repositories offer: the newest version from those of the
// best priority, with what excludes and modules leave, what obsoletes a locked
// package in its place, and what the newer versions need besides. A package
// whose newer version lacks something stays as it is locked.
//
// Weak dependencies and conflicts are not looked at; rpm refuses packages that
// conflict when the lock is installed.
func (s *System) Update(ctx context.Context, lock *lockfile.Lock, req distro.LocateRequest) (*distro.Located, error) {
	if have := s.ID(); lock.System.Arch != "" && (lock.System.Arch != have.Arch || lock.System.Distro != have.Distro) {
		return nil, &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: have.String()}
	}
	c, err := s.catalog(ctx, req, wanted{name: func(string) bool { return true }, modules: true})
	if err != nil {
		return nil, err
	}
	l, err := s.newLocating(ctx, req, c)
	if err != nil {
		return nil, err
	}
	all, err := s.packages(ctx)
	if err != nil {
		return nil, err
	}
	r := newResolver(s.id.Arch)
	for _, o := range s.offers(c, all) {
		r.offer(o)
	}
	if err := lockOffers(r, lock, all); err != nil {
		return nil, err
	}
	return l.updated(ctx, lock, r.resolve())
}

// An offer is a package at a version: of an index, of the lock, or installed.
type offer struct {
	distro.Package
	requires, provides, obsoletes []rpm.Dependency
	files                         func() []string
	at                            sighting       // zero where no index has it
	entry                         lockfile.Entry // of the lock
	locked                        bool
	priority, cost                int
	built                         time.Time
}

func recordOffer(x *index, r *yum.Record) *offer {
	return &offer{
		Package:  distro.Package{Name: r.Name, Version: evr(r.NEVRA), Arch: r.Arch},
		requires: r.Requires, provides: r.Provides, obsoletes: r.Obsoletes, files: func() []string { return r.Files },
		at: sighting{x, r}, priority: x.repo.Priority, cost: x.repo.Cost, built: r.BuildTime,
	}
}

func installedOffer(p *rpmdb.Package) *offer {
	return &offer{Package: id(p), requires: p.Requires(), provides: p.Provides(), files: sync.OnceValue(p.Files), built: p.BuildTime}
}

// offers takes out of the indexes what may be chosen.
func (s *System) offers(c *catalog, all []*rpmdb.Package) []*offer {
	streams := s.enabledStreams(all)
	filter := newModuleFilter(c, streams)
	var out []*offer
	for _, x := range c.indexes {
		main := yum.Repo{Excludes: s.config.main.Excludes}
		for i := range x.records {
			r := &x.records[i]
			if r.Arch == "src" || x.repo.Excluded(r.Name, r.Version, r.Release, r.Arch) || main.Excluded(r.Name, r.Version, r.Release, r.Arch) ||
				!filter.allows(x, r) {
				continue
			}
			out = append(out, recordOffer(x, r))
		}
	}
	return out
}

// lockOffers gives the resolver what is locked, and what else is installed.
func lockOffers(r *resolver, lock *lockfile.Lock, all []*rpmdb.Package) error {
	named := map[string]bool{}
	add := func(p distro.Package, e lockfile.Entry) {
		o := r.known(p, e)
		if o == nil {
			for _, have := range all {
				if q := id(have); q.Name == p.Name && q.Arch == p.Arch && fileName(q) == fileName(p) {
					o = installedOffer(have)
				}
			}
		}
		if o == nil {
			// Nothing is known of it but its name.
			itself := rpm.Dependency{Name: p.Name, Flags: rpm.Equal, EVR: p.Version}
			o = &offer{Package: p, provides: []rpm.Dependency{itself}, files: func() []string { return nil }}
		}
		one := *o
		one.entry, one.locked = e, true
		r.lock(&one)
		named[p.Name+"."+p.Arch] = true
	}
	for _, e := range lock.Entries {
		p, ok := Distro{}.Describe(e.Path)
		if !ok {
			return fmt.Errorf("%s is not named as a package of rpm is", e.Path)
		}
		add(p, e)
	}
	for _, m := range lock.Missing {
		add(distro.Package(m), lockfile.Entry{})
	}
	for _, p := range all {
		if !p.IsKey() && !named[p.Name+"."+p.Arch] {
			r.around = append(r.around, installedOffer(p))
		}
	}
	return nil
}

// updated makes the lock of what was chosen. The files of new versions are
// checked as those that Locate finds are.
func (l *locating) updated(ctx context.Context, old *lockfile.Lock, chosen []*offer) (*distro.Located, error) {
	at := map[distro.Package][]sighting{}
	comments := map[string][]string{}
	for _, e := range old.Entries {
		if p, ok := (Distro{}).Describe(e.Path); ok {
			comments[p.Name+"."+p.Arch] = e.Comments
		}
	}
	var elsewhere []distro.Package
	for _, o := range chosen {
		switch {
		case o.locked && o.entry.Path != "":
			l.found[o.Package] = located{o.entry, cmp.Or(o.built, old.Date)}
		case o.at.record != nil:
			at[o.Package] = append(at[o.Package], o.at)
			l.left = append(l.left, o.Package)
		default:
			elsewhere = append(elsewhere, o.Package)
		}
	}
	slices.SortFunc(l.left, distro.Package.Compare)
	err := l.take(ctx, func(ctx context.Context, p distro.Package) (located, bool) {
		f, ok := l.inIndexes(ctx, p, at[p])
		f.entry.Comments = comments[p.Name+"."+p.Arch]
		return f, ok
	})
	if err != nil {
		return nil, err
	}
	l.left = append(l.left, elsewhere...)
	for _, look := range []func(context.Context, distro.Package) (located, bool){l.inDirectories, l.inKoji} {
		if err := l.take(ctx, look); err != nil {
			return nil, err
		}
	}
	l.tellUnchecked()
	return l.result()
}

// known returns the offer of an index that is the locked file, or at least of
// its version.
func (r *resolver) known(p distro.Package, e lockfile.Entry) *offer {
	var best *offer
	for _, o := range r.slots[r.slot(p)] {
		if o.Arch != p.Arch || fileName(o.Package) != fileName(p) || strings.Contains(p.Version, ":") && o.Version != p.Version {
			continue
		}
		if d, ok := o.at.record.Checksum.Digest(); ok && d == e.Digest {
			return o
		}
		if best == nil {
			best = o
		}
	}
	return best
}
