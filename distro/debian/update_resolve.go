package debian

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

// A resolver finds the set of packages that a locked set becomes.
type resolver struct {
	*market
	// locked are the packages of the lock at their locked versions.
	locked map[slot]*offer
	// around are packages that are installed but not locked. They satisfy
	// dependencies, and are not themselves part of the result.
	around map[slot]*offer
	// held are the slots that stay at the locked version.
	held map[slot]bool

	banned map[*offer]bool
	chosen map[slot]*offer
	events *distro.Events
}

// resolve returns the set. A newer version whose needs cannot be met is not
// taken, and said; two packages that do not go together are an error.
func (r *resolver) resolve() ([]*offer, error) {
	r.banned = map[*offer]bool{}
	for {
		r.chosen = map[slot]*offer{}
		for at, old := range r.locked {
			r.chosen[at] = old
			if best := r.candidate(at, old, r.banned); best != nil && !r.held[at] {
				r.chosen[at] = best
			}
		}
		culprit, reason, err := r.complete()
		if err != nil {
			return nil, err
		}
		if culprit == nil {
			break
		}
		r.banned[culprit] = true
		r.events.Warning(fmt.Sprintf("%s %s is not taken: %s", culprit.Name, culprit.Version, reason))
	}
	if err := r.quarrels(); err != nil {
		return nil, err
	}
	out := make([]*offer, 0, len(r.chosen))
	for _, at := range r.sorted() {
		out = append(out, r.chosen[at])
	}
	return out, nil
}

func (r *resolver) sorted() []slot { return slices.SortedFunc(maps.Keys(r.chosen), slot.compare) }

// complete adds what the chosen packages need. Where that cannot be had it
// returns the offer that must not be chosen, and why.
func (r *resolver) complete() (culprit *offer, reason string, err error) {
	queue := r.sorted()
	for len(queue) > 0 {
		p := r.chosen[queue[0]]
		same := r.locked[queue[0]] == p
		queue = queue[1:]
		needs, err := ParseDependencies(p.preDepends + "," + p.depends)
		if err != nil {
			return nil, "", fmt.Errorf("the dependencies of %s: %w", p.Package, err)
		}
		for _, clause := range needs {
			switch {
			case r.met(r.chosen, p, clause) || r.met(r.around, p, clause):
			case same && !r.met(r.locked, p, clause):
				// It was so when the lock was made.
			case same:
				if culprit := r.newcomer(p, clause); culprit != nil {
					return culprit, fmt.Sprintf("%s %s, which stays, needs %s", p.Name, p.Version, clauseString(clause)), nil
				}
				return nil, "", fmt.Errorf("%s %s needs %s, which would no longer be there", p.Name, p.Version, clauseString(clause))
			default:
				o := r.pick(p, clause)
				if o == nil {
					return p, fmt.Sprintf("it needs %s, which cannot be had", clauseString(clause)), nil
				}
				r.chosen[r.slot(o.Package)] = o
				queue = append(queue, r.slot(o.Package))
			}
		}
	}
	culprit, reason = r.uneven()
	return culprit, reason, nil
}

// uneven returns a chosen newer version of a package for several architectures
// that it would part from its other architectures: all must be of one version.
func (r *resolver) uneven() (*offer, string) {
	for _, at := range r.sorted() {
		p := r.chosen[at]
		for _, other := range r.slots[at.name] {
			o := r.chosen[other]
			if o == nil || o.Version == p.Version || p == r.locked[at] || p.multiArch != "same" {
				continue
			}
			if q := r.locked[at]; q == nil || r.locked[other] == nil || q.Version == r.locked[other].Version {
				return p, fmt.Sprintf("%s:%s would be at %s, and both must be of one version", at.name, other.arch, o.Version)
			}
		}
	}
	return nil, ""
}

// met reports whether one of the set is an alternative that p wants.
func (r *resolver) met(set map[slot]*offer, p *offer, clause Dependency) bool {
	return slices.ContainsFunc(clause, func(n Relation) bool {
		for _, at := range r.slots[n.Name] {
			if o := set[at]; o != nil && r.fits(o, n, p.Arch) {
				return true
			}
		}
		return slices.ContainsFunc(r.providers[n.Name], func(o *offer) bool {
			return set[r.slot(o.Package)] == o && r.fits(o, n, p.Arch)
		})
	})
}

// newcomer returns the chosen offer that took the place of what met the clause.
func (r *resolver) newcomer(p *offer, clause Dependency) *offer {
	for _, at := range r.sorted() {
		old := r.locked[at]
		if old == nil || r.chosen[at] == old {
			continue
		}
		if slices.ContainsFunc(clause, func(n Relation) bool { return r.fits(old, n, p.Arch) }) {
			return r.chosen[at]
		}
	}
	return nil
}

// pick returns what apt would install for an unmet clause: of the first
// alternative that can be had the package of that name, else the provider with
// the highest priority.
func (r *resolver) pick(p *offer, clause Dependency) *offer {
	for _, n := range clause {
		for _, at := range r.slots[n.Name] {
			if o := r.free(at); o != nil && o.Name == n.Name && r.fits(o, n, p.Arch) {
				return o
			}
		}
		var best *offer
		for _, provider := range r.providers[n.Name] {
			o := r.free(r.slot(provider.Package))
			if o == provider && r.fits(o, n, p.Arch) && (best == nil || o.priority > best.priority) {
				best = o
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}

// free returns the candidate for a slot that nothing was chosen for yet.
func (r *resolver) free(at slot) *offer {
	if r.chosen[at] != nil {
		return nil
	}
	return r.candidate(at, r.around[at], r.banned)
}

// quarrels returns an error that names all pairs of chosen packages that do
// not go together: by Breaks and Conflicts, and by the rule that packages of
// one name for several architectures are of one version.
func (r *resolver) quarrels() error {
	var errs []error
	byName := map[string][]*offer{}
	for _, at := range r.sorted() {
		o := r.chosen[at]
		for _, other := range byName[o.Name] {
			if other.Name == o.Name && (o.multiArch != "same" || other.multiArch != "same" || o.Version != other.Version) {
				errs = append(errs, fmt.Errorf("%s and %s cannot be installed together", other.Package, o.Package))
			}
		}
		byName[o.Name] = append(byName[o.Name], o)
	}
	for _, at := range r.sorted() {
		o := r.chosen[at]
		for _, name := range o.providedNames() {
			if name != o.Name {
				byName[name] = append(byName[name], o)
			}
		}
	}
	for _, at := range r.sorted() {
		p := r.chosen[at]
		for _, field := range []struct{ verb, value string }{{"breaks", p.breaks}, {"conflicts with", p.conflicts}} {
			against, err := ParseDependencies(field.value)
			if err != nil {
				return fmt.Errorf("what %s %s: %w", p.Package, field.verb, err)
			}
			for _, clause := range against {
				errs = append(errs, r.against(p, field.verb, clause[0], byName[clause[0].Name])...)
			}
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(errs...)
}

// against names those of the others that p does not bear.
func (r *resolver) against(p *offer, verb string, n Relation, others []*offer) (errs []error) {
	for _, o := range others {
		if r.locked[r.slot(p.Package)] == p && r.locked[r.slot(o.Package)] == o {
			continue // they were together before
		}
		own := o == p || o.Name == p.Name // a package may provide what it replaces
		wrongArch := n.Arch != "" && n.Arch != "any" && !r.rightArch(o, n.Arch, p.Arch)
		if !own && !wrongArch && (o.Name == n.Name && n.Accepts(o.Version) || o.stands(n)) {
			errs = append(errs, fmt.Errorf("%s %s (%s)", p.Package, verb+" "+o.Package.String(), n))
		}
	}
	return errs
}

func clauseString(clause Dependency) string {
	parts := make([]string, len(clause))
	for i, n := range clause {
		parts[i] = n.String()
	}
	return strings.Join(parts, " | ")
}
