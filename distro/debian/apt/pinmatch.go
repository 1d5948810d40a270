package apt

import "strings"

// A pinName is one of the packages that a pin names.
type pinName struct {
	source bool // it is a source package, and all that is built from it is meant
	name   pattern
	arch   pattern // nil for the native architecture
}

// A pinMatch is what a pin asks of versions or of releases.
type pinMatch struct {
	version pattern // of "version" and "source-version"
	all     bool    // "release *"
	fields  []pinField
}

// A pinField is one thing that a release must have.
type pinField struct {
	key   byte // a, b, c, l, n, o or v; r for a suite or codename, s for the site
	value pattern
}

func (p *Pin) compile() {
	for _, name := range p.Packages {
		n := pinName{}
		name, n.source = strings.CutPrefix(name, "src:")
		if base, arch, ok := cutLast(name, ":"); ok {
			name, n.arch = base, compilePattern(arch)
			if arch == "any" {
				n.arch = compilePattern("*")
			}
		}
		n.name = compilePattern(name)
		p.names = append(p.names, n)
	}
	switch p.Kind {
	case "version", "source-version":
		p.match.version = compilePattern(p.Data)
	case "origin":
		p.match.fields = []pinField{{'s', compilePattern(strings.Trim(p.Data, `"`))}}
	case "release":
		p.match = compileRelease(p.Data)
	}
}

// compileRelease reads "o=Debian,a=stable", or a bare suite, codename or
// version.
func compileRelease(data string) pinMatch {
	if data == "*" {
		return pinMatch{all: true}
	}
	if !strings.Contains(data, "=") {
		key := byte('r')
		if data != "" && '0' <= data[0] && data[0] <= '9' {
			key = 'v'
		}
		return pinMatch{fields: []pinField{{key, compilePattern(data)}}}
	}
	var m pinMatch
	for _, f := range splitComma(data) {
		f = strings.TrimSpace(f)
		if len(f) < 3 || f[1] != '=' || strings.IndexByte("abclnov", f[0]|0x20) < 0 {
			continue
		}
		m.fields = append(m.fields, pinField{f[0] | 0x20, compilePattern(strings.TrimSpace(f[2:]))})
	}
	return m
}

// fits reports whether a release, nil for dpkg's status, has all that is
// asked. A pin that asks for nothing fits nothing.
func (m *pinMatch) fits(r *Release) bool {
	if m.all {
		return true
	}
	if len(m.fields) == 0 {
		return false
	}
	for _, f := range m.fields {
		if !f.fits(r) {
			return false
		}
	}
	return true
}

func (f pinField) fits(r *Release) bool {
	if r == nil { // to pins, dpkg's status is the suite "now"
		return (f.key == 'a' || f.key == 'r') && f.value("now")
	}
	switch f.key {
	case 'a':
		return f.value(r.Suite)
	case 'b':
		return f.value(r.Arch)
	case 'c':
		return f.value(r.Component)
	case 'l':
		return f.value(r.Label)
	case 'n':
		return f.value(r.Codename)
	case 'o':
		return f.value(r.Origin)
	case 'r':
		return f.value(r.Suite) || f.value(r.Codename)
	case 's':
		return f.value(r.Site)
	}
	return f.value(r.Version)
}

// fitsName reports whether the pin names the package. Without an architecture
// it means the native one.
func (p *Pin) fitsName(v Candidate, native string) bool {
	for _, n := range p.names {
		name := v.Package
		if n.source && v.Source != "" {
			name = v.Source
		}
		arch := v.Arch == "all" || v.Arch == native
		if n.arch != nil {
			arch = n.arch(v.Arch)
		}
		if arch && n.name(name) {
			return true
		}
	}
	return false
}

func (p *Pin) fitsVersion(v Candidate) bool {
	switch p.Kind {
	case "version":
		return p.match.version(v.Version)
	case "source-version":
		if v.SourceVersion == "" {
			return p.match.version(v.Version)
		}
		return p.match.version(v.SourceVersion)
	}
	if v.Installed && p.match.fits(nil) {
		return true
	}
	for i := range v.Releases {
		if p.match.fits(&v.Releases[i]) {
			return true
		}
	}
	return false
}
