package debian

import (
	"cmp"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// An offer is one version of a package that can be had, or is there already.
type offer struct {
	distro.Package
	multiArch                              string
	preDepends, depends, breaks, conflicts string
	provides                               string
	// priority is apt's pin priority.
	priority int
	// entry is the file; its path is empty where no index has it.
	entry lockfile.Entry
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

// newMarket orders the offers, which come in the order of apt's sources. Of
// one version that several indexes have, the first counts, with the highest of
// their priorities; but one whose file is in keep goes before others, so that
// what is locked already stays as it is.
func newMarket(native string, all []*offer, keep map[lockfile.Digest]bool) *market {
	m := &market{native: native, offers: map[slot][]*offer{}, slots: map[string][]slot{}, providers: map[string][]*offer{}}
	for _, o := range all {
		at := m.slot(o.Package)
		i := slices.IndexFunc(m.offers[at], func(p *offer) bool { return p.Version == o.Version })
		if i < 0 {
			m.offers[at] = append(m.offers[at], o)
			continue
		}
		first := m.offers[at][i]
		highest := max(first.priority, o.priority)
		if o.entry.Path != "" && (first.entry.Path == "" || keep[o.entry.Digest] && !keep[first.entry.Digest]) {
			first = o
			m.offers[at][i] = o
		}
		first.priority = highest
	}
	for at, list := range m.offers {
		slices.SortStableFunc(list, func(a, b *offer) int {
			c, err := compareVersions(b.Version, a.Version)
			if err != nil {
				return strings.Compare(b.Version, a.Version)
			}
			return c
		})
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
	return m
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

func (m *market) slot(p distro.Package) slot {
	if p.Arch == "all" {
		return slot{p.Name, m.native}
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
		case current != nil && o.priority < 1000 && older(o.Version, current.Version):
		default:
			best = o
		}
	}
	return best
}

func older(a, b string) bool {
	c, err := compareVersions(a, b)
	return err == nil && c < 0
}

func (o *offer) providedNames() []string {
	clauses, err := parseNeeds(o.provides)
	if err != nil {
		return nil
	}
	var names []string
	for _, c := range clauses {
		if !slices.Contains(names, c[0].name) {
			names = append(names, c[0].name)
		}
	}
	return names
}

// fits reports whether o is what n wants when a package of architecture arch
// has n. Providers count where asked for any version or for that which they
// say they provide.
func (m *market) fits(o *offer, n need, arch string) bool {
	if !m.rightArch(o, n.qualifier, arch) {
		return false
	}
	if o.Name == n.name && n.allows(o.Version) {
		return true
	}
	return o.stands(n)
}

// stands reports whether o provides what n names.
func (o *offer) stands(n need) bool {
	clauses, err := parseNeeds(o.provides)
	return err == nil && slices.ContainsFunc(clauses, func(c []need) bool {
		return c[0].name == n.name && (n.op == "" || c[0].op == "=" && n.allows(c[0].version))
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
