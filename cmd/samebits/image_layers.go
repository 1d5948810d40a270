package main

import (
	"fmt"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// layerLocks reads the locks that a spec makes layers of, and sorts them by
// the images that they are of, which are those of locks: each belongs to that
// of its architecture.
func (s *session) layerLocks(names []string, locks []*lockfile.Lock) ([][]*lockfile.Lock, error) {
	layers, err := s.readLocks(names)
	if err != nil {
		return nil, err
	}
	out := make([][]*lockfile.Lock, len(locks))
	for i, l := range layers {
		of := slices.IndexFunc(locks, func(lock *lockfile.Lock) bool {
			return lock.System.Arch == l.System.Arch && distro.ByLock(lock, families) == distro.ByLock(l, families)
		})
		if of < 0 {
			return nil, fmt.Errorf("the layer %s is of %s %s, of which there is no image; a layer is of the distribution and architecture of one of the locks", names[i], l.System.Distro, l.System.Arch)
		}
		if len(l.Missing) > 0 && !s.Bool("allow-missing") {
			return nil, missingFrom(names[i], l)
		}
		out[of] = append(out[of], l)
	}
	return out, nil
}

// missingFrom is the error of a lock that does not have all its packages.
func missingFrom(name string, lock *lockfile.Lock) error {
	return missingf("%s does not have %s that could not be located when it was made; --allow-missing builds without", name, count(len(lock.Missing), "package"))
}
