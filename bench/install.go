package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

var installPackages = []string{"mariadb-server", "gawk", "git", "gnupg", "imagemagick", "nginx-light", "openssh-server", "python3", "vim"}

// benchInstall installs the same files into copies of one minimal root: with
// samebits, with apt-get from a file: repository, with dpkg alone. Then samebits
// runs again over what it has installed.
func benchInstall(b *bench) error {
	if os.Geteuid() != 0 {
		fmt.Fprintln(b.out, "Left out: it wants root.")
		return nil
	}
	base := filepath.Join(b.dir, "base")
	s, err := b.installShelf(base)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "%s.\n\n", s)
	cache := filepath.Join(b.dir, "cache")
	url, err := b.serve(s.dir)
	if err != nil {
		return err
	}
	if out, err := exec.Command(b.samebits, "lock", "fetch", "--cache", cache, "--source", url+"/{{.Path}}", s.lock).CombinedOutput(); err != nil {
		return fmt.Errorf("samebits lock fetch: %w\n%s", err, out)
	}
	root := filepath.Join(b.dir, "root")
	fresh := func() error { return copyRoot(base, root) }
	install := func(root string) func() *exec.Cmd {
		return func() *exec.Cmd {
			return exec.Command(b.samebits, "lock", "install", "--offline", "--cache", cache, "--root", root, s.lock)
		}
	}
	inRoot := func(script string) func() *exec.Cmd {
		return func() *exec.Cmd {
			cmd := exec.Command("chroot", root, "sh", "-c", script)
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
			return cmd
		}
	}
	if err := b.measure(
		contestant{"`samebits lock install`", fresh, install(root)},
		contestant{"`apt-get install`", fresh, inRoot("apt-get -q -q -y --no-install-recommends install " + strings.Join(installPackages, " "))},
		// dpkg takes no account of Pre-Depends when it is given files in any
		// order: what it refuses, it takes when asked again.
		contestant{"`dpkg -i`, as often as it takes", fresh, inRoot("for i in 1 2 3 4 5; do dpkg -i --skip-same-version -R /repo/pool && exit 0; done; exit 1")},
	); err != nil {
		return err
	}
	done := filepath.Join(b.dir, "done")
	if err := copyRoot(base, done); err != nil {
		return err
	}
	if out, err := install(done)().CombinedOutput(); err != nil {
		return fmt.Errorf("samebits lock install: %w\n%s", err, out)
	}
	fmt.Fprint(b.out, "Where everything is installed already:\n\n")
	return b.measure(contestant{"`samebits lock install`, again", nil, install(done)})
}

// installShelf makes a minimal root from the archives that this machine's apt
// knows, and puts on a shelf what it lacks for installPackages. The shelf is in
// the root too, as /repo, the only archive that the root's apt then knows.
func (b *bench) installShelf(base string) (*shelf, error) {
	s, err := b.newShelf()
	if err != nil {
		return nil, err
	}
	script := fmt.Sprintf(`set -e
. /etc/os-release
sources=$(grep -lE "$VERSION_CODENAME.* main|Suites:.*$VERSION_CODENAME" /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1)
mmdebstrap --quiet --variant=minbase "$VERSION_CODENAME" "$1" "$sources"
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"
cp /etc/resolv.conf "$1/etc/resolv.conf"
chroot "$1" apt-get -q -q update
chroot "$1" apt-get -q -q -y --no-install-recommends --download-only install %s
mv "$1"/var/cache/apt/archives/*.deb "$2/pool/"
`, strings.Join(installPackages, " "))
	if out, err := exec.Command("sh", "-c", script, "sh", base, s.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a root: %w\n%s", err, tail(out, 3000))
	}
	if err := s.seal(); err != nil {
		return nil, err
	}
	if err := s.index(); err != nil {
		return nil, err
	}
	script = `set -e
cp -r "$2" "$1/repo"
rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/var/lib/apt/lists/*
echo 'deb [trusted=yes] file:/repo ./' >"$1/etc/apt/sources.list"
chroot "$1" apt-get -q -q update`
	if out, err := exec.Command("sh", "-c", script, "sh", base, s.dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("set up the root's archive: %w\n%s", err, tail(out, 3000))
	}
	return s, nil
}

func copyRoot(from, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy the root: %w\n%s", err, out)
	}
	return exec.Command("sync", "-f", to).Run()
}
