package arch

import (
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

// Update finds what the locked packages become when they are upgraded from
// what the repositories offer now: for each the version that pacman -Syu would
// choose, what replaces it, and what the chosen ones need besides. A package
// of which no newer version can be had stays as it is locked.
func (s *System) Update(ctx context.Context, lock *lockfile.Lock, req distro.LocateRequest) (*distro.Located, error) {
	if have := s.ID(); lock.System.Arch != "" && (lock.System.Arch != have.Arch || lock.System.Distro != have.Distro) {
		return nil, &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: have.String()}
	}
	l, err := s.newLocating(ctx, req, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	installed, _, err := s.readLocal(ctx)
	if err != nil {
		return nil, err
	}
	u := &update{locating: l, lock: lock, market: newMarket(s, l.catalog.databases)}
	if err := u.prepare(installed); err != nil {
		return nil, err
	}
	u.upgrade()
	if err := u.complete(); err != nil {
		return nil, fmt.Errorf("the newer versions do not go together: %w", err)
	}
	return u.result(ctx)
}

// An offer is a package as the lock, the root or a database has it.
type offer struct {
	*pacman.Desc
	from  *database       // nil where it is not out of a database
	entry *lockfile.Entry // nil where the lock has no file of it
}

// An update is one run of Update.
type update struct {
	*locating
	lock   *lockfile.Lock
	market *market
	// chosen are what the lock becomes, by name; locked what it is.
	chosen, locked map[string]*offer
	// around is what is installed and not in the lock.
	around *graph
	// signatures are the lock's entries of detached signatures, by the path
	// of the package.
	signatures map[string]lockfile.Entry
	out        *distro.Located
}

// prepare finds the locked packages in the databases and the root.
func (u *update) prepare(installed []*pacman.Desc) error {
	u.chosen, u.locked, u.signatures = map[string]*offer{}, map[string]*offer{}, map[string]lockfile.Entry{}
	add := func(p distro.Package, e *lockfile.Entry) error {
		if other, twice := u.locked[p.Name]; twice {
			return fmt.Errorf("the lock has two versions of %s: %s and %s", p.Name, other.Version, p.Version)
		}
		o := &offer{Desc: u.describe(p, e, installed), entry: e}
		u.locked[p.Name], u.chosen[p.Name] = o, o
		return nil
	}
	for i := range u.lock.Entries {
		e := &u.lock.Entries[i]
		if isSignature(*e) {
			u.signatures[strings.TrimSuffix(e.Path, ".sig")] = *e
			continue
		}
		p, ok := Distro{}.Describe(e.Path)
		if !ok {
			return fmt.Errorf("%s is not named as a package of pacman is", e.Path)
		}
		if err := add(p, e); err != nil {
			return err
		}
	}
	for _, m := range u.lock.Missing {
		if err := add(distro.Package(m), nil); err != nil {
			return err
		}
	}
	var rest []*pacman.Desc
	for _, p := range installed {
		if u.locked[p.Name] == nil {
			rest = append(rest, p)
		}
	}
	u.around = newGraph(rest)
	return nil
}

// describe returns all that is known of a locked package: from the database
// that names the very file, else from the root, else its name alone.
func (u *update) describe(p distro.Package, e *lockfile.Entry, installed []*pacman.Desc) *pacman.Desc {
	for _, d := range u.catalog.databases {
		for i := range d.packages {
			q := &d.packages[i]
			if q.Name == p.Name && e != nil && q.SHA256 == e.Digest.String() {
				return q
			}
		}
	}
	for _, q := range installed {
		if identity(q) == p {
			return q
		}
	}
	return &pacman.Desc{Name: p.Name, Version: p.Version, Arch: p.Arch}
}

// result makes a lock of what was chosen. What is as it was keeps its entry;
// what the lock was missing is looked for again.
func (u *update) result(ctx context.Context) (*distro.Located, error) {
	u.out = &distro.Located{Lock: &lockfile.Lock{System: u.s.ID()}, Reasons: map[lockfile.Missing]distro.Reason{}}
	var fresh []sighting
	var again []distro.Package
	for _, o := range u.chosen {
		switch {
		case o.entry != nil:
			u.keep(o)
		case o.from != nil:
			fresh = append(fresh, sighting{o.from, o.Desc})
		default:
			again = append(again, identity(o.Desc))
		}
	}
	if err := u.addFresh(ctx, fresh); err != nil {
		return nil, err
	}
	if len(again) > 0 {
		req := u.req
		req.Packages = again
		more, err := u.s.Locate(ctx, req)
		if err != nil {
			return nil, err
		}
		u.out.Lock.Entries = append(u.out.Lock.Entries, more.Lock.Entries...)
		u.out.Lock.Missing = append(u.out.Lock.Missing, more.Lock.Missing...)
		maps.Copy(u.out.Reasons, more.Reasons)
		u.out.Hints = more.Hints
		u.newest(more.Lock.Date)
	}
	u.out.Lock.Date = u.out.Lock.Date.UTC().Truncate(time.Second)
	return u.out, u.out.Lock.Sort()
}

// newest has the lock's date be not before t.
func (u *update) newest(t time.Time) {
	if t.After(u.out.Lock.Date) {
		u.out.Lock.Date = t
	}
}

// keep takes over an entry of the lock, with its signature if it has one.
func (u *update) keep(o *offer) {
	u.out.Lock.Entries = append(u.out.Lock.Entries, *o.entry)
	if sig, ok := u.signatures[o.entry.Path]; ok {
		u.out.Lock.Entries = append(u.out.Lock.Entries, sig)
	}
	if o.BuildDate.IsZero() {
		u.newest(u.lock.Date)
	}
	u.newest(o.BuildDate)
}

// addFresh adds what is out of databases, judged as Locate does.
func (u *update) addFresh(ctx context.Context, fresh []sighting) error {
	slices.SortFunc(fresh, func(a, b sighting) int { return strings.Compare(a.Name, b.Name) })
	verdicts, err := u.verify.all(ctx, fresh)
	if err != nil {
		return err
	}
	u.s.warnRefused(fresh, verdicts)
	for i, x := range fresh {
		v := verdicts[i]
		if v.refused != nil {
			m := identity(x.Desc).Missing()
			u.out.Lock.Missing = append(u.out.Lock.Missing, m)
			u.out.Reasons[m] = distro.Reason{Kind: v.kind, Detail: v.refused.Error()}
			continue
		}
		e := x.entry(!v.signed)
		if old := u.locked[x.Name]; old != nil && old.entry != nil {
			e.Comments = old.entry.Comments
		}
		u.out.Lock.Entries = append(u.out.Lock.Entries, e)
		u.newest(x.BuildDate)
		u.mark(x, v)
	}
	if u.unverified > 0 {
		u.s.events.Warning(u.unverifiedNote())
	}
	return nil
}
