package yum

import (
	"bytes"
	"fmt"
	"strings"
)

// Vars are the values of the variables that repository files may use, by name
// without the dollar sign: basearch, arch, releasever, and those of the files
// below etc/dnf/vars and etc/yum/vars.
type Vars map[string]string

// NewVars returns the variables that follow from a machine's architecture, as
// rpm names it (x86_64, i686), and from the release of the distribution, such
// as 40 or 8.10.
func NewVars(arch, releasever string) Vars {
	v := Vars{"arch": arch, "basearch": BaseArch(arch), "releasever": releasever}
	major, minor, _ := strings.Cut(releasever, ".")
	v["releasever_major"], v["releasever_minor"] = major, minor
	return v
}

// maxVar bounds the value of a variable, in bytes.
const maxVar = 4096

// Set adds the variable that a file below etc/dnf/vars is the value of: its
// name is the file's and its value the file's first line.
func (v Vars) Set(name string, file []byte) error {
	line, _, _ := bytes.Cut(file, []byte("\n"))
	if len(line) > maxVar {
		return fmt.Errorf("the value of the variable %s is longer than %d bytes", name, maxVar)
	}
	if name == "" || strings.Trim(name, nameBytes) != "" {
		return fmt.Errorf("%q cannot be the name of a variable", name)
	}
	v[name] = strings.TrimSpace(string(line))
	return nil
}

const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// Limits on what a text with variables comes to.
const (
	maxExpanded   = 1 << 20 // bytes
	maxExpression = 32      // expressions within expressions
)

// Expand replaces $name and ${name} by their values, and ${name:-word} and
// ${name:+word} as a shell does. A backslash takes the meaning from what
// follows it. Variables that are not known stay as they are, as dnf leaves
// them; so does what is not an expression.
func (v Vars) Expand(s string) string { return v.expand(s, 0) }

func (v Vars) expand(s string, depth int) string {
	var b strings.Builder
	for b.Len() < maxExpanded {
		i := strings.IndexAny(s, `$\`)
		if i < 0 {
			b.WriteString(s)
			break
		}
		b.WriteString(s[:i])
		special, after := s[i], s[i+1:]
		if special == '\\' && after != "" {
			b.WriteByte(after[0])
			s = after[1:]
			continue
		}
		value, rest, ok := v.expression(after, depth)
		if special != '$' || !ok {
			b.WriteByte(special)
			s = after
			continue
		}
		b.WriteString(value)
		s = rest
	}
	return b.String()
}

// expression returns the value of the expression that s begins with, which
// stands after a dollar sign, and what follows it.
func (v Vars) expression(s string, depth int) (result, rest string, ok bool) {
	inner, braced := strings.CutPrefix(s, "{")
	end := len(inner) - len(strings.TrimLeft(inner, nameBytes))
	name, rest := inner[:end], inner[end:]
	result, known := v[name]
	if !braced {
		return result, rest, known
	}
	word, rest, closed := cutBrace(rest)
	if !closed || name == "" || depth == maxExpression {
		return "", "", false
	}
	switch {
	case word == "":
		return result, rest, known
	case strings.HasPrefix(word, ":-"):
		if result == "" {
			result = v.expand(word[2:], depth+1)
		}
		return result, rest, true
	case strings.HasPrefix(word, ":+"):
		if result != "" {
			result = v.expand(word[2:], depth+1)
		}
		return result, rest, true
	}
	return "", "", false
}

// cutBrace cuts s around the brace that closes the expression it is in.
func cutBrace(s string) (before, after string, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], "${"):
			depth++
		case s[i] == '}' && depth > 0:
			depth--
		case s[i] == '}':
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// baseArchs are the architectures whose repositories have another name.
var baseArchs = map[string]string{
	"i386": "i386", "i486": "i386", "i586": "i386", "i686": "i386", "athlon": "i386", "geode": "i386", "pentium3": "i386", "pentium4": "i386",
	"amd64": "x86_64", "ia32e": "x86_64", "x86_64_v2": "x86_64", "x86_64_v3": "x86_64", "x86_64_v4": "x86_64",
	"armv7l": "armhfp", "armv7hl": "armhfp", "armv7hnl": "armhfp", "armv8hl": "armhfp", "armv8hnl": "armhfp", "armv8hcnl": "armhfp",
	"armv6hl": "armv6hl", "armv5tel": "arm", "armv5tejl": "arm", "armv5tl": "arm", "armv6l": "arm", "armv8l": "armhfp",
	"ppc64p7": "ppc64", "ppc64pseries": "ppc64", "ppc64iseries": "ppc64",
	"sparcv8": "sparc", "sparcv9": "sparc", "sparc64v": "sparc64",
	"alphaev5": "alpha", "alphaev6": "alpha", "alphaev67": "alpha", "sh4a": "sh4",
}

// BaseArch returns the value of $basearch for an architecture as rpm names it.
func BaseArch(arch string) string {
	if base, ok := baseArchs[arch]; ok {
		return base
	}
	return arch
}
