package debian

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

// Select returns the installed packages that names stand for, sorted, and if
// deps is set all installed ones that these need: through Depends and
// Pre-Depends, by name or by what they provide. Where several alternatives are
// installed, all of them are taken, since which of them counts cannot be told.
// A name without an architecture means the native one, else whichever is
// installed.
func (s *System) Select(ctx context.Context, names []string, deps bool) ([]distro.Package, error) {
	all, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	g := newGraph(all, s.Config.Native())
	var missing []string
	for _, name := range names {
		found := g.named(name)
		if len(found) == 0 {
			missing = append(missing, name)
		}
		for _, i := range found {
			g.take(i)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("not installed in %s: %s", s.Root, strings.Join(slices.Compact(missing), ", "))
	}
	if deps {
		if err := g.close(); err != nil {
			return nil, err
		}
	}
	var out []distro.Package
	for i, st := range all {
		if g.taken[i] {
			out = append(out, st.ID())
		}
	}
	return out, nil
}

// A graph finds installed packages by what they are called and provide.
type graph struct {
	all    []Status
	native string
	byName map[string][]int
	// provides has, for each virtual name, who provides it.
	provides map[string][]provider
	taken    []bool
	todo     []int
}

// A provider provides a virtual package, in one version or in none.
type provider struct {
	index   int
	version string
}

func newGraph(all []Status, native string) *graph {
	g := &graph{all: all, native: native, byName: map[string][]int{}, taken: make([]bool, len(all))}
	for i, st := range all {
		g.byName[st.Package] = append(g.byName[st.Package], i)
	}
	return g
}

// named returns the installed packages that a person means by "name" or
// "name:arch".
func (g *graph) named(name string) []int {
	base, arch, _ := strings.Cut(name, ":")
	var exact, native []int
	for _, i := range g.byName[base] {
		a := g.all[i].Arch
		if a == arch || arch == "any" || arch != "" && a == "all" && arch == g.native {
			exact = append(exact, i)
		}
		if a == g.native || a == "all" {
			native = append(native, i)
		}
	}
	switch {
	case arch != "":
		return exact
	case len(native) > 0:
		return native
	}
	return g.byName[base]
}

func (g *graph) take(i int) {
	if !g.taken[i] {
		g.taken[i] = true
		g.todo = append(g.todo, i)
	}
}

// close takes what the taken packages need. A dependency that nothing
// installed satisfies is let be: dpkg was forced, and the lock is of what is
// there.
func (g *graph) close() error {
	g.provides = map[string][]provider{}
	for i, st := range g.all {
		virtual, err := ParseDependencies(st.Provides)
		if err != nil {
			return fmt.Errorf("%s provides: %w", st.Package, err)
		}
		for _, d := range virtual {
			g.provides[d[0].Name] = append(g.provides[d[0].Name], provider{i, d[0].Version})
		}
	}
	for len(g.todo) > 0 {
		i := g.todo[len(g.todo)-1]
		g.todo = g.todo[:len(g.todo)-1]
		for _, field := range []string{g.all[i].PreDepends, g.all[i].Depends} {
			needs, err := ParseDependencies(field)
			if err != nil {
				return fmt.Errorf("%s depends: %w", g.all[i].Package, err)
			}
			for _, alternatives := range needs {
				for _, r := range alternatives {
					for _, j := range g.satisfying(r, g.arch(i)) {
						g.take(j)
					}
				}
			}
		}
	}
	return nil
}

// arch is the architecture that the dependencies of a package are of.
func (g *graph) arch(i int) string {
	if a := g.all[i].Arch; a != "all" {
		return a
	}
	return g.native
}

// satisfying returns the installed packages that satisfy a relation of a
// package of the given architecture.
func (g *graph) satisfying(r Relation, arch string) []int {
	if !r.Applies(arch) {
		return nil
	}
	var out []int
	for _, i := range g.byName[r.Name] {
		if g.archSatisfies(i, r, arch) && r.Accepts(g.all[i].Version) {
			out = append(out, i)
		}
	}
	for _, p := range g.provides[r.Name] {
		// What is provided without a version satisfies no versioned relation.
		if r.Operator != "" && (p.version == "" || !r.Accepts(p.version)) {
			continue
		}
		if g.archSatisfies(p.index, r, arch) {
			out = append(out, p.index)
		}
	}
	return out
}

// archSatisfies applies the rules of multiarch: the same architecture, unless
// the package is "foreign", or "allowed" and asked for with ":any".
func (g *graph) archSatisfies(i int, r Relation, arch string) bool {
	st := g.all[i]
	switch r.Arch {
	case "any":
		if st.MultiArch == "allowed" || st.MultiArch == "foreign" {
			return true
		}
	case "native":
		arch = g.native
	case "":
		if st.MultiArch == "foreign" {
			return true
		}
	default:
		arch = r.Arch
	}
	return g.arch(i) == arch
}
