package fedora

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A resolver chooses the newest versions that go together. It begins with the
// newest of each locked package, adds what these require, and takes back an
// upgrade for which something is lacking or by which something would be. A
// version that was taken back is not tried again, so it comes to an end.
type resolver struct {
	native string
	slots  map[string][]*offer // of the indexes
	best   map[string]*offer   // of each slot
	locked map[string]*offer
	kept   []*offer // older versions that are locked beside a newer one
	around []*offer // installed and not locked
	chosen map[string]*offer
	held   map[string]bool // slots that stay as they are locked, or empty

	providers map[string][]provided       // by what the best offers provide
	still     map[string][]rpm.Dependency // what is provided by what does not change
	ignored   map[string]bool
}

// A provided is what an offer provides.
type provided struct {
	by   *offer
	what rpm.Dependency
}

func newResolver(native string) *resolver {
	return &resolver{
		native: native, slots: map[string][]*offer{}, best: map[string]*offer{}, locked: map[string]*offer{},
		chosen: map[string]*offer{}, held: map[string]bool{}, ignored: map[string]bool{},
	}
}

// slot is what only one version can have: the name, and the architecture where
// it is a foreign one.
func (r *resolver) slot(p distro.Package) string {
	if p.Arch == r.native || p.Arch == "noarch" {
		return p.Name
	}
	return p.Name + "." + p.Arch
}

// offer adds one of an index.
func (r *resolver) offer(o *offer) {
	at := r.slot(o.Package)
	r.slots[at] = append(r.slots[at], o)
	if b := r.best[at]; b == nil || o.better(b) {
		r.best[at] = o
	}
}

// better reports whether o is to be preferred: by the priority of its
// repository, then by its version, then by what has to break the tie.
func (o *offer) better(b *offer) bool {
	return cmp.Or(
		cmp.Compare(b.priority, o.priority), rpm.CompareEVR(o.Version, b.Version), cmp.Compare(b.cost, o.cost), b.at.compare(o.at),
	) > 0
}

// lock adds one of the lock.
func (r *resolver) lock(o *offer) {
	at := r.slot(o.Package)
	before := r.locked[at]
	if before != nil && rpm.CompareEVR(before.Version, o.Version) > 0 {
		before, o = o, before
	}
	if before != nil {
		r.kept = append(r.kept, before)
	}
	r.locked[at] = o
}

// resolve returns what is chosen, sorted.
func (r *resolver) resolve() []*offer {
	for at, o := range r.locked {
		r.chosen[at] = o
		if b := r.best[at]; b != nil && (rpm.CompareEVR(b.Version, o.Version) > 0 || o.entry.Path == "" && b.Version == o.Version) {
			r.chosen[at] = b
		}
	}
	r.obsolete()
	for r.round() {
	}
	r.needed()
	out := slices.Clone(r.kept)
	for _, o := range r.chosen {
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b *offer) int { return a.Package.Compare(b.Package) })
	return out
}

// obsolete puts what obsoletes a locked package in its place.
func (r *resolver) obsolete() {
	for _, at := range sortedKeys(r.best) {
		b := r.best[at]
		for _, d := range b.obsoletes {
			for _, old := range []string{d.Name, d.Name + "." + b.Arch} {
				o := r.locked[old]
				if o == nil || o.Name == b.Name || !d.Meets(rpm.Dependency{Name: o.Name, Flags: rpm.Equal, EVR: o.Version}) {
					continue
				}
				delete(r.chosen, old)
				r.chosen[at] = b
			}
		}
	}
}

func sortedKeys(m map[string]*offer) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// round mends what is lacking and reports whether it changed anything.
func (r *resolver) round() bool {
	if r.still == nil {
		r.still = provides(slices.Values(slices.Concat(r.kept, r.around)))
	}
	there := provides(maps.Values(r.chosen))
	met := func(d rpm.Dependency) bool {
		return slices.ContainsFunc(there[d.Name], d.Meets) || slices.ContainsFunc(r.still[d.Name], d.Meets)
	}
	for _, at := range sortedKeys(r.chosen) {
		o := r.chosen[at]
		for _, d := range o.requires {
			if d.IsRpmlib() || r.ignored[at+" "+d.String()] {
				continue
			}
			if d.IsRich() && parseRich(d.Name).holds(met) || !d.IsRich() && met(d) {
				continue
			}
			r.mend(at, o, d)
			return true
		}
	}
	return false
}

// provides is all that offers provide, by name.
func provides(offers iter.Seq[*offer]) map[string][]rpm.Dependency {
	there := map[string][]rpm.Dependency{}
	for o := range offers {
		for _, d := range o.provides {
			there[d.Name] = append(there[d.Name], d)
		}
		for _, f := range o.files() {
			there[f] = append(there[f], rpm.Dependency{Name: f})
		}
	}
	return there
}

// mend does something about a requirement that nothing meets.
func (r *resolver) mend(at string, o *offer, d rpm.Dependency) {
	if b := r.provider(d); b != nil {
		r.chosen[r.slot(b.Package)] = b
		return
	}
	if !o.locked {
		r.takeBack(at)
		return
	}
	// A locked package lacks what an upgrade, or what took another's place, no
	// longer has.
	for _, old := range sortedKeys(r.locked) {
		l := r.locked[old]
		if r.chosen[old] != l && !r.held[old] && l.meets(d) {
			r.takeBack(old)
			return
		}
	}
	r.ignored[at+" "+d.String()] = true // it lacked that before
}

// takeBack gives a slot the next version that is older, and where none of them
// is newer than what is locked, that.
func (r *resolver) takeBack(at string) {
	o := r.locked[at]
	if next := r.next(at); next != nil && (o == nil || rpm.CompareEVR(next.Version, o.Version) > 0) {
		r.best[at], r.chosen[at], r.providers = next, next, nil
		return
	}
	r.held[at] = true
	if o == nil {
		delete(r.chosen, at)
		return
	}
	r.chosen[at] = o
	// What obsoletes it cannot be there beside it.
	for _, other := range sortedKeys(r.chosen) {
		c := r.chosen[other]
		itself := rpm.Dependency{Name: o.Name, Flags: rpm.Equal, EVR: o.Version}
		if c.Name != o.Name && !c.locked && slices.ContainsFunc(c.obsoletes, func(d rpm.Dependency) bool { return d.Meets(itself) }) {
			r.takeBack(other)
		}
	}
}

// next returns the best offer of a slot after the one that is chosen, of a
// repository of the same priority.
func (r *resolver) next(at string) *offer {
	now := r.chosen[at]
	var best *offer
	for _, o := range r.slots[at] {
		if now != nil && o.priority == now.priority && rpm.CompareEVR(o.Version, now.Version) < 0 && (best == nil || o.better(best)) {
			best = o
		}
	}
	return best
}

// needed drops what was added for an upgrade that was taken back.
func (r *resolver) needed() {
	added := map[string]*offer{}
	todo := slices.Clone(r.kept)
	for at, o := range r.chosen {
		if r.locked[at] != nil || r.replaces(o) {
			todo = append(todo, o)
		} else {
			added[at] = o
		}
	}
	for len(todo) > 0 {
		o := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, d := range o.requires {
			for at, by := range added {
				if by.meets(d) {
					todo = append(todo, by)
					delete(added, at)
				}
			}
		}
	}
	maps.DeleteFunc(r.chosen, func(at string, _ *offer) bool { return added[at] != nil })
}

// replaces reports whether an offer stands in the place of a locked package.
func (r *resolver) replaces(o *offer) bool {
	for at, l := range r.locked {
		itself := rpm.Dependency{Name: l.Name, Flags: rpm.Equal, EVR: l.Version}
		if r.chosen[at] == nil && slices.ContainsFunc(o.obsoletes, func(d rpm.Dependency) bool { return d.Meets(itself) }) {
			return true
		}
	}
	return false
}

func (o *offer) meets(d rpm.Dependency) bool {
	for _, one := range alternatives(d) {
		if slices.ContainsFunc(o.provides, one.Meets) || one.IsFile() && slices.Contains(o.files(), one.Name) {
			return true
		}
	}
	return false
}

// provider returns the best offer that meets a requirement and may be chosen,
// nil for none.
func (r *resolver) provider(d rpm.Dependency) *offer {
	r.indexProviders()
	var found []*offer
	for _, one := range alternatives(d) {
		for _, p := range r.providers[one.Name] {
			at := r.slot(p.by.Package)
			if one.Meets(p.what) && !r.held[at] && r.chosen[at] != p.by {
				found = append(found, p.by)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	rank := func(o *offer) int {
		switch {
		case r.locked[r.slot(o.Package)] != nil:
			return 0
		case o.Name == d.Name:
			return 1
		case o.Arch == r.native || o.Arch == "noarch":
			return 2
		}
		return 3
	}
	return slices.MinFunc(found, func(a, b *offer) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(len(a.Name), len(b.Name)), strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch))
	})
}

func (r *resolver) indexProviders() {
	if r.providers != nil {
		return
	}
	r.providers = map[string][]provided{}
	for _, b := range r.best {
		for _, d := range b.provides {
			r.providers[d.Name] = append(r.providers[d.Name], provided{b, d})
		}
		for _, f := range b.files() {
			r.providers[f] = append(r.providers[f], provided{b, rpm.Dependency{Name: f}})
		}
	}
}
