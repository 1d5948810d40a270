package fedora

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
)

// Select returns the installed packages that names stand for, sorted, and if
// deps is set all installed ones that these require: by what they provide, or
// by a file that they have. Where several installed packages satisfy a
// requirement, all of them are taken, since which of them counts cannot be
// told. A name is name, name:arch or, as dnf has it, name.arch.
func (s *System) Select(ctx context.Context, names []string, deps bool) ([]distro.Package, error) {
	all, err := s.packages(ctx)
	if err != nil {
		return nil, err
	}
	g := newGraph(all, s.id.Arch)
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
		g.close()
	}
	var out []distro.Package
	for i, p := range g.all {
		if g.taken[i] {
			out = append(out, id(p))
		}
	}
	slices.SortFunc(out, distro.Package.Compare)
	return slices.Compact(out), nil
}

// A graph finds installed packages by what they are called and provide.
type graph struct {
	all      []*rpmdb.Package
	native   string
	byName   map[string][]int
	provides map[string][]provider
	taken    []bool
	todo     []int
}

// A provider is one that provides something; index counts in graph.all.
type provider struct {
	index int
	what  rpm.Dependency
}

func newGraph(all []*rpmdb.Package, native string) *graph {
	g := &graph{native: native, byName: map[string][]int{}}
	for _, p := range all {
		if !p.IsKey() {
			g.byName[p.Name] = append(g.byName[p.Name], len(g.all))
			g.all = append(g.all, p)
		}
	}
	g.taken = make([]bool, len(g.all))
	return g
}

// named returns the installed packages that a person means. Without an
// architecture they are the native ones, else whichever are installed.
func (g *graph) named(name string) []int {
	base, arch, ok := strings.Cut(name, ":")
	if _, exact := g.byName[name]; !ok && !exact {
		if i := strings.LastIndexByte(name, '.'); i > 0 {
			base, arch = name[:i], name[i+1:]
		}
	}
	var out []int
	for _, i := range g.byName[base] {
		if a := g.all[i].Arch; a == arch || arch == "" && (a == g.native || a == "noarch") {
			out = append(out, i)
		}
	}
	if arch == "" && len(out) == 0 {
		return g.byName[base]
	}
	return out
}

func (g *graph) take(i int) {
	if !g.taken[i] {
		g.taken[i] = true
		g.todo = append(g.todo, i)
	}
}

// close takes what the taken packages require. A requirement that nothing
// installed satisfies is let be: rpm was forced, and the lock is of what is
// there.
func (g *graph) close() {
	g.index()
	for len(g.todo) > 0 {
		i := g.todo[len(g.todo)-1]
		g.todo = g.todo[:len(g.todo)-1]
		for _, d := range g.all[i].Requires() {
			for _, one := range alternatives(d) {
				for _, p := range g.provides[one.Name] {
					if one.Meets(p.what) {
						g.take(p.index)
					}
				}
			}
		}
	}
}

// index notes what all packages provide, and of their files those that are
// required somewhere.
func (g *graph) index() {
	g.provides = map[string][]provider{}
	wanted := map[string]string{} // where a file may be, and what it is required as
	for i, p := range g.all {
		for _, d := range p.Provides() {
			g.provides[d.Name] = append(g.provides[d.Name], provider{i, d})
		}
		for _, d := range p.Requires() {
			for _, one := range alternatives(d) {
				if one.IsFile() {
					wanted[one.Name] = one.Name
					if merged(one.Name) {
						wanted["/usr"+one.Name] = one.Name
					}
				}
			}
		}
	}
	for i, p := range g.all {
		for _, f := range p.Files() {
			if name, ok := wanted[f]; ok {
				what := rpm.Dependency{Name: name}
				g.provides[name] = append(g.provides[name], provider{i, what})
				if f != name { // it may be required under both names
					g.provides[f] = append(g.provides[f], provider{i, rpm.Dependency{Name: f}})
				}
			}
		}
	}
}

// merged reports whether the file lies in a directory that is a link into
// /usr on today's systems.
func merged(file string) bool {
	for _, dir := range []string{"/bin/", "/sbin/", "/lib/", "/lib64/"} {
		if strings.HasPrefix(file, dir) {
			return true
		}
	}
	return false
}

// alternatives returns what a requirement names: itself, or all that a rich
// one may be satisfied by. What only makes a part of it apply ("if") is not
// among them.
func alternatives(d rpm.Dependency) []rpm.Dependency {
	switch {
	case d.IsRpmlib():
		return nil
	case !d.IsRich():
		return []rpm.Dependency{d}
	}
	return parseRich(d.Name).needs(nil)
}
