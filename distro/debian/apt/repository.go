package apt

import (
	"fmt"
	"slices"
	"strings"
)

// repository makes one of an entry.
func (l *loader) repository(e *entry, kind, uri, suite string) (Repository, error) {
	o := l.Options
	r := Repository{
		URI: uri, Suite: suite, Components: slices.Clone(e.comps), Source: kind == "deb-src",
		Architectures:   l.architectures(e),
		Snapshot:        e.snapshot,
		CheckValidUntil: parseBool(e.checkValidUntil, o.Bool("Acquire::Check-Valid-Until", true)),
		File:            e.file, Line: e.line,
	}
	if v := e.byHash; v != "" && v != "force" {
		b := parseBool(v, true)
		r.ByHash = &b
	} else if v == "force" {
		b := true
		r.ByHash = &b
	}
	r.Trust.AllowInsecure = parseBool(e.allowInsecure, o.Bool("Acquire::AllowInsecureRepositories", false))
	if e.trusted != "" {
		r.Trust.Always = parseBool(e.trusted, false)
		r.Trust.Never = !r.Trust.Always
	}
	if e.signedBy != "" {
		if err := r.Trust.parseSignedBy(e.signedBy); err != nil {
			return r, err
		}
	}
	if !r.Trust.named() {
		r.Trust.Keyrings = slices.Clone(l.keyrings)
	}
	return r, nil
}

// architectures applies the options arch, arch+ and arch-.
func (l *loader) architectures(e *entry) []string {
	out := slices.Clone(l.Architectures)
	if e.archSet != nil {
		out = nil
		for _, a := range e.archSet {
			if a == "native" {
				a = l.Native()
			}
			out = append(out, a)
		}
	}
	for _, a := range e.archPlus {
		if !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return slices.DeleteFunc(out, func(a string) bool { return slices.Contains(e.archMinus, a) })
}

// merge adds a repository to those that are known. As with apt, what is named
// twice is one, and may not be told to trust different keys.
func (l *loader) merge(r Repository) error {
	for i := range l.Repositories {
		old := &l.Repositories[i]
		if old.URI != r.URI || old.Suite != r.Suite {
			continue
		}
		if err := conflict(old, &r); err != nil {
			return err
		}
		if old.Source != r.Source || !slices.Equal(old.Architectures, r.Architectures) {
			continue
		}
		for _, c := range r.Components {
			if slices.Contains(old.Components, c) {
				l.events.Warning(fmt.Sprintf("%s:%d: %s %s %s is configured twice, first in %s:%d", r.File, r.Line, redact(r.URI), r.Suite, c, old.File, old.Line))
				continue
			}
			old.Components = append(old.Components, c)
		}
		return nil
	}
	if len(l.Repositories) >= maxRepositories {
		return fmt.Errorf("more than %d repositories", maxRepositories)
	}
	var err error
	switch r.Mirrors, err = mirrorsOf(l.root, r.URI); {
	case strings.HasPrefix(r.URI, "cdrom:"):
		l.events.Warning(fmt.Sprintf("%s:%d: the CD-ROM is ignored; its packages are looked for elsewhere", r.File, r.Line))
		return nil
	case err != nil:
		l.events.Warning(fmt.Sprintf("%s:%d: %s is ignored: %v", r.File, r.Line, redact(r.URI), err))
		return nil
	}
	l.Repositories = append(l.Repositories, r)
	return nil
}

// conflict says which option two entries of one repository disagree on.
func conflict(a, b *Repository) error {
	var option string
	switch {
	case !slices.Equal(a.Trust.Keyrings, b.Trust.Keyrings) || !slices.Equal(a.Trust.Inline, b.Trust.Inline) || !slices.Equal(a.Trust.Fingerprints, b.Trust.Fingerprints):
		option = "Signed-By"
	case a.Trust.Always != b.Trust.Always || a.Trust.Never != b.Trust.Never:
		option = "Trusted"
	case a.CheckValidUntil != b.CheckValidUntil:
		option = "Check-Valid-Until"
	default:
		return nil
	}
	return fmt.Errorf("%s %s has another value of %s here than in %s:%d", redact(b.URI), b.Suite, option, a.File, a.Line)
}
