package alpine

import (
	"slices"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// orderOf works out what "apk add" would have been asked for to get exactly
// these packages, and in which order it installs them. The packages are sorted
// by name.
func orderOf(parcels []*parcel) (world []string, order []*parcel) {
	records := make([]apk.Record, len(parcels))
	all := make([]int, len(parcels))
	for i, p := range parcels {
		records[i], all[i] = p.Record, i
	}
	for _, i := range newGraph(records).explicit(nil, all) {
		world = append(world, records[i].Name)
	}
	slices.SortFunc(world, compareNames)
	s := newSequence(parcels)
	for _, name := range world {
		s.name(name)
	}
	for _, p := range parcels {
		s.name(p.Name) // what nothing has led to
	}
	return world, s.order
}

// A sequence puts packages in the order in which apk's solver emits them:
// depth first along the dependencies as they stand in the package, and behind
// each package those that come by themselves with it (install_if).
type sequence struct {
	chosen  map[string]*parcel // who stands for a name, its own or a provided one
	comes   map[string][]*parcel
	reached map[string]bool // names
	taken   map[*parcel]bool
	order   []*parcel
}

func newSequence(parcels []*parcel) *sequence {
	s := &sequence{chosen: map[string]*parcel{}, comes: map[string][]*parcel{}, reached: map[string]bool{}, taken: map[*parcel]bool{}}
	for _, p := range parcels {
		s.chosen[p.Name] = p
	}
	for _, p := range parcels {
		for _, d := range dependencies(p.Provides) {
			old := s.chosen[d.Name]
			if old == nil || old.Name != d.Name && old.ProviderPriority < p.ProviderPriority {
				s.chosen[d.Name] = p
			}
		}
		for _, d := range dependencies(p.InstallIf) {
			if !slices.Contains(s.comes[d.Name], p) {
				s.comes[d.Name] = append(s.comes[d.Name], p)
			}
		}
	}
	return s
}

// name emits the package that stands for a name, and what it needs before it.
func (s *sequence) name(name string) {
	if s.reached[name] {
		return
	}
	s.reached[name] = true
	p := s.chosen[name]
	if p == nil || s.taken[p] {
		return
	}
	s.taken[p] = true
	s.reached[p.Name] = true
	provides := dependencies(p.Provides)
	for _, d := range provides {
		s.reached[d.Name] = true
	}
	for _, d := range dependencies(p.Depends) {
		s.name(d.Name)
	}
	s.order = append(s.order, p)
	s.companions(p.Name)
	for _, d := range provides {
		s.companions(d.Name)
	}
}

// companions emits the packages that come by themselves once a name is there,
// if all else that they wait for is there.
func (s *sequence) companions(name string) {
	for _, p := range s.comes[name] {
		if s.reached[p.Name] {
			continue
		}
		waits := slices.ContainsFunc(dependencies(p.InstallIf), func(d apk.Dependency) bool {
			q := s.chosen[d.Name]
			return !s.reached[d.Name] || (q != nil && d.Matches(q.Record)) == d.Conflict
		})
		if !waits {
			s.name(p.Name)
		}
	}
}

// dependencies reads a list, without what apk could not read either.
func dependencies(list []string) []apk.Dependency {
	out := make([]apk.Dependency, 0, len(list))
	for _, text := range list {
		if d, err := apk.ParseDependency(text); err == nil {
			out = append(out, d)
		}
	}
	return out
}
