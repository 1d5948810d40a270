package apk

import (
	"bytes"
	"fmt"
	"strings"
)

// A Dependency is a wish for a package, or what a package provides: a name,
// and maybe an operator and a version.
type Dependency struct {
	// Name is that of a package or of what packages provide: "so:libz.so.1",
	// "cmd:sh", "pc:zlib", "/bin/sh".
	Name string
	// Op is one of "" (any version), "=", "<", "<=", ">", ">=", "~" (the same
	// beginning), "<~", ">~", and "><" (the package of the identity that
	// stands in place of the version).
	Op      string
	Version string
	// Conflict says that what matches must not be there ("!name").
	Conflict bool
	// Tag is the tag of the repository that the package is wanted from, "@"
	// included; only the world file has such.
	Tag string
}

// maxDependency bounds the length of one dependency.
const maxDependency = 4096

// Operators as sets of the results that they accept, numbered as in ADB files.
const (
	opEqual = 1 << iota
	opLess
	opGreater
	opFuzzy
)

// operators gives the usual spelling of each set.
var operators = map[int]string{
	opLess: "<", opLess | opEqual: "<=", opEqual: "=",
	opGreater | opEqual: ">=", opGreater: ">", opLess | opGreater: "><",
	opFuzzy: "~", opEqual | opFuzzy: "~", opLess | opEqual | opFuzzy: "<~", opGreater | opEqual | opFuzzy: ">~",
}

// operatorSets is the inverse of operators.
var operatorSets = func() map[string]int {
	out := map[string]int{}
	for set, op := range operators {
		out[op] |= set // "~" has two, one of which contains the other
	}
	return out
}()

// ParseDependency reads one dependency as it stands in indexes, packages and
// the world file: "[!]name[@tag][operator version]".
func ParseDependency(s string) (Dependency, error) {
	var d Dependency
	if len(s) > maxDependency || strings.ContainsAny(s, " \t\r\n\x00") {
		return d, fmt.Errorf("%q is no dependency", clip(s))
	}
	name, conflict := strings.CutPrefix(s, "!")
	d.Conflict = conflict
	if i := strings.IndexAny(name, "<>=~"); i >= 0 {
		rest := name[i:]
		name = name[:i]
		d.Version = strings.TrimLeft(rest, "<>=~")
		set := 0
		for _, c := range rest[:len(rest)-len(d.Version)] {
			set |= map[rune]int{'<': opLess, '>': opGreater, '=': opEqual, '~': opFuzzy | opEqual}[c]
		}
		if d.Version == "" {
			return Dependency{}, fmt.Errorf("the dependency %q has no version after its operator", clip(s))
		}
		var ok bool
		if d.Op, ok = operators[set]; !ok {
			// "<=>" and the like accept every version.
			d.Version = ""
		}
	}
	d.Name = name
	if at := strings.IndexByte(name, '@'); at >= 0 {
		d.Name, d.Tag = name[:at], name[at:]
		if d.Tag == "@" {
			return Dependency{}, fmt.Errorf("the dependency %q has an empty tag", clip(s))
		}
	}
	if d.Name == "" {
		return Dependency{}, fmt.Errorf("the dependency %q has no name", clip(s))
	}
	return d, nil
}

// String spells the dependency as [ParseDependency] reads it.
func (d Dependency) String() string {
	s := d.Name + d.Tag + d.Op + d.Version
	if d.Conflict {
		return "!" + s
	}
	return s
}

// Matches tells whether rec is, or provides, what d names, in a version that d
// accepts. Conflict is not applied: what matches a conflict must not be there.
// Of what is provided without a version, no operator accepts the version.
func (d Dependency) Matches(rec Record) bool {
	if d.Name == rec.Name {
		return d.accepts(rec.Version, rec)
	}
	for _, p := range rec.Provides {
		// Names rarely agree; look at these before taking the rest apart.
		if !strings.HasPrefix(p, d.Name) {
			continue
		}
		if provided, err := ParseDependency(p); err == nil && provided.Name == d.Name && d.accepts(provided.Version, rec) {
			return true
		}
	}
	return false
}

// MatchesVersion tells whether d accepts a version, "" being the one of what
// is provided without any. It is false for the operator "><".
func (d Dependency) MatchesVersion(version string) bool {
	if d.Op == "" {
		return true
	}
	set := operatorSets[d.Op]
	if version == "" || set == opLess|opGreater {
		return false
	}
	switch c := compareVersions(version, d.Version, set&opFuzzy != 0); {
	case c < 0:
		return set&opLess != 0
	case c > 0:
		return set&opGreater != 0
	}
	return set&opEqual != 0
}

// accepts is [Dependency.MatchesVersion], with the operator of identity.
func (d Dependency) accepts(version string, rec Record) bool {
	if operatorSets[d.Op] != opLess|opGreater {
		return d.MatchesVersion(version)
	}
	want, err := parseIdentity(d.Version)
	return err == nil && len(rec.Identity) > 0 && bytes.Equal(want, rec.Identity)
}
