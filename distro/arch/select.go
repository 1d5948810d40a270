package arch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
)

// Select returns the installed packages that names stand for, sorted, and if
// deps is set all installed ones that these depend on, by name or by what they
// provide. Where several that are installed satisfy a dependency, all of them
// are taken, since which of them counts cannot be told.
func (s *System) Select(ctx context.Context, names []string, deps bool) ([]distro.Package, error) {
	all, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	g := newGraph(all)
	var missing []string
	for _, name := range names {
		base, arch, _ := strings.Cut(name, ":")
		p := g.byName[base]
		if p == nil || arch != "" && arch != p.Arch && (p.Arch != "any" || !slices.Contains(s.architectures(), arch)) {
			missing = append(missing, name)
			continue
		}
		g.take(p)
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("not installed in %s: %s", s.Root, strings.Join(slices.Compact(missing), ", "))
	}
	if deps {
		g.close()
	}
	var out []distro.Package
	for _, p := range all {
		if g.taken[p] {
			out = append(out, identity(p))
		}
	}
	return out, nil
}

// A graph finds packages by what they are called and provide.
type graph struct {
	byName   map[string]*pacman.Desc
	provides map[string][]*pacman.Desc
	taken    map[*pacman.Desc]bool
	todo     []*pacman.Desc
}

func newGraph(all []*pacman.Desc) *graph {
	g := &graph{byName: map[string]*pacman.Desc{}, provides: map[string][]*pacman.Desc{}, taken: map[*pacman.Desc]bool{}}
	for _, p := range all {
		g.add(p)
	}
	return g
}

// add puts a package in, in place of one of the same name.
func (g *graph) add(p *pacman.Desc) {
	g.remove(p.Name)
	g.byName[p.Name] = p
	for _, v := range p.Provides {
		name := pacman.ParseDependency(v).Name
		g.provides[name] = append(g.provides[name], p)
	}
}

// remove takes a package out, if it is there.
func (g *graph) remove(name string) {
	p := g.byName[name]
	if p == nil {
		return
	}
	delete(g.byName, name)
	for _, v := range p.Provides {
		name := pacman.ParseDependency(v).Name
		g.provides[name] = slices.DeleteFunc(g.provides[name], func(q *pacman.Desc) bool { return q == p })
	}
}

// satisfying returns the packages that are what a dependency asks for.
func (g *graph) satisfying(dependency string) []*pacman.Desc {
	d := pacman.ParseDependency(dependency)
	var out []*pacman.Desc
	if p := g.byName[d.Name]; p != nil && p.Satisfies(d) {
		out = append(out, p)
	}
	for _, p := range g.provides[d.Name] {
		if p.Satisfies(d) && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func (g *graph) take(p *pacman.Desc) {
	if !g.taken[p] {
		g.taken[p] = true
		g.todo = append(g.todo, p)
	}
}

// close takes what the taken packages depend on. A dependency that nothing
// satisfies is let be: pacman was told not to mind, and the lock is of what is
// there.
func (g *graph) close() {
	for len(g.todo) > 0 {
		p := g.todo[len(g.todo)-1]
		g.todo = g.todo[:len(g.todo)-1]
		for _, d := range p.Depends {
			for _, q := range g.satisfying(d) {
				g.take(q)
			}
		}
	}
}
