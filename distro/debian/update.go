package debian

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/lockfile"
)

// Update finds what the locked packages become when they are upgraded from
// what the indexes offer now: for each the version that apt would choose, and
// what the chosen versions need besides. A package of which no newer version
// can be had stays as it is locked, or is missing where its file cannot be
// located any more.
func (s *System) Update(ctx context.Context, lock *lockfile.Lock, req distro.LocateRequest) (*distro.Located, error) {
	if have := s.ID(); lock.System.Arch != "" && (lock.System.Arch != have.Arch || lock.System.Distro != have.Distro) {
		return nil, &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: have.String()}
	}
	c, err := s.catalog(ctx, req, func([]byte) bool { return true })
	if err != nil {
		return nil, err
	}
	statuses, err := s.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	u := &update{system: s}
	u.collect(c)
	r, err := u.prepare(lock, statuses)
	if err != nil {
		return nil, err
	}
	chosen, err := r.resolve()
	if err != nil {
		return nil, fmt.Errorf("the newer versions do not go together: %w", err)
	}
	return u.result(ctx, req, chosen)
}

// An update is one run of Update.
type update struct {
	system   *System
	offers   []*offer // of the indexes
	comments map[slot][]string
}

// collect takes the offers out of the indexes.
func (u *update) collect(c *catalog) {
	for _, x := range c.indexes {
		release := apt.Release{Component: x.component, Arch: x.arch}
		var date time.Time
		if r := x.release; r != nil {
			release.Origin, release.Label, release.Suite, release.Codename, release.Version = r.Origin, r.Label, r.Suite, r.Codename, r.Version
			release.NotAutomatic, release.ButAutomaticUpgrades = r.NotAutomatic, r.ButAutomaticUpgrades
			date = r.Date
		}
		if at, err := url.Parse(x.repo.URI); err == nil {
			release.Site = at.Hostname()
		}
		releases := []apt.Release{release}
		for _, r := range x.records {
			if r.Arch != "all" && !slices.Contains(u.system.Config.Architectures, r.Arch) {
				continue
			}
			u.offers = append(u.offers, &offer{
				Package: r.Package, source: r.Source, multiArch: r.MultiArch, preDepends: r.PreDepends, depends: r.Depends,
				breaks: r.Breaks, conflicts: r.Conflicts, provides: r.Provides, releases: releases, entry: x.entry(r), date: date,
			})
		}
	}
}

// priority returns apt's pin priority. What is locked counts as installed.
func (u *update) priority(o *offer) int {
	c := apt.Candidate{Package: o.Name, Version: o.Version, Arch: o.Arch, Releases: o.releases, Installed: o.there}
	name, version, ok := strings.Cut(o.source, " (")
	c.Source = name
	if ok {
		c.SourceVersion = strings.TrimSuffix(version, ")")
	}
	return u.system.Config.Priority(c)
}

// prepare finds the locked packages among the offers and in dpkg's database.
func (u *update) prepare(lock *lockfile.Lock, statuses []Status) (*resolver, error) {
	native := u.system.Config.Native()
	indexed := map[slot][]*offer{}
	for _, o := range u.offers {
		at := slotOf(o.Package, native)
		indexed[at] = append(indexed[at], o)
	}
	var locked, around []*offer
	keep := map[lockfile.Digest]bool{}
	taken := map[slot]string{}
	u.comments = map[slot][]string{}
	add := func(p distro.Package, where string, e lockfile.Entry) error {
		at := slotOf(p, native)
		o := lockedOffer(p, e, indexed[at], statuses)
		if before, twice := taken[at]; twice {
			return fmt.Errorf("the lock has two versions of %s: %s and %s", p.Name, before, where)
		}
		taken[at] = where
		u.comments[at] = e.Comments
		locked = append(locked, o)
		return nil
	}
	for _, e := range lock.Entries {
		p, ok := Distro{}.Describe(e.Path)
		if !ok {
			return nil, fmt.Errorf("%s is not named as a Debian package is", e.Path)
		}
		keep[e.Digest] = true
		if err := add(p, e.Path, e); err != nil {
			return nil, err
		}
	}
	for _, m := range lock.Missing {
		if err := add(distro.Package(m), m.String(), lockfile.Entry{}); err != nil {
			return nil, err
		}
	}
	held := map[slot]bool{}
	for _, st := range statuses {
		o := installedOffer(st)
		at := slotOf(o.Package, native)
		if _, ok := taken[at]; !ok && st.Installed() {
			around = append(around, o)
		}
		held[at] = st.Held()
	}
	m := newMarket(native, slices.Concat(u.offers, locked, around), keep, u.priority)
	return &resolver{market: m, locked: m.pick(locked), around: m.pick(around), held: held, events: u.system.events}, nil
}

// pick returns the offers by slot, each as the market has it: there the
// record of an index stands for what is locked or installed at its version.
func (m *market) pick(offers []*offer) map[slot]*offer {
	out := map[slot]*offer{}
	for _, o := range offers {
		at := m.slot(o.Package)
		i := slices.IndexFunc(m.offers[at], func(p *offer) bool { return p.Version == o.Version })
		out[at] = m.offers[at][i]
	}
	return out
}

// lockedOffer returns a locked package with all that is known of it: from the
// index record of the very file, else from dpkg's database. Failing both, the
// epoch, which a file's name does not have, is taken to be that of what is
// offered.
func lockedOffer(p distro.Package, e lockfile.Entry, offered []*offer, statuses []Status) *offer {
	for _, o := range offered {
		if o.entry.Digest == e.Digest && o.entry.Path == e.Path {
			locked := *o
			locked.releases, locked.there = nil, true
			return &locked
		}
	}
	for _, st := range statuses {
		if st.Package == p.Name && st.Arch == p.Arch && (st.Version == p.Version || withoutEpoch(st.Version) == p.Version) {
			return installedOffer(st)
		}
	}
	for _, o := range offered {
		if withoutEpoch(o.Version) == p.Version {
			p.Version = o.Version
			return &offer{Package: p, there: true}
		}
	}
	if len(offered) > 0 && !strings.Contains(p.Version, ":") {
		newest := slices.MaxFunc(offered, func(a, b *offer) int { return orderVersions(a.Version, b.Version) })
		if epoch, _, ok := strings.Cut(newest.Version, ":"); ok {
			p.Version = epoch + ":" + p.Version
		}
	}
	return &offer{Package: p, there: true}
}

func installedOffer(st Status) *offer {
	return &offer{
		Package: st.ID(), source: st.Source, multiArch: st.MultiArch, preDepends: st.PreDepends, depends: st.Depends,
		provides: st.Provides, there: true,
	}
}

// result makes a lock of the chosen offers. Those that no index has are
// located like installed packages.
func (u *update) result(ctx context.Context, req distro.LocateRequest, chosen []*offer) (*distro.Located, error) {
	out := &distro.Located{Lock: &lockfile.Lock{System: u.system.ID()}}
	var elsewhere []distro.Package
	for _, o := range chosen {
		if o.entry.Path == "" {
			elsewhere = append(elsewhere, o.Package)
			continue
		}
		e := o.entry
		e.Comments = u.comments[slotOf(o.Package, u.system.Config.Native())]
		out.Lock.Entries = append(out.Lock.Entries, e)
		if o.date.After(out.Lock.Date) {
			out.Lock.Date = o.date
		}
	}
	if len(elsewhere) > 0 {
		req.Packages = elsewhere
		more, err := u.system.Locate(ctx, req)
		if err != nil {
			return nil, err
		}
		out.Lock.Entries = append(out.Lock.Entries, more.Lock.Entries...)
		out.Lock.Missing, out.Reasons, out.Hints = more.Lock.Missing, more.Reasons, more.Hints
		if more.Lock.Date.After(out.Lock.Date) {
			out.Lock.Date = more.Lock.Date
		}
	}
	return out, out.Lock.Sort()
}
