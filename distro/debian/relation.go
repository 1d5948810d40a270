package debian

import (
	"fmt"
	"strings"

	debversion "github.com/knqyf263/go-deb-version"
)

// A Dependency is one part of a dependency field: any of its alternatives
// satisfies it.
type Dependency []Relation

// A Relation asks for a package, perhaps of some versions.
type Relation struct {
	Name string
	// Arch is what follows a colon: "any", "native" or an architecture.
	Arch string
	// Operator is one of <<, <=, =, >=, >>, or empty where any version will
	// do, and Version what it compares with.
	Operator, Version string
	// Restrictions are the architectures in brackets, some with "!".
	Restrictions []string
}

// Limits on a dependency field, far above any real one.
const (
	maxRelations = 20_000
	maxField     = 1 << 20
)

// ParseDependencies reads a field such as Depends:
// "a (>= 1) | b, c:any, d [amd64]". It is for binary packages, but passes over
// the build profiles that only source packages have.
func ParseDependencies(field string) ([]Dependency, error) {
	if len(field) > maxField {
		return nil, fmt.Errorf("the field is longer than %d bytes", maxField)
	}
	var out []Dependency
	n := 0
	for part := range strings.SplitSeq(field, ",") {
		if strings.TrimSpace(part) == "" {
			continue // trailing commas are common enough
		}
		var d Dependency
		for alt := range strings.SplitSeq(part, "|") {
			if n++; n > maxRelations {
				return nil, fmt.Errorf("the field names more than %d packages", maxRelations)
			}
			r, err := parseRelation(alt)
			if err != nil {
				return nil, err
			}
			d = append(d, r)
		}
		out = append(out, d)
	}
	return out, nil
}

func parseRelation(s string) (Relation, error) {
	bad := func(why string) (Relation, error) {
		return Relation{}, fmt.Errorf("cannot read the dependency %q: %s", strings.TrimSpace(s), why)
	}
	rest := strings.TrimSpace(s)
	end := strings.IndexAny(rest, " \t\n([<")
	if end < 0 {
		end = len(rest)
	}
	var r Relation
	r.Name, r.Arch, _ = strings.Cut(rest[:end], ":")
	if !isPackageName(r.Name) {
		return bad("it names no package")
	}
	for rest = strings.TrimSpace(rest[end:]); rest != ""; rest = strings.TrimSpace(rest) {
		closing, ok := map[byte]string{'(': ")", '[': "]", '<': ">"}[rest[0]]
		if !ok {
			return bad("text after the name")
		}
		inner, after, ok := strings.Cut(rest[1:], closing)
		switch {
		case !ok:
			return bad("a bracket is not closed")
		case closing == "]":
			r.Restrictions = strings.Fields(inner)
		case closing == ")":
			if r.Operator, r.Version, ok = parseVersionRange(inner); !ok {
				return bad("the versions in parentheses")
			}
		}
		rest = after
	}
	return r, nil
}

func isPackageName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("+-._", r))
	})
}

// parseVersionRange reads ">= 1.0". A lone "<" or ">" is the old form of "<="
// and ">=".
func parseVersionRange(s string) (op, version string, ok bool) {
	s = strings.TrimSpace(s)
	version = strings.TrimLeft(s, "<>=")
	op = s[:len(s)-len(version)]
	version = strings.TrimSpace(version)
	switch op {
	case "<":
		op = "<="
	case ">":
		op = ">="
	case "":
		op = "=" // "(1.0)" means exactly 1.0
	case "<<", "<=", "=", ">=", ">>":
	default:
		return "", "", false
	}
	return op, version, version != "" && !strings.ContainsAny(version, " \t\n")
}

// String returns the relation as a field has it.
func (r Relation) String() string {
	s := r.Name
	if r.Arch != "" {
		s += ":" + r.Arch
	}
	if r.Operator != "" {
		s += " (" + r.Operator + " " + r.Version + ")"
	}
	if len(r.Restrictions) > 0 {
		s += " [" + strings.Join(r.Restrictions, " ") + "]"
	}
	return s
}

// Applies reports whether the relation counts on an architecture. Wildcards
// such as "linux-any" and "any-arm64" are known.
func (r Relation) Applies(arch string) bool {
	if len(r.Restrictions) == 0 {
		return true
	}
	negative := strings.HasPrefix(r.Restrictions[0], "!")
	for _, x := range r.Restrictions {
		if archMatches(strings.TrimPrefix(x, "!"), arch) {
			return !negative
		}
	}
	return negative
}

// archMatches compares an architecture with a name or a wildcard. A name
// without an operating system is of Linux.
func archMatches(wildcard, arch string) bool {
	if wildcard == "any" || wildcard == arch {
		return true
	}
	system, cpu, ok := strings.Cut(arch, "-")
	if !ok {
		system, cpu = "linux", arch
	}
	ws, wc, ok := strings.Cut(wildcard, "-")
	return ok && (ws == "any" || ws == system) && (wc == "any" || wc == cpu)
}

// Accepts reports whether the relation is content with a version.
func (r Relation) Accepts(version string) bool {
	if r.Operator == "" {
		return true
	}
	c, err := CompareVersions(version, r.Version)
	if err != nil {
		return false
	}
	switch r.Operator {
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case ">=":
		return c >= 0
	case ">>":
		return c > 0
	}
	return c == 0
}

// CompareVersions orders two versions as dpkg does: negative where a is older
// than b. A version that is none is an error.
func CompareVersions(a, b string) (int, error) {
	if a == b {
		return 0, nil
	}
	va, err := debversion.NewVersion(a)
	if err != nil {
		return 0, fmt.Errorf("%q is not a version: %w", a, err)
	}
	vb, err := debversion.NewVersion(b)
	if err != nil {
		return 0, fmt.Errorf("%q is not a version: %w", b, err)
	}
	return va.Compare(vb), nil
}
