package debian

import (
	"fmt"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
)

// notToSolve are packages that apt depends on and that have no part in solving:
// they fetch, verify, unpack and set up. dpkg is there for its table of CPUs.
var notToSolve = []string{"adduser", "awk", "base-passwd", "gpgv", "sqv", "gpgv1", "gpgv2", "gnupg", "mawk", "debian-archive-keyring", "ubuntu-keyring", "perl-base", "tar"}

// closure lists the newest versions of packages and of what these depend on:
// enough to run apt's solver. Conflicts do not matter, since nothing else is
// there; the first alternative that is offered will do.
func (s *shop) closure(names ...string) ([]distro.Package, error) {
	newest, providers := s.newest()
	taken := map[string]archive.Record{}
	for todo := names; len(todo) > 0; {
		name := todo[0]
		todo = todo[1:]
		if _, done := taken[name]; done {
			continue
		}
		rec, ok := newest[name]
		if !ok {
			return nil, fmt.Errorf("%s has no %s, and without it nothing can be resolved", s.where(), name)
		}
		taken[name] = rec
		for _, field := range []string{rec.PreDepends, rec.Depends} {
			needs, err := ParseDependencies(field)
			if err != nil {
				return nil, fmt.Errorf("%s depends: %w", name, err)
			}
			for _, need := range needs {
				if found := choose(need, newest, providers); found != "" {
					todo = append(todo, found)
				}
			}
		}
	}
	var out []distro.Package
	for _, rec := range taken {
		out = append(out, rec.Package)
	}
	slices.SortFunc(out, distro.Package.Compare)
	return out, nil
}

// choose picks the package that meets a dependency; empty where none does or
// none is of use.
func choose(need Dependency, newest map[string]archive.Record, providers map[string]string) string {
	for _, r := range need {
		if slices.Contains(notToSolve, r.Name) {
			return ""
		}
	}
	for _, r := range need {
		if rec, ok := newest[r.Name]; ok && r.Accepts(rec.Version) {
			return r.Name
		}
	}
	for _, r := range need {
		if p := providers[r.Name]; p != "" && !slices.Contains(notToSolve, p) {
			return p
		}
	}
	return ""
}

// newest returns the newest record of each name, and of what is provided the
// first provider by name.
func (s *shop) newest() (newest map[string]archive.Record, providers map[string]string) {
	newest, providers = map[string]archive.Record{}, map[string]string{}
	for _, x := range s.indexes {
		if x.release.NotAutomatic {
			continue
		}
		for _, rec := range x.records {
			if old, ok := newest[rec.Name]; ok {
				if order, err := CompareVersions(rec.Version, old.Version); err != nil || order <= 0 {
					continue
				}
			}
			newest[rec.Name] = rec
		}
	}
	for name, rec := range newest {
		provided, err := ParseDependencies(rec.Provides)
		if err != nil {
			continue
		}
		for _, d := range provided {
			if p := providers[d[0].Name]; p == "" || name < p {
				providers[d[0].Name] = name
			}
		}
	}
	return newest, providers
}
