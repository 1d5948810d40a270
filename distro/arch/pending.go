package arch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

// Pending returns the entries whose packages are not installed at the locked
// version. The name of a file decides; what has another name is looked into
// where its blob is at hand. The detached signature of a package is pending
// with its package, never by itself.
func (s *System) Pending(ctx context.Context, lock *lockfile.Lock, blobs distro.Blobs) ([]lockfile.Entry, error) {
	if err := s.checkLock(lock); err != nil {
		return nil, err
	}
	all, _, err := s.readLocal(ctx)
	if err != nil {
		return nil, err
	}
	have := make(map[distro.Package]bool, len(all))
	for _, p := range all {
		have[identity(p)] = true
	}
	wanted := map[string]bool{} // the names of the files of pending packages
	for _, e := range lock.Entries {
		if isSignature(e) {
			continue
		}
		p, named := Distro{}.Describe(e.Path)
		there := named && have[p]
		if !named && blobs != nil {
			if there, err = blobInstalled(ctx, e, blobs, have); err != nil {
				return nil, err
			}
		}
		if !there {
			wanted[e.Path] = true
		}
	}
	var pending []lockfile.Entry
	for _, e := range lock.Entries {
		if wanted[strings.TrimSuffix(e.Path, ".sig")] {
			pending = append(pending, e)
		}
	}
	return pending, nil
}

// isSignature reports whether an entry is the detached signature of a package,
// as locks of repro-get list them.
func isSignature(e lockfile.Entry) bool {
	base, ok := strings.CutSuffix(e.Path, ".sig")
	if !ok {
		return false
	}
	_, ok = Distro{}.Describe(base)
	return ok
}

// blobInstalled looks into the entry's file, if it is at hand.
func blobInstalled(ctx context.Context, e lockfile.Entry, blobs distro.Blobs, have map[distro.Package]bool) (bool, error) {
	name, err := blobs.Path(ctx, e.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := readPackageFile(name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", e.Path, err)
	}
	return have[identity(p)], nil
}

// readPackageFile reads what package a file holds.
func readPackageFile(name string) (*pacman.Desc, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p, err := pacman.ReadPackage(f)
	if err == nil {
		err = checkPackage(identity(p))
	}
	return p, errors.Join(err, f.Close())
}

// checkLock refuses a lock of another system. What either does not say does
// not count, such as the version of Arch Linux; into a root without a package
// any lock may be installed.
func (s *System) checkLock(lock *lockfile.Lock) error {
	want, have := lock.System, s.id
	if want.IsZero() || s.empty {
		return nil
	}
	sameVersion := want.Version == have.Version || want.Version == "-" || have.Version == "-"
	sameArch := want.Arch == have.Arch || have.Arch == "-"
	if (want.Distro == have.Distro || s.unnamed) && sameVersion && sameArch {
		return nil
	}
	return &distro.MismatchError{Root: s.Root, Lock: want.String(), Have: have.String()}
}
