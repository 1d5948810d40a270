package arch

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/arch/pacman"
)

// A market is what the repositories offer, in the order of pacman.conf.
type market struct {
	s         *System
	databases []*database
	byName    []map[string]*pacman.Desc // as databases
	provides  []map[string][]*pacman.Desc
	replaces  []map[string][]*pacman.Desc
}

func newMarket(s *System, databases []*database) *market {
	m := &market{s: s, databases: databases}
	for _, d := range databases {
		byName, provides, replaces := map[string]*pacman.Desc{}, map[string][]*pacman.Desc{}, map[string][]*pacman.Desc{}
		for i := range d.packages {
			p := &d.packages[i]
			if !m.fits(p) {
				continue
			}
			byName[p.Name] = p
			for _, v := range p.Provides {
				name := pacman.ParseDependency(v).Name
				provides[name] = append(provides[name], p)
			}
			for _, v := range p.Replaces {
				name := pacman.ParseDependency(v).Name
				replaces[name] = append(replaces[name], p)
			}
		}
		m.byName, m.provides, m.replaces = append(m.byName, byName), append(m.provides, provides), append(m.replaces, replaces)
	}
	return m
}

// fits reports whether the system takes packages of this architecture.
func (m *market) fits(p *pacman.Desc) bool {
	return p.Arch == "any" || slices.Contains(m.s.architectures(), p.Arch)
}

// ignored reports whether pacman.conf wants a package left as it is.
func (m *market) ignored(p *pacman.Desc) bool {
	match := func(patterns []string, name string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool {
			ok, err := path.Match(pattern, name)
			return err == nil && ok
		})
	}
	return match(m.s.Config.IgnorePkg, p.Name) ||
		slices.ContainsFunc(p.Groups, func(g string) bool { return match(m.s.Config.IgnoreGroup, g) })
}

// successors returns what pacman -Syu would make of an installed package: the
// package of that name in the first repository that has one, or what replaces
// it in an earlier one; nothing where it stays.
func (m *market) successors(p *pacman.Desc) []*offer {
	for i, d := range m.databases {
		if d.repo.Usage&pacman.UsageUpgrade == 0 {
			continue
		}
		if q := m.byName[i][p.Name]; q != nil {
			switch {
			case pacman.Compare(q.Version, p.Version) <= 0:
				return nil
			case m.ignored(p) || m.ignored(q):
				m.s.events.Warning(fmt.Sprintf("%s stays at %s, since pacman.conf ignores its upgrade to %s", p.Name, p.Version, q.Version))
				return nil
			}
			return []*offer{{Desc: q, from: d}}
		}
		var out []*offer
		for _, q := range m.replaces[i][p.Name] {
			replaces := slices.ContainsFunc(q.Replaces, func(v string) bool {
				return pacman.ParseDependency(v).Satisfied(p.Name, p.Version, nil)
			})
			if replaces && !m.ignored(p) && !m.ignored(q) {
				out = append(out, &offer{Desc: q, from: d})
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// find returns what pacman would install for a dependency: the first package
// of that name that satisfies it, else the first that provides it.
func (m *market) find(d pacman.Dependency) *offer {
	for i, db := range m.databases {
		if q := m.byName[i][d.Name]; q != nil && db.repo.Usage&pacman.UsageInstall != 0 && q.Satisfies(d) && !m.ignored(q) {
			return &offer{Desc: q, from: db}
		}
	}
	for i, db := range m.databases {
		for _, q := range m.provides[i][d.Name] {
			if db.repo.Usage&pacman.UsageInstall != 0 && q.Satisfies(d) && !m.ignored(q) {
				return &offer{Desc: q, from: db}
			}
		}
	}
	return nil
}

// upgrade replaces the chosen by their successors.
func (u *update) upgrade() {
	for _, name := range slices.Sorted(maps.Keys(u.locked)) {
		next := u.market.successors(u.locked[name].Desc)
		if len(next) == 0 {
			continue
		}
		if next[0].Name != name {
			delete(u.chosen, name)
		}
		for _, o := range next {
			if have := u.chosen[o.Name]; have == nil || pacman.Compare(o.Version, have.Version) > 0 {
				u.chosen[o.Name] = o
			}
		}
	}
}

// complete adds what the chosen need and nothing has, and refuses what does
// not go together now and did before.
func (u *update) complete() error {
	before, now := newGraph(nil), newGraph(nil)
	for _, name := range slices.Sorted(maps.Keys(u.locked)) {
		before.add(u.locked[name].Desc)
	}
	todo := slices.Sorted(maps.Keys(u.chosen))
	for _, name := range todo {
		now.add(u.chosen[name].Desc)
	}
	met := func(g *graph, d string) bool { return len(g.satisfying(d)) > 0 || len(u.around.satisfying(d)) > 0 }
	var problems []string
	for len(todo) > 0 {
		o := u.chosen[todo[0]]
		todo = todo[1:]
		if o == nil {
			continue
		}
		for _, d := range o.Depends {
			if met(now, d) {
				continue
			}
			wasBroken := u.locked[o.Name] == o && !met(before, d)
			found := u.market.find(pacman.ParseDependency(d))
			switch {
			case found != nil && u.chosen[found.Name] == nil && !wasBroken:
				u.chosen[found.Name] = found
				now.add(found.Desc)
				todo = append(todo, found.Name)
			case !wasBroken:
				problems = append(problems, fmt.Sprintf("%s %s needs %s", o.Name, o.Version, d))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(u.chosen)) {
		problems = append(problems, u.conflicts(u.chosen[name], now)...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "; "))
	}
	return nil
}

// conflicts tells with which of the others a chosen package cannot be
// installed, unless the lock has both as they are.
func (u *update) conflicts(o *offer, now *graph) []string {
	var out []string
	for _, c := range o.Conflicts {
		for _, p := range now.satisfying(c) {
			if p.Name == o.Name || u.locked[o.Name] == o && u.locked[p.Name] != nil && u.locked[p.Name].Desc == p {
				continue
			}
			out = append(out, fmt.Sprintf("%s %s conflicts with %s", o.Name, o.Version, p.Name))
		}
	}
	return out
}
