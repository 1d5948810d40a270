package debian

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// inRoot calls fn with the directory that programs have to change their root
// to. In another root than that of the running system no services are started.
func (s *System) inRoot(fn func(root string) error) error {
	return chroot.In(s.Root, chroot.Mounts{}, s.events.Warning, func(root string) error {
		if root != "" {
			restore, err := denyServices(root)
			if err != nil {
				return err
			}
			defer restore()
		}
		return fn(root)
	})
}

// servicePolicy answers invoke-rc.d that no action is allowed. Its second line
// tells our file from that of an administrator.
const servicePolicy = "#!/bin/sh\n# put here by samebits while it installs packages\nexit 101\n"

// denyServices keeps packages from starting services in a root that is not
// the running system. A policy that the root has already is left in force.
func denyServices(root string) (restore func(), err error) {
	dir, err := chroot.Within(root, "usr/sbin")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "policy-rc.d")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if errors.Is(err, fs.ErrExist) {
		if text, err := os.ReadFile(path); err != nil || string(text) != servicePolicy {
			return func() {}, nil
		}
		return func() { os.Remove(path) }, nil // left by a run that was killed
	}
	if err != nil {
		return nil, err
	}
	_, err = f.WriteString(servicePolicy)
	err = errors.Join(err, f.Chmod(0o755), f.Close())
	if err != nil {
		os.Remove(path)
		return nil, fmt.Errorf("keep services from starting: %w", err)
	}
	return func() { os.Remove(path) }, nil
}
