package arch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
)

// Limits on the database of what is installed, far above any real one.
const (
	maxInstalled = 1 << 17
	maxDesc      = 4 << 20 // bytes
	readers      = 8       // at once
)

// A BrokenError says that the database of what is installed has packages of
// which it cannot be told whether they are.
type BrokenError struct {
	Root     string
	Packages []string // "folder (what is wrong)", sorted
}

// Error names the packages and the remedy.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s has packages that are only half installed: %s; reinstall each with pacman -S --dbonly and then pacman -S, or remove its folder from pacman's database if nothing of it is there",
		e.Root, strings.Join(e.Packages, ", "))
}

// readLocal reads the database of what is installed. What cannot be read as a
// package is in broken.
func (s *System) readLocal(ctx context.Context) (all []*pacman.Desc, broken []string, err error) {
	entries, err := s.Files.ReadDir(s.local())
	if err != nil {
		return nil, nil, err
	}
	// Beside the folders of packages lies ALPM_DB_VERSION.
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() && e.Type() != fs.ModeSymlink || strings.HasPrefix(e.Name(), ".")
	})
	if len(entries) > maxInstalled {
		return nil, nil, fmt.Errorf("%s has more than %d packages", s.Files.Join(s.local()), maxInstalled)
	}
	all = make([]*pacman.Desc, len(entries))
	faults := make([]string, len(entries))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, e := range entries {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p, err := s.readInstalled(e.Name())
			if err != nil {
				faults[i] = fmt.Sprintf("%s (%v)", e.Name(), err)
				return nil
			}
			all[i] = p
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	broken = slices.DeleteFunc(faults, func(s string) bool { return s == "" })
	all = slices.DeleteFunc(all, func(p *pacman.Desc) bool { return p == nil })
	slices.SortFunc(all, func(a, b *pacman.Desc) int { return identity(a).Compare(identity(b)) })
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.Name == b.Name {
			broken = append(broken, fmt.Sprintf("%s (as %s and as %s)", a.Name, a.Version, b.Version))
		}
	}
	return all, broken, nil
}

// readInstalled reads the description of one folder.
func (s *System) readInstalled(folder string) (*pacman.Desc, error) {
	f, err := s.Files.Open(path.Join(s.local(), folder, "desc"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it has no description")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := pacman.ReadDesc(f)
	if err != nil {
		return nil, err
	}
	if p.Name+"-"+p.Version != folder {
		return nil, fmt.Errorf("it describes %s %s", p.Name, p.Version)
	}
	return p, checkPackage(identity(p))
}

// identity returns the package that a description is of.
func identity(p *pacman.Desc) distro.Package {
	return distro.Package{Name: p.Name, Version: p.Version, Arch: p.Arch}
}

// installed returns the descriptions of what is installed, sorted. What is
// half installed is a [*BrokenError].
func (s *System) installed(ctx context.Context) ([]*pacman.Desc, error) {
	all, broken, err := s.readLocal(ctx)
	if err != nil {
		return nil, err
	}
	if len(broken) > 0 {
		return nil, &BrokenError{Root: s.Root, Packages: broken}
	}
	return all, nil
}

// Installed lists the packages that are installed, sorted.
func (s *System) Installed(ctx context.Context) ([]distro.Package, error) {
	all, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]distro.Package, len(all))
	for i, p := range all {
		out[i] = identity(p)
	}
	return out, nil
}
