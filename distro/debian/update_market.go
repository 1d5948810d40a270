package debian

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/lockfile"
)

// An offer is one version of a package that can be had, or is there already.
type offer struct {
	distro.Package
	source                                 string // as the field stands
	multiArch                              string
	preDepends, depends, breaks, conflicts string
	provides                               string
	// releases are of the indexes that have it; there says that it is the
	// version that is locked or installed.
	releases []apt.Release
	there    bool
	priority int // apt's pin priority
	// entry is the file and date that of the index; the path is empty where
	// no index has it.
	entry lockfile.Entry
	date  time.Time
}

// A slot is the place that one version of a package can take in a system.
// Packages for all architectures take the place of native ones.
type slot struct{ name, arch string }

func (s slot) compare(t slot) int {
	return cmp.Or(strings.Compare(s.name, t.name), strings.Compare(s.arch, t.arch))
}

// A market holds all that is offered.
type market struct {
	native    string
	offers    map[slot][]*offer // newest version first
	slots     map[string][]slot // by name, the native architecture first
	providers map[string][]*offer
}

// newMarket joins the offers of one version and orders them. Where several
// files are offered for it, the one that is in keep counts, so that what is
// locked stays as it is; else the one that a lock prefers to name.
func newMarket(native string, all []*offer, keep map[lockfile.Digest]bool, priority func(*offer) int) *market {
	m := &market{native: native, offers: map[slot][]*offer{}, slots: map[string][]slot{}, providers: map[string][]*offer{}}
	for _, o := range all {
		at := m.slot(o.Package)
		i := slices.IndexFunc(m.offers[at], func(p *offer) bool { return p.Version == o.Version })
		if i < 0 {
			copied := *o
			m.offers[at] = append(m.offers[at], &copied)
			continue
		}
		m.offers[at][i].join(o, keep)
	}
	for _, list := range m.offers {
		for _, o := range list {
			o.priority = priority(o)
		}
	}
	m.order()
	return m
}

// join makes o stand for p too.
func (o *offer) join(p *offer, keep map[lockfile.Digest]bool) {
	releases, there := slices.Concat(o.releases, p.releases), o.there || p.there
	newest := o.date
	if p.date.After(newest) {
		newest = p.date
	}
	same := o.entry.Digest == p.entry.Digest && o.entry.Archive == p.entry.Archive
	if p.before(o, keep) {
		*o = *p
	}
	if same {
		o.date = newest
	}
	o.releases, o.there = releases, there
}

// before reports whether the file of o goes before that of p.
func (o *offer) before(p *offer, keep map[lockfile.Digest]bool) bool {
	rank := func(x *offer) int {
		n := 0
		for i, worse := range []bool{x.entry.Archive.URL != "", x.entry.Unsigned, !keep[x.entry.Digest], x.entry.Path == ""} {
			if worse {
				n |= 1 << i
			}
		}
		return n
	}
	return cmp.Or(rank(o)-rank(p), o.entry.Compare(p.entry), strings.Compare(o.entry.Digest.String(), p.entry.Digest.String())) < 0
}

// order sorts what is there, and notes who provides what.
func (m *market) order() {
	for at, list := range m.offers {
		slices.SortStableFunc(list, func(a, b *offer) int { return orderVersions(b.Version, a.Version) })
		m.slots[at.name] = append(m.slots[at.name], at)
		for _, o := range list {
			for _, name := range o.providedNames() {
				m.providers[name] = append(m.providers[name], o)
			}
		}
	}
	for _, slots := range m.slots {
		slices.SortFunc(slots, m.compareSlots)
	}
	for _, list := range m.providers {
		slices.SortFunc(list, func(a, b *offer) int {
			return cmp.Or(m.compareSlots(m.slot(a.Package), m.slot(b.Package)), strings.Compare(a.Version, b.Version))
		})
	}
}

// compareSlots puts the native architecture first.
func (m *market) compareSlots(s, t slot) int {
	foreign := func(x slot) int {
		if x.arch == m.native {
			return 0
		}
		return 1
	}
	return cmp.Or(foreign(s)-foreign(t), s.compare(t))
}

func (m *market) slot(p distro.Package) slot { return slotOf(p, m.native) }

func slotOf(p distro.Package, native string) slot {
	if p.Arch == "all" {
		return slot{p.Name, native}
	}
	return slot{p.Name, p.Arch}
}

// candidate returns what apt would install in the slot: of the offers with the
// highest priority the newest, and nothing older than current unless its
// priority is at least 1000. Offers that banned has are passed over; it is nil
// where nothing is left.
func (m *market) candidate(at slot, current *offer, banned map[*offer]bool) *offer {
	var best *offer
	for _, o := range m.offers[at] {
		switch {
		case o.priority <= 0 || banned[o]:
		case best != nil && o.priority <= best.priority:
		case current != nil && o.priority < 1000 && orderVersions(o.Version, current.Version) < 0:
		default:
			best = o
		}
	}
	return best
}

func (o *offer) providedNames() []string {
	clauses, err := ParseDependencies(o.provides)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range clauses {
		if !slices.Contains(names, c[0].Name) {
			names = append(names, c[0].Name)
		}
	}
	return names
}

// fits reports whether o is what n wants when a package of architecture arch
// has n. Providers count where asked for any version or for that which they
// say they provide.
func (m *market) fits(o *offer, n Relation, arch string) bool {
	if !m.rightArch(o, n.Arch, arch) {
		return false
	}
	if o.Name == n.Name && n.Accepts(o.Version) {
		return true
	}
	return o.stands(n)
}

// stands reports whether o provides what n names.
func (o *offer) stands(n Relation) bool {
	clauses, err := ParseDependencies(o.provides)
	return err == nil && slices.ContainsFunc(clauses, func(c Dependency) bool {
		return c[0].Name == n.Name && (n.Operator == "" || c[0].Operator == "=" && n.Accepts(c[0].Version))
	})
}

// rightArch applies the rules of multiarch to a dependency.
func (m *market) rightArch(o *offer, qualifier, arch string) bool {
	have := m.slot(o.Package).arch
	if arch == "all" {
		arch = m.native
	}
	switch qualifier {
	case "":
		return have == arch || o.multiArch == "foreign"
	case "any":
		return have == arch || o.multiArch == "allowed" || o.multiArch == "foreign"
	case "native":
		return have == m.native
	}
	return have == qualifier
}

// orderVersions orders two versions as dpkg does, and what is no version by
// its bytes.
func orderVersions(a, b string) int {
	if c, err := CompareVersions(a, b); err == nil {
		return c
	}
	return strings.Compare(a, b)
}

// withoutEpoch returns the part of a version that file names carry.
func withoutEpoch(v string) string {
	if _, rest, ok := strings.Cut(v, ":"); ok {
		return rest
	}
	return v
}
