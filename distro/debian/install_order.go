package debian

import (
	"cmp"
	"fmt"
	"slices"
)

// An order says which packages of an installation rest on which others of it.
type order struct {
	jobs []*job
	pre  map[*job][]*job // must be configured before this is unpacked
	deps map[*job][]*job // must be unpacked before this is configured; has pre in it
}

// A step is one round of unpacking and configuring.
type step struct {
	unpack, configure []*job
	// forced says that Pre-Depends form a circle, which only force can enter.
	forced bool
}

func newOrder(jobs []*job) (*order, error) {
	o := &order{jobs: slices.Clone(jobs), pre: map[*job][]*job{}, deps: map[*job][]*job{}}
	// Essential packages come first wherever nothing else decides.
	slices.SortStableFunc(o.jobs, func(a, b *job) int {
		if a.Essential != b.Essential {
			if a.Essential {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.key(), b.key())
	})
	byName := map[string][]*job{}
	for _, j := range o.jobs {
		byName[j.Package] = append(byName[j.Package], j)
		provides, err := ParseDependencies(j.Provides)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", j.entry.Path, err)
		}
		for _, clause := range provides {
			byName[clause[0].Name] = append(byName[clause[0].Name], j)
		}
	}
	for _, j := range o.jobs {
		for _, f := range []struct {
			field string
			edges []map[*job][]*job
		}{
			{j.PreDepends, []map[*job][]*job{o.pre, o.deps}},
			{j.Depends, []map[*job][]*job{o.deps}},
		} {
			needs, err := ParseDependencies(f.field)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", j.entry.Path, err)
			}
			for _, clause := range needs {
				for _, to := range targets(byName, clause, j) {
					for _, edges := range f.edges {
						edges[j] = append(edges[j], to)
					}
				}
			}
		}
	}
	return o, nil
}

// targets are the packages of the installation that answer a clause: those of
// the first alternative that has any. Waiting for one package too many does no
// harm, so versions and architectures are not compared.
func targets(byName map[string][]*job, clause Dependency, of *job) []*job {
	for _, n := range clause {
		found := slices.DeleteFunc(slices.Clone(byName[n.Name]), func(j *job) bool { return j == of })
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// steps orders the installation: a package is unpacked when all that it
// pre-depends on is configured, and configured as soon as all that it depends
// on, directly or not, is unpacked.
func (o *order) steps() []step {
	var steps []step
	unpacked, configured := map[*job]bool{}, map[*job]bool{}
	for len(unpacked) < len(o.jobs) {
		s := step{unpack: o.ready(unpacked, configured)}
		if len(s.unpack) == 0 {
			s.forced = true
			s.unpack = o.ready(unpacked, nil)
		}
		for _, j := range s.unpack {
			unpacked[j] = true
		}
		for _, j := range o.jobs {
			if unpacked[j] && !configured[j] && o.closed(j, unpacked) {
				s.configure = append(s.configure, j)
			}
		}
		for _, j := range s.configure {
			configured[j] = true
		}
		steps = append(steps, s)
	}
	return steps
}

// ready lists what may be unpacked now, dependencies first. A nil configured
// stands for everything.
func (o *order) ready(unpacked, configured map[*job]bool) []*job {
	may := map[*job]bool{}
	for _, j := range o.jobs {
		waits := slices.ContainsFunc(o.pre[j], func(p *job) bool { return !configured[p] })
		may[j] = !unpacked[j] && (configured == nil || !waits)
	}
	var out []*job
	seen := map[*job]bool{}
	var visit func(j *job)
	visit = func(j *job) {
		if seen[j] || !may[j] {
			return
		}
		seen[j] = true
		for _, d := range o.deps[j] {
			visit(d)
		}
		out = append(out, j)
	}
	for _, j := range o.jobs {
		visit(j)
	}
	return out
}

// closed reports whether all that j rests on is unpacked.
func (o *order) closed(j *job, unpacked map[*job]bool) bool {
	seen := map[*job]bool{j: true}
	todo := []*job{j}
	for len(todo) > 0 {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !unpacked[k] {
			return false
		}
		for _, d := range o.deps[k] {
			if !seen[d] {
				seen[d] = true
				todo = append(todo, d)
			}
		}
	}
	return true
}
