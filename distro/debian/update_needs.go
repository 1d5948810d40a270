package debian

import (
	"fmt"
	"strings"

	version "github.com/knqyf263/go-deb-version"
)

// A need is one alternative of a relation between packages, such as
// "libc6:any (>= 2.36)".
type need struct {
	name, qualifier string // qualifier is "", "any", "native" or an architecture
	op, version     string // op is "" for any version
}

// String returns the need as a control file has it.
func (n need) String() string {
	s := n.name
	if n.qualifier != "" {
		s += ":" + n.qualifier
	}
	if n.op != "" {
		s += " (" + n.op + " " + n.version + ")"
	}
	return s
}

// parseNeeds reads the value of a field such as Depends: clauses with a comma
// between, each of alternatives with "|" between.
func parseNeeds(value string) ([][]need, error) {
	var out [][]need
	for clause := range strings.SplitSeq(value, ",") {
		if clause = strings.TrimSpace(clause); clause == "" {
			continue
		}
		var alternatives []need
		for text := range strings.SplitSeq(clause, "|") {
			n, err := parseNeed(text)
			if err != nil {
				return nil, err
			}
			alternatives = append(alternatives, n)
		}
		out = append(out, alternatives)
	}
	return out, nil
}

func parseNeed(text string) (need, error) {
	name, rest, versioned := strings.Cut(text, "(")
	n := need{name: strings.TrimSpace(name)}
	n.name, n.qualifier, _ = strings.Cut(n.name, ":")
	if n.name == "" || strings.ContainsAny(n.name+n.qualifier, " \t\n()") {
		return need{}, fmt.Errorf("%.80q is not a relation to a package", text)
	}
	if !versioned {
		return n, nil
	}
	inner, tail, closed := strings.Cut(rest, ")")
	inner = strings.TrimSpace(inner)
	n.version = strings.TrimSpace(strings.TrimLeft(inner, "<>="))
	switch n.op = inner[:len(inner)-len(strings.TrimLeft(inner, "<>="))]; n.op {
	case "<", "<=":
		n.op = "<=" // what a bare "<" has always meant
	case ">", ">=":
		n.op = ">="
	case "<<", "=", ">>":
	default:
		closed = false
	}
	if !closed || strings.TrimSpace(tail) != "" || n.version == "" {
		return need{}, fmt.Errorf("%.80q is not a relation to a package", text)
	}
	return n, nil
}

// allows reports whether a package of version v is one that n wants. A version
// that cannot be read is not.
func (n need) allows(v string) bool {
	if n.op == "" {
		return true
	}
	c, err := compareVersions(v, n.version)
	if err != nil {
		return false
	}
	switch n.op {
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	}
	return c > 0
}

// compareVersions orders two versions as dpkg does.
func compareVersions(a, b string) (int, error) {
	if a == b {
		return 0, nil
	}
	x, err := version.NewVersion(a)
	if err != nil {
		return 0, fmt.Errorf("version %q: %w", a, err)
	}
	y, err := version.NewVersion(b)
	if err != nil {
		return 0, fmt.Errorf("version %q: %w", b, err)
	}
	return x.Compare(y), nil
}

// withoutEpoch returns the part of a version that file names carry.
func withoutEpoch(v string) string {
	if _, rest, ok := strings.Cut(v, ":"); ok {
		return rest
	}
	return v
}
