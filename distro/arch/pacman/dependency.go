package pacman

import "strings"

// A Dependency is a name that a package asks for, with a bound on its version
// where Op is not empty: one of "=", "<", "<=", ">", ">=".
type Dependency struct {
	Name, Op, Version string
}

// ParseDependency reads "name", "name>=version" and their like. What follows
// ": ", the reason of an optional dependency, is dropped.
func ParseDependency(s string) Dependency {
	if i := strings.Index(s, ": "); i >= 0 {
		s = s[:i]
	}
	s = strings.TrimSpace(s)
	i := strings.IndexAny(s, "<>=")
	if i < 0 {
		return Dependency{Name: s}
	}
	d := Dependency{Name: s[:i], Op: s[i : i+1], Version: s[i+1:]}
	if d.Op != "=" && strings.HasPrefix(d.Version, "=") {
		d.Op += "="
		d.Version = d.Version[1:]
	}
	return d
}

// String returns the form that ParseDependency reads.
func (d Dependency) String() string { return d.Name + d.Op + d.Version }

// Satisfied reports whether a package of the given name and version, with the
// given provisions ("name" or "name=version"), is what d asks for. A provision
// without a version does not meet a bound.
func (d Dependency) Satisfied(name, version string, provides []string) bool {
	if name == d.Name && d.Allows(version) {
		return true
	}
	for _, s := range provides {
		// Most provisions are of other names: look before parsing.
		if !strings.HasPrefix(s, d.Name) {
			continue
		}
		p := ParseDependency(s)
		if p.Name == d.Name && (d.Op == "" || p.Op == "=" && d.Allows(p.Version)) {
			return true
		}
	}
	return false
}

// Allows reports whether a version is within d's bound.
func (d Dependency) Allows(version string) bool {
	if d.Op == "" {
		return true
	}
	switch c := Compare(version, d.Version); d.Op {
	case "=":
		return c == 0
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	case ">=":
		return c >= 0
	}
	return false
}
