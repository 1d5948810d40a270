package fedora

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
)

// Installed lists the packages that are installed, sorted by Compare. A
// package of which several versions are installed, such as the kernel, is
// there several times. Keys that were imported are no packages.
//
// rpm does not know half-installed packages: a package is in its database or
// not.
func (s *System) Installed(ctx context.Context) ([]distro.Package, error) {
	all, err := s.packages(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]distro.Package, 0, len(all))
	for _, p := range all {
		if !p.IsKey() {
			out = append(out, id(p))
		}
	}
	slices.SortFunc(out, distro.Package.Compare)
	return slices.Compact(out), nil
}

func id(p *rpmdb.Package) distro.Package {
	return distro.Package{Name: p.Name, Version: p.EVR(), Arch: p.Arch}
}

// packages returns the whole database. It is read once, and again after an
// installation.
func (s *System) packages(ctx context.Context) ([]*rpmdb.Package, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded == nil {
		all, err := rpmdb.Read(ctx, s.Files, s.place)
		if err != nil {
			return nil, err
		}
		s.loaded = all
	}
	return s.loaded, nil
}

// forget has the next look at the database read it again. Its form may have
// changed too: rpm converts old ones.
func (s *System) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	place, err := rpmdb.Find(s.Files)
	if errors.Is(err, fs.ErrNotExist) && s.created {
		s.loaded = []*rpmdb.Package{} // rpm makes it with the first package
		return nil
	}
	s.loaded, s.place = nil, place
	return err
}

// newest returns the package of the highest version.
func newest(all []*rpmdb.Package) *rpmdb.Package {
	return slices.MaxFunc(all, func(a, b *rpmdb.Package) int { return rpm.CompareEVR(a.EVR(), b.EVR()) })
}
