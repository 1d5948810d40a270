package arch

import "github.com/samebits/samebits/distro/arch/pacman"

// installOrder sorts packages, which come in the order of their names, as
// pacman does: first each before what it depends on, in the order of its
// dependencies, as pacman resolves them; then, of that list, each after what it
// depends on. In a cycle, what is met first comes last.
func installOrder(parcels []*parcel) []*parcel {
	r := &resolving{given: parcels, taken: map[*parcel]bool{}}
	for _, p := range parcels {
		r.take(p)
	}
	return sortByDependencies(r.list)
}

// satisfier is the first of a list that is what a dependency asks for.
func satisfier(list []*parcel, d pacman.Dependency) *parcel {
	for _, p := range list {
		if p.Satisfies(d) {
			return p
		}
	}
	return nil
}

type resolving struct {
	given, list []*parcel
	taken       map[*parcel]bool
}

func (r *resolving) take(p *parcel) {
	if r.taken[p] {
		return
	}
	r.taken[p] = true
	r.list = append(r.list, p)
	for _, text := range p.Depends {
		d := pacman.ParseDependency(text)
		if satisfier(r.list, d) != nil {
			continue
		}
		if q := satisfier(r.given, d); q != nil {
			r.take(q)
		}
	}
}

// sortByDependencies goes into depth, from each package to those of the list,
// in its order, that it depends on.
func sortByDependencies(list []*parcel) []*parcel {
	index := map[string][]int{} // by each name that a package has
	for i, p := range list {
		index[p.Name] = append(index[p.Name], i)
		for _, v := range p.Provides {
			if name := pacman.ParseDependency(v).Name; name != p.Name {
				index[name] = append(index[name], i)
			}
		}
	}
	var out []*parcel
	seen := make([]bool, len(list))
	var visit func(i int)
	visit = func(i int) {
		seen[i] = true
		children := make(map[int]bool)
		for _, text := range list[i].Depends {
			d := pacman.ParseDependency(text)
			for _, j := range index[d.Name] {
				if list[j].Satisfies(d) {
					children[j] = true
				}
			}
		}
		for j := range list {
			if children[j] && !seen[j] {
				visit(j)
			}
		}
		out = append(out, list[i])
	}
	for i := range list {
		if !seen[i] {
			visit(i)
		}
	}
	return out
}
