package alpine

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// A resolver finds the set of packages that a locked set becomes. It chooses
// the best of what is offered and, where that does not go together, bans what
// is to blame and begins again. Locked versions are the last resort and are
// not banned, so it ends.
type resolver struct {
	offers map[string][]*offer // by name, newest first
	locked map[string]*offer
	// around are packages that are installed but not locked. They satisfy
	// dependencies, and are not part of the result.
	around []apk.Record
	// roots are what a person has asked for.
	roots []want

	providers map[string][]*offer // by what they provide
	triggered []*offer            // that come by themselves where others are
	banned    map[*offer]bool
	chosen    map[string]*offer
	events    *distro.Events
}

// A want is a dependency on the way to be satisfied.
type want struct {
	dependency apk.Dependency
	by         *offer // nil for what a person has asked for
	tag        string // of the repositories that may be used for it
}

func (w want) String() string {
	if w.by == nil {
		return "world says " + w.dependency.String()
	}
	return w.by.String() + " needs " + w.dependency.String()
}

// index notes who provides what.
func (r *resolver) index() {
	r.providers = map[string][]*offer{}
	for _, name := range slices.Sorted(maps.Keys(r.offers)) {
		for _, o := range r.offers[name] {
			if len(o.record.InstallIf) > 0 {
				r.triggered = append(r.triggered, o)
			}
			for _, d := range clauses(o.record.Provides) {
				if list := r.providers[d.Name]; d.Name != name && (len(list) == 0 || list[len(list)-1] != o) {
					r.providers[d.Name] = append(list, o)
				}
			}
		}
	}
}

// resolve finds the set, in chosen. A newer version that cannot be had is not
// taken, and said.
func (r *resolver) resolve() error {
	for {
		culprit, why, err := r.attempt()
		if err != nil || culprit == nil {
			return err
		}
		r.banned[culprit] = true
		if locked := r.locked[culprit.record.Name]; locked != nil && apk.Compare(culprit.record.Version, locked.record.Version) > 0 {
			r.events.Warning(fmt.Sprintf("%s is not taken: %s", culprit, why))
		}
	}
}

// attempt chooses for every want what is best. Where that does not go
// together, it returns the offer that must not be chosen, and why.
func (r *resolver) attempt() (culprit *offer, why string, err error) {
	r.chosen = map[string]*offer{}
	queue := slices.Clone(r.roots)
	var against []want
	for {
		for len(queue) > 0 {
			w := queue[0]
			queue = queue[1:]
			if w.dependency.Conflict {
				against = append(against, w)
				continue
			}
			if r.met(w.dependency) {
				continue
			}
			o, blocked := r.pick(w)
			if o == nil {
				culprit, err = r.blame(w, blocked)
				if culprit != nil || err != nil {
					return culprit, w.String(), err
				}
				if o = r.locked[w.dependency.Name]; w.by != nil || o == nil || r.chosen[o.record.Name] != nil {
					continue
				}
				// World wants what nobody has: what is there stays.
			}
			r.chosen[o.record.Name] = o
			queue = append(queue, wants(o, w.tag)...)
		}
		for _, o := range r.comeBy() {
			r.chosen[o.record.Name] = o
			queue = append(queue, wants(o, "")...)
		}
		if len(queue) == 0 {
			culprit, why = r.quarrel(against)
			return culprit, why, nil
		}
	}
}

func wants(o *offer, tag string) []want {
	var out []want
	for _, d := range clauses(o.record.Depends) {
		out = append(out, want{dependency: d, by: o, tag: tag})
	}
	return out
}

// met reports whether a dependency is satisfied already.
func (r *resolver) met(d apk.Dependency) bool {
	if o := r.chosen[d.Name]; o != nil && d.Matches(o.record) {
		return true
	}
	for _, o := range r.providers[d.Name] {
		if r.chosen[o.record.Name] == o && d.Matches(o.record) {
			return true
		}
	}
	return slices.ContainsFunc(r.around, func(have apk.Record) bool { return d.Matches(have) })
}

// pick returns the best offer for a want whose place is free, else the best of
// those whose place another version has taken.
func (r *resolver) pick(w want) (free, blocked *offer) {
	d := w.dependency
	var all []*offer
	for _, o := range append(slices.Clip(r.offers[d.Name]), r.providers[d.Name]...) {
		if !r.banned[o] && r.allowed(o, w.tag) && d.Matches(o.record) && r.eligible(o, d) {
			all = append(all, o)
		}
	}
	slices.SortStableFunc(all, func(a, b *offer) int { return r.compare(a, b, w) })
	for _, o := range all {
		if r.chosen[o.record.Name] == nil && !r.isAround(o.record.Name) {
			return o, nil
		}
		if blocked == nil && r.chosen[o.record.Name] != nil {
			blocked = o
		}
	}
	return nil, blocked
}

func (r *resolver) isAround(name string) bool {
	_, found := slices.BinarySearchFunc(r.around, name, func(a apk.Record, name string) int { return cmp.Compare(a.Name, name) })
	return found
}

// allowed reports whether the repositories that have the offer may be used:
// those without a tag, or of the tag that was asked for.
func (r *resolver) allowed(o *offer, tag string) bool {
	return o.there || slices.Contains(o.tags, "") || tag != "" && slices.Contains(o.tags, tag)
}

// eligible reports whether an offer may be chosen for a dependency that was
// not asked for by its name: what provides a name without a version, and has
// no priority for it, is only taken where it is locked.
func (r *resolver) eligible(o *offer, d apk.Dependency) bool {
	if o.record.Name == d.Name || r.locked[o.record.Name] != nil || o.record.ProviderPriority > 0 {
		return true
	}
	return slices.ContainsFunc(clauses(o.record.Provides), func(p apk.Dependency) bool { return p.Name == d.Name && p.Version != "" })
}

// compare puts the better offer first: of that very name, locked by name, from
// a repository that needs no tag (unless the name itself is asked for with
// it), with more priority, newer.
func (r *resolver) compare(a, b *offer, w want) int {
	own := func(o *offer) int { return btoi(o.record.Name != w.dependency.Name) }
	kept := func(o *offer) int { return btoi(r.locked[o.record.Name] == nil) }
	tagged := func(o *offer) int {
		return btoi(w.dependency.Tag == "" && !o.there && !slices.Contains(o.tags, ""))
	}
	return cmp.Or(own(a)-own(b), kept(a)-kept(b), tagged(a)-tagged(b),
		cmp.Compare(b.record.ProviderPriority, a.record.ProviderPriority),
		apk.Compare(b.record.Version, a.record.Version), cmp.Compare(a.record.Name, b.record.Name))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// blame finds who is to blame that a want cannot be satisfied: what has taken
// the place of blocked, else who wants it. Nobody is, if it was so in the lock.
func (r *resolver) blame(w want, blocked *offer) (*offer, error) {
	if blocked != nil {
		if taken := r.chosen[blocked.record.Name]; !taken.there {
			return taken, nil
		}
	}
	switch {
	case w.by != nil && !w.by.there:
		return w.by, nil
	case !r.wasMet(w.dependency):
		return nil, nil
	}
	return nil, fmt.Errorf("%s, which would no longer be there", w)
}

func (r *resolver) wasMet(d apk.Dependency) bool {
	for _, o := range r.locked {
		if d.Matches(o.record) {
			return true
		}
	}
	return false
}

// comeBy returns what is offered and comes by itself with what is chosen.
func (r *resolver) comeBy() []*offer {
	var out []*offer
	for _, o := range r.triggered {
		name := o.record.Name
		if r.chosen[name] != nil || r.isAround(name) || r.banned[o] || !r.allowed(o, "") ||
			slices.ContainsFunc(out, func(p *offer) bool { return p.record.Name == name }) {
			continue
		}
		if !slices.ContainsFunc(clauses(o.record.InstallIf), func(d apk.Dependency) bool { return r.met(d) == d.Conflict }) {
			out = append(out, o)
		}
	}
	return out
}

// quarrel returns a chosen offer that another, or world, does not bear.
func (r *resolver) quarrel(against []want) (*offer, string) {
	for _, w := range against {
		for _, name := range slices.Sorted(maps.Keys(r.chosen)) {
			o := r.chosen[name]
			if o == w.by || !w.dependency.Matches(o.record) || o.there && (w.by == nil || w.by.there) {
				continue // of itself, or as it was before
			}
			if !o.there {
				return o, w.String()
			}
			return w.by, w.String() + ", and that is locked"
		}
	}
	return nil, ""
}
