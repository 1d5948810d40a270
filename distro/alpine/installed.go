package alpine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// maxDatabase bounds the database of installed packages, which lists every
// file of every package.
const maxDatabase = 1 << 29

// A BrokenError says that packages are not installed whole.
type BrokenError struct {
	Root     string
	Packages []string
}

// Error names the packages and what mends them.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s has packages that are not installed whole: %s; \"apk fix\" mends them", e.Root, strings.Join(e.Packages, ", "))
}

// virtualMark stands before the names of virtual packages while the database
// is read: the reader takes no name that begins with a dot.
const virtualMark = "virtual_"

// database reads what apk has installed, virtual packages among it.
func (s *System) database() ([]apk.Record, error) {
	name, err := s.stateFile()
	if err != nil {
		return nil, err
	}
	data, err := s.Files.ReadFile(name, maxDatabase)
	if err != nil {
		return nil, err
	}
	marked := bytes.Contains(data, []byte("\nP:."))
	if marked {
		data = bytes.ReplaceAll(data, []byte("\nP:."), []byte("\nP:"+virtualMark+"."))
	}
	records, err := apk.ReadInstalled(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Files.Join(name), err)
	}
	for i := range records {
		if rest, ok := strings.CutPrefix(records[i].Name, virtualMark+"."); marked && ok {
			records[i].Name = "." + rest
		}
	}
	return records, nil
}

// isVirtual reports whether a record is of what "apk add --virtual" makes: a
// name that stands for others, with no file behind it.
func isVirtual(r apk.Record) bool { return strings.HasPrefix(r.Name, ".") }

// packageOf names the package of a record. A package for all architectures
// counts as one of the system's own: apk's database says "noarch" of it only
// if it came from a file, and the repository's architecture if it came from
// there.
func (s *System) packageOf(r apk.Record) distro.Package {
	p := distro.Package{Name: r.Name, Version: r.Version, Arch: r.Arch}
	if p.Arch == "" || p.Arch == "noarch" {
		p.Arch = s.id.Arch
	}
	return p
}

// records reads what is installed, sorted, and refuses a state that no lock
// could describe. Virtual packages are among it.
func (s *System) records(ctx context.Context) ([]apk.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	records, err := s.database()
	if err != nil {
		return nil, err
	}
	var broken []string
	var errs []error
	for _, r := range records {
		if r.Broken != "" {
			broken = append(broken, r.Name+" "+r.Version)
		}
		if !isVirtual(r) && (!isName(r.Name) || !isVersion(r.Version) || !isWord(s.packageOf(r).Arch, "_-")) {
			errs = append(errs, fmt.Errorf("the package database of %s has the impossible package %q %q %q", s.Root, r.Name, r.Version, r.Arch))
		}
	}
	slices.SortFunc(records, func(a, b apk.Record) int { return s.packageOf(a).Compare(s.packageOf(b)) })
	for i := 1; i < len(records); i++ {
		if records[i].Name == records[i-1].Name {
			errs = append(errs, fmt.Errorf("the package database of %s has %s twice", s.Root, records[i].Name))
		}
	}
	if len(broken) > 0 {
		slices.Sort(broken)
		errs = append(errs, &BrokenError{Root: s.Root, Packages: broken})
	}
	return records, errors.Join(errs...)
}

// Installed lists the packages that are installed, sorted. What "apk add
// --virtual" made is not among them, since it has no file: it stands for what
// it needs, and that is there.
func (s *System) Installed(ctx context.Context) ([]distro.Package, error) {
	records, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]distro.Package, 0, len(records))
	for _, r := range records {
		if !isVirtual(r) {
			out = append(out, s.packageOf(r))
		}
	}
	return out, nil
}

// Select returns the installed packages that names stand for, sorted, and if
// deps is set all installed ones that these need. A name may be that of a
// virtual package, which stands for what it needs. Where several packages
// provide what is needed, all of them are taken, since which of them counts
// cannot be told.
func (s *System) Select(ctx context.Context, names []string, deps bool) ([]distro.Package, error) {
	records, err := s.records(ctx)
	if err != nil {
		return nil, err
	}
	g := newGraph(records)
	var missing []string
	var first []int
	for _, name := range names {
		base, arch, _ := strings.Cut(name, ":")
		i, ok := g.byName[base]
		if !ok || arch != "" && arch != s.packageOf(records[i]).Arch && arch != records[i].Arch {
			missing = append(missing, name)
			continue
		}
		first = append(first, i)
		if isVirtual(records[i]) {
			first = append(first, g.needed(i)...)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, fmt.Errorf("not installed in %s: %s", s.Root, strings.Join(slices.Compact(missing), ", "))
	}
	taken := make([]bool, len(records))
	for _, i := range first {
		taken[i] = true
	}
	if deps {
		g.close(taken, false)
	}
	var out []distro.Package
	for i, r := range records {
		if taken[i] && !isVirtual(r) {
			out = append(out, s.packageOf(r))
		}
	}
	slices.SortFunc(out, distro.Package.Compare)
	return out, nil
}

// A graph finds packages by what they are called and provide. Of each name
// there is one.
type graph struct {
	records []apk.Record
	byName  map[string]int
	// offers has, for each name that packages have or provide, which do.
	offers map[string][]int
}

func newGraph(records []apk.Record) *graph {
	g := &graph{records: records, byName: make(map[string]int, len(records)), offers: make(map[string][]int, 4*len(records))}
	for i, r := range records {
		g.byName[r.Name] = i
		g.offers[r.Name] = append(g.offers[r.Name], i)
		for _, p := range r.Provides {
			if d, err := apk.ParseDependency(p); err == nil && d.Name != r.Name {
				g.offers[d.Name] = append(g.offers[d.Name], i)
			}
		}
	}
	return g
}

// needed returns what the package depends on.
func (g *graph) needed(i int) []int {
	var out []int
	for _, text := range g.records[i].Depends {
		out = append(out, g.satisfying(text)...)
	}
	return out
}

// satisfying returns the packages that satisfy a dependency. Conflicts, and
// what apk could not read either, are satisfied by none.
func (g *graph) satisfying(text string) []int {
	d, err := apk.ParseDependency(text)
	if err != nil || d.Conflict {
		return nil
	}
	var out []int
	for _, i := range g.offers[d.Name] {
		if d.Matches(g.records[i]) {
			out = append(out, i)
		}
	}
	return out
}

// close takes what the taken packages need and, if triggered is set, what
// comes by itself where others are (install_if). A dependency that nothing
// satisfies is let be: apk was forced, and the state is what is there.
func (g *graph) close(taken []bool, triggered bool) {
	var todo []int
	for i, t := range taken {
		if t {
			todo = append(todo, i)
		}
	}
	for {
		for len(todo) > 0 {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for _, j := range g.needed(i) {
				if !taken[j] {
					taken[j] = true
					todo = append(todo, j)
				}
			}
		}
		if triggered {
			todo = g.triggered(taken, todo)
		}
		if len(todo) == 0 {
			return
		}
	}
}

// triggered takes the packages all of whose install_if are taken, and appends
// them to todo.
func (g *graph) triggered(taken []bool, todo []int) []int {
	for i, r := range g.records {
		if taken[i] || len(r.InstallIf) == 0 {
			continue
		}
		met := !slices.ContainsFunc(r.InstallIf, func(text string) bool {
			return !slices.ContainsFunc(g.satisfying(text), func(j int) bool { return taken[j] })
		})
		if met {
			taken[i] = true
			todo = append(todo, i)
		}
	}
	return todo
}

// explicit returns those of the wanted packages that nothing would keep if
// world, the dependencies that a person has asked for, were all there is: the
// names that must be added to it. Of packages that only need each other it is
// the first by name.
func (g *graph) explicit(world []string, wanted []int) []int {
	taken := make([]bool, len(g.records))
	for _, text := range world {
		for _, i := range g.satisfying(text) {
			taken[i] = true
		}
	}
	g.close(taken, true)
	var out []int
	for {
		left := slices.DeleteFunc(slices.Clone(wanted), func(i int) bool { return taken[i] })
		if len(left) == 0 {
			slices.SortFunc(out, func(i, j int) int { return cmp.Compare(g.records[i].Name, g.records[j].Name) })
			return out
		}
		next := g.unneeded(left)
		for _, i := range next {
			taken[i] = true
		}
		out = append(out, next...)
		g.close(taken, true)
	}
}

// unneeded returns those of some packages that none of the others needs, or
// the first by name where there are only circles.
func (g *graph) unneeded(left []int) []int {
	needed := make(map[int]bool, len(left))
	for _, i := range left {
		for _, j := range g.needed(i) {
			if i != j {
				needed[j] = true
			}
		}
	}
	out := slices.DeleteFunc(slices.Clone(left), func(i int) bool { return needed[i] })
	if len(out) > 0 {
		return g.untriggered(out)
	}
	return []int{slices.MinFunc(left, func(i, j int) int { return cmp.Compare(g.records[i].Name, g.records[j].Name) })}
}

// untriggered leaves out packages that come by themselves with others, as long
// as any other is left.
func (g *graph) untriggered(left []int) []int {
	out := slices.DeleteFunc(slices.Clone(left), func(i int) bool { return len(g.records[i].InstallIf) > 0 })
	if len(out) > 0 {
		return out
	}
	return left
}
