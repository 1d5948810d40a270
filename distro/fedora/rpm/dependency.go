package rpm

import (
	"fmt"
	"strings"
)

// Flags tell of a dependency which versions it is about, and in its higher
// bits what it is for (rpm's rpmsenseFlags).
type Flags uint32

// The flags that matter here.
const (
	Less    Flags = 1 << 1
	Greater Flags = 1 << 2
	Equal   Flags = 1 << 3
	// Rpmlib marks a feature that rpm itself must have.
	Rpmlib Flags = 1 << 24

	comparison = Less | Greater | Equal
)

// A Dependency is what a package requires, provides, conflicts with or
// obsoletes: a name and perhaps a range of versions. The name is a package's,
// a file's (it begins with a slash), any other capability's, or a whole rich
// dependency in parentheses, which is not taken apart here.
type Dependency struct {
	Name  string
	Flags Flags
	// EVR is [epoch:]version[-release]; empty for any version.
	EVR string
}

// String returns the dependency as a spec file has it: "name >= 1.0".
func (d Dependency) String() string {
	if d.EVR == "" || d.Flags&comparison == 0 {
		return d.Name
	}
	op := ""
	if d.Flags&Less != 0 {
		op += "<"
	}
	if d.Flags&Greater != 0 {
		op += ">"
	}
	if d.Flags&Equal != 0 {
		op += "="
	}
	return d.Name + " " + op + " " + d.EVR
}

// IsRpmlib reports whether this is a feature of rpm itself, which no package
// provides.
func (d Dependency) IsRpmlib() bool {
	return d.Flags&Rpmlib != 0 || strings.HasPrefix(d.Name, "rpmlib(")
}

// IsRich reports whether this is a rich (boolean) dependency.
func (d Dependency) IsRich() bool { return strings.HasPrefix(d.Name, "(") }

// IsFile reports whether this is the path of a file, which a package provides
// also by having it.
func (d Dependency) IsFile() bool { return strings.HasPrefix(d.Name, "/") }

// Meets reports whether provided, which a package provides, is of the name and
// of a version that d asks for: their ranges overlap. A version that either
// leaves open fits any, and so does a release. A rich dependency is met by none,
// since no single one could.
func (d Dependency) Meets(provided Dependency) bool {
	if d.Name != provided.Name || d.IsRich() {
		return false
	}
	a, b := d.Flags&comparison, provided.Flags&comparison
	if a == 0 || b == 0 || d.EVR == "" || provided.EVR == "" {
		return true
	}
	return overlap(d.EVR, a, provided.EVR, b)
}

// overlap reports whether two ranges have a version in common. Each range is
// what a comparison with its version allows.
func overlap(x string, xf Flags, y string, yf Flags) bool {
	xe, xv, xr, _ := splitEVR(x)
	ye, yv, yr, _ := splitEVR(y)
	sense := CompareVersions(xe, ye)
	if sense == 0 {
		sense = CompareVersions(xv, yv)
	}
	if sense == 0 {
		switch {
		case xr != "" && yr != "":
			sense = CompareVersions(xr, yr)
		case xr != "" && yf&Equal != 0, yr != "" && xf&Equal != 0:
			return true
		}
	}
	switch {
	case sense < 0:
		return xf&Greater != 0 || yf&Less != 0
	case sense > 0:
		return xf&Less != 0 || yf&Greater != 0
	}
	return xf&yf&comparison != 0
}

// ParseFlags reads the comparison as a spec file or an index writes it: one of
// < > = <= >= or LT GT EQ LE GE, or nothing.
func ParseFlags(s string) (Flags, error) {
	switch s {
	case "":
		return 0, nil
	case "<", "LT":
		return Less, nil
	case ">", "GT":
		return Greater, nil
	case "=", "==", "EQ":
		return Equal, nil
	case "<=", "=<", "LE":
		return Less | Equal, nil
	case ">=", "=>", "GE":
		return Greater | Equal, nil
	}
	return 0, fmt.Errorf("%q does not compare versions; < > = <= >= do", s)
}
