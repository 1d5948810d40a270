package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// system opens the system below --root, and says of which family it is.
func (s *session) system() (distro.System, distro.Distro, error) {
	root, err := filepath.Abs(s.String("root"))
	if err != nil {
		return nil, nil, err
	}
	family, err := distro.Detect(root, families)
	if err != nil {
		return nil, nil, err
	}
	sys, err := family.Open(root, s.distroEvents())
	if err != nil {
		return nil, nil, err
	}
	return sys, family, nil
}

// systemFor opens the system below --root, or begins one of the lock's kind
// where that is an empty directory.
func (s *session) systemFor(lock *lockfile.Lock) (distro.System, error) {
	root, err := filepath.Abs(s.String("root"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) > 0 {
		sys, _, err := s.system()
		return sys, err
	}
	family := distro.ByLock(lock, families)
	creator, ok := family.(distro.Creator)
	switch {
	case family == nil:
		return nil, fmt.Errorf("%s is empty, and the lock is of no known distribution", root)
	case !ok:
		return nil, fmt.Errorf("%s is empty, and a system of %s cannot be begun there; make an image of the lock, or a minimal system first", root, family.Traits().Family)
	case s.Bool("dry-run"):
		return nil, fmt.Errorf("%s is empty, and there is nothing to try an installation on", root)
	}
	return creator.Create(root, lock.System, s.distroEvents())
}

// hostFor opens the system that samebits runs in, for its mirrors, proxies and
// logins. It is nil where that is of another family than the lock, or none.
func (s *session) hostFor(l *lockfile.Lock) distro.System {
	family, err := distro.Detect("/", families)
	if err != nil || distro.ByLock(l, families) == nil ||
		family.Traits().Family != distro.ByLock(l, families).Traits().Family {
		return nil
	}
	sys, err := family.Open("/", s.distroEvents())
	if err != nil {
		s.detail("the configuration of this system is not used: %v", err)
		return nil
	}
	return sys
}

// locateRequest says how far the flags let a distribution go for what it
// looks for.
func (s *session) locateRequest(family distro.Distro, sys distro.System, c *lateCache) (distro.LocateRequest, error) {
	req := distro.LocateRequest{Snapshots: !s.Bool("no-snapshot")}
	for _, name := range s.StringSlice("packages") {
		dir, err := packageDir(name)
		if err != nil {
			return req, err
		}
		req.Directories = append(req.Directories, dir)
	}
	var f *fetcher
	if !s.Bool("offline") {
		f = &fetcher{session: s, client: s.client(sys.Access()), cache: c}
		req.Fetcher = f
	}
	for _, u := range s.userSources() {
		if dated(u) {
			req.Keepers = append(req.Keepers, distro.Mirror{URL: u, Keeper: true})
		}
	}
	for _, m := range family.Traits().Mirrors {
		if m.Keeper {
			req.Keepers = append(req.Keepers, m)
		}
	}
	req.Identifier = s.newIdentifier(f, c, req.Keepers)
	return req, nil
}

// packageDir makes the path of a directory that --packages names absolute,
// since a system may be looked at from its root.
func packageDir(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(abs)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", abs)
	}
	if err != nil {
		return "", fmt.Errorf("--packages: %w", err)
	}
	return abs, nil
}
