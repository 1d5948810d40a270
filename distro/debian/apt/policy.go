package apt

import (
	"math"
	"regexp"
	"strings"
)

// A Candidate is one version of a package with the places that offer it.
type Candidate struct {
	Package, Version, Arch string
	// Source and SourceVersion name the source package; empty where they are
	// the same as Package and Version.
	Source, SourceVersion string
	// Releases are those of the indexes that have the version.
	Releases []Release
	// Installed says that it is the installed version, which dpkg's status
	// offers too.
	Installed bool
}

// A Release is what an index says of itself, as far as pins go by it.
type Release struct {
	Origin, Label, Suite, Codename, Version string
	NotAutomatic, ButAutomaticUpgrades      bool
	// Component and Arch are of the index, Site is the host of its URI (empty
	// for a local one).
	Component, Arch, Site string
}

// Priority returns apt's pin priority for a version. Above 0 it may be
// installed, the highest first and among equals the newest; from 1000 on even
// in place of a newer one that is installed. A version that nobody offers has
// 0.
func (c *Config) Priority(v Candidate) int {
	for i := range c.Pins {
		p := &c.Pins[i]
		if len(p.names) > 0 && p.fitsName(v, c.Native()) && p.fitsVersion(v) {
			if c.usable(v) {
				return p.Priority
			}
			break
		}
	}
	best := math.MinInt
	if v.Installed {
		best = c.installedPriority()
	}
	for i := range v.Releases {
		best = max(best, c.ReleasePriority(v.Releases[i]))
	}
	if best == math.MinInt {
		return 0
	}
	return best
}

// usable reports whether any place that offers v is not pinned to never.
func (c *Config) usable(v Candidate) bool {
	if v.Installed && c.installedPriority() != Never {
		return true
	}
	for i := range v.Releases {
		if c.ReleasePriority(v.Releases[i]) != Never {
			return true
		}
	}
	return false
}

// ReleasePriority returns the priority of what one index has, for packages
// that no pin names: apt's default, or that of a pin for all packages.
func (c *Config) ReleasePriority(r Release) int {
	def := 500
	switch {
	case r.ButAutomaticUpgrades:
		def = 100
	case r.NotAutomatic:
		def = 1
	}
	return c.general(&r, def)
}

// installedPriority is ReleasePriority for dpkg's status.
func (c *Config) installedPriority() int { return c.general(nil, 100) }

// general applies the pins for all packages: "never" wins, else the first that
// fits, before all of them that of APT::Default-Release.
func (c *Config) general(r *Release, def int) int {
	priority, found := def, false
	if c.DefaultRelease != "" {
		if m := compileRelease(c.DefaultRelease); m.fits(r) {
			priority, found = 990, true
		}
	}
	for i := range c.Pins {
		p := &c.Pins[i]
		if len(p.names) > 0 || !p.match.fits(r) {
			continue
		}
		if p.Priority == Never {
			return Never
		}
		if !found {
			priority, found = p.Priority, true
		}
	}
	return priority
}

// A pattern matches text as a pin does: a shell pattern, or a regular
// expression between slashes, in any case.
type pattern func(s string) bool

func compilePattern(p string) pattern {
	if len(p) >= 2 && p[0] == '/' && p[len(p)-1] == '/' {
		re, err := regexp.CompilePOSIX("(" + p[1:len(p)-1] + ")")
		if err != nil {
			return func(string) bool { return false }
		}
		// POSIX syntax has no flag for case.
		folded, err := regexp.Compile("(?i)" + re.String())
		if err != nil {
			return re.MatchString
		}
		return folded.MatchString
	}
	if !strings.ContainsAny(p, "*?[\\") {
		return func(s string) bool { return strings.EqualFold(s, p) }
	}
	re, err := regexp.Compile("(?is)^" + globRegexp(p) + "$")
	if err != nil {
		return func(s string) bool { return strings.EqualFold(s, p) }
	}
	return re.MatchString
}

// globRegexp rewrites a shell pattern as a regular expression.
func globRegexp(p string) string {
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch c := p[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			end := strings.IndexByte(p[min(i+2, len(p)):], ']')
			if end < 0 {
				b.WriteString(`\[`)
				break
			}
			class := p[i+1 : i+2+end]
			if class[0] == '!' {
				class = "^" + class[1:]
			}
			b.WriteString("[" + strings.ReplaceAll(class, `\`, `\\`) + "]")
			i += 2 + end
		case '\\':
			if i+1 < len(p) {
				i++
			}
			b.WriteString(regexp.QuoteMeta(p[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}
