package fedora

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

// keep puts files into a cache and returns a lock of them.
func keep(t *testing.T, cache *distrotest.Fetcher, id lockfile.System, files ...string) *lockfile.Lock {
	t.Helper()
	lock := &lockfile.Lock{System: id}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d := lockfile.DigestOf(data)
		put(t, filepath.Join(cache.Dir, d.String()), string(data))
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: "Packages/" + filepath.Base(f)})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock
}

func install(t *testing.T, s *System, lock *lockfile.Lock, cache distro.Blobs) error {
	t.Helper()
	pending, err := s.Pending(t.Context(), lock, cache)
	if err != nil {
		return err
	}
	return s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: pending, Blobs: cache})
}

var wantsScript = spec{name: "app", version: "1.0", release: "1.fc35", more: "Requires: lib >= 2\nRequires: /usr/share/data", post: `posix.mkdir("/made-by-a-script")`}

// TestInstall installs into an empty root that has no rpm of its own.
func TestInstall(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	id := lockfile.System{Distro: "fedora", Version: "35", Arch: "x86_64"}
	lock := keep(t, cache, id,
		w.build(t, pool, wantsScript),
		w.build(t, pool, spec{name: "lib", version: "2.0", release: "1.fc35", epoch: "1", arch: "x86_64"}),
		w.build(t, pool, spec{name: "data", version: "1", release: "1"}))
	s, _ := openSystem(t, newRoot(t))
	var said bytes.Buffer
	if err := s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: cache, Output: &said, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "install lib 1:2.0-1.fc35 x86_64\n") {
		t.Errorf("the plan: %s", said.String())
	}
	if got := installedNames(t, s); got != "" {
		t.Errorf("a dry run installed %s", got)
	}
	if err := install(t, s, lock, cache); err != nil {
		t.Fatal(err)
	}
	if got := installedNames(t, s); got != "app 1.0-1.fc35 noarch, data 1-1 noarch, lib 1:2.0-1.fc35 x86_64" {
		t.Errorf("installed: %s", got)
	}
	if _, err := os.Stat(filepath.Join(s.Root, "made-by-a-script")); err != nil {
		t.Errorf("the script of app: %v", err)
	}
	again, _ := openSystem(t, s.Root)
	if again.ID() != id {
		t.Errorf("the root is %s now", again.ID())
	}
	pending, err := again.Pending(t.Context(), lock, nil)
	if err != nil || len(pending) > 0 {
		t.Errorf("pending after the installation: %v, %v", pending, err)
	}
	if leftover, _ := filepath.Glob(filepath.Join(s.Root, "var/lib/rpm", chroot.StagePrefix+"*")); leftover != nil {
		t.Errorf("left: %q", leftover)
	}
}

// TestReplaceAndAdd changes versions in both directions, and keeps several
// kernels.
func TestReplaceAndAdd(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	root := newRoot(t)
	kernel := func(v string) spec {
		return spec{name: "kernel-core", version: v, release: "1", more: "Provides: installonlypkg(kernel)\nRequires: firmware"}
	}
	var files []string
	for _, s := range []spec{
		{name: "up", version: "1", release: "1"}, {name: "down", version: "2", release: "1"}, {name: "same", version: "1", release: "1"},
		{name: "old", version: "1", release: "1"}, {name: "firmware", version: "1", release: "1"}, kernel("5.1"),
	} {
		files = append(files, w.build(t, pool, s))
	}
	rpmInstall(t, root, files...)
	s, _ := openSystem(t, root)
	lock := keep(t, cache, s.ID(),
		w.build(t, pool, spec{name: "up", version: "2", release: "1", more: "Requires: kernel-core = 5.3"}),
		w.build(t, pool, spec{name: "several", version: "1", release: "1"}),
		w.build(t, pool, spec{name: "several", version: "2", release: "1"}),
		w.build(t, pool, spec{name: "down", version: "1", release: "1"}),
		w.build(t, pool, spec{name: "same", version: "1", release: "1"}),
		w.build(t, pool, spec{name: "firmware", version: "2", release: "1", more: "Obsoletes: old < 2"}),
		w.build(t, pool, kernel("5.2")), w.build(t, pool, kernel("5.3")))
	if err := install(t, s, lock, cache); err != nil {
		t.Fatal(err)
	}
	if got := installedNames(t, s); got != "down 1-1 noarch, firmware 2-1 noarch, kernel-core 5.1-1 noarch, kernel-core 5.2-1 noarch, kernel-core 5.3-1 noarch, same 1-1 noarch, several 1-1 noarch, several 2-1 noarch, up 2-1 noarch" {
		t.Errorf("installed: %s", got)
	}
}

func TestInstallRefuses(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	root := newRoot(t)
	rpmInstall(t, root, w.build(t, pool, spec{name: "base", version: "1", release: "1", arch: "x86_64"}))
	s, _ := openSystem(t, root)

	lock := keep(t, cache, s.ID(), w.build(t, pool, wantsScript))
	err := install(t, s, lock, cache)
	if err == nil || !strings.Contains(err.Error(), "lib >= 2 is needed by app") || !strings.Contains(err.Error(), "without --since") {
		t.Errorf("a requirement that nothing meets: %v", err)
	}
	if got := installedNames(t, s); got != "base 1-1 x86_64" {
		t.Errorf("installed all the same: %s", got)
	}

	other := keep(t, cache, lockfile.System{Distro: "fedora", Version: "36", Arch: "x86_64"}, filepath.Join(pool, "app-1.0-1.fc35.noarch.rpm"))
	var mismatch *distro.MismatchError
	if err := install(t, s, other, cache); !errors.As(err, &mismatch) {
		t.Errorf("a lock of another release: %v", err)
	}

	put(t, filepath.Join(pool, "odd-1-1.noarch.rpm"), "no package at all")
	odd := keep(t, cache, s.ID(), filepath.Join(pool, "odd-1-1.noarch.rpm"))
	if err := install(t, s, odd, cache); err == nil || !strings.Contains(err.Error(), "Packages/odd-1-1.noarch.rpm") {
		t.Errorf("what is no package: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Install(ctx, distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: cache}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestVerifyTells holds the look back to find what rpm did not do.
func TestVerifyTells(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	root := newRoot(t)
	rpmInstall(t, root, w.build(t, pool, spec{name: "up", version: "1", release: "1"}), w.build(t, pool, spec{name: "gone", version: "1", release: "1"}),
		w.build(t, pool, spec{name: "twin", version: "1", release: "1", vendor: "first"}))
	s, _ := openSystem(t, root)
	before, err := s.packages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	run(t, "rpm", "--root", root, "--dbpath", "/var/lib/rpm", "-e", "gone")
	lock := keep(t, cache, s.ID(), w.build(t, pool, spec{name: "up", version: "2", release: "1"}), w.build(t, pool, spec{name: "new", version: "1", release: "1"}),
		w.build(t, pool, spec{name: "twin", version: "1", release: "1", vendor: "second"}))
	jobs, err := readJobs(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: cache})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.forget(); err != nil {
		t.Fatal(err)
	}
	err = s.verify(t.Context(), s.config.arrange(jobs, lock), before)
	var state *distro.StateError
	if !errors.As(err, &state) {
		t.Fatalf("%v", err)
	}
	want := []string{
		"new 1-1 noarch is not installed",
		"twin 1-1 noarch is installed from another file than the lock's",
		"up.noarch is installed as 1-1, the lock has 2-1",
		"up 2-1 noarch is not installed",
		"gone 1-1 noarch was installed before and is not any more",
	}
	if got := strings.Join(state.Differences, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%s", got)
	}
}

// withOwnRPM gives a root a copy of this machine's rpm, with all it needs.
func withOwnRPM(t *testing.T, root string) {
	t.Helper()
	needTools(t, "ldd")
	for _, program := range []string{"/usr/bin/rpm", "/bin/sh"} {
		run(t, "cp", "--parents", "-L", program, root)
		for _, word := range strings.Fields(run(t, "ldd", program)) {
			if strings.HasPrefix(word, "/") {
				run(t, "cp", "--parents", "-L", word, root)
			}
		}
	}
	run(t, "cp", "--parents", "-r", "/usr/lib/rpm", root)
	put(t, filepath.Join(root, "etc/rpm/macros"), "%_dbpath /nowhere\n%from_within yes\n")
	for _, dir := range []string{"proc", "sys", "dev", "tmp", "root"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// TestInstallWithOwnRPM has a root with an rpm, which then does the work from
// within.
func TestInstallWithOwnRPM(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	root := newRoot(t)
	withOwnRPM(t, root)
	s, warned := openSystem(t, root)
	lock := keep(t, cache, lockfile.System{Distro: "fedora", Version: "35", Arch: "x86_64"},
		w.build(t, pool, spec{name: "lib", version: "2.0", release: "1.fc35", epoch: "1", arch: "x86_64", post: `posix.mkdir("/made-by-" .. rpm.expand("%%{from_within}")); assert(posix.access("/proc/self/status", "r"))`}))
	if err := install(t, s, lock, cache); err != nil {
		t.Fatal(err)
	}
	if got := installedNames(t, s); got != "lib 1:2.0-1.fc35 x86_64" || warned() != "" {
		t.Errorf("installed: %s%s", got, warned())
	}
	if _, err := os.Stat(filepath.Join(root, "made-by-yes")); err != nil {
		t.Errorf("the script, run by the root's rpm: %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "proc/self")); err == nil {
		t.Error("/proc is mounted for all to see")
	}
}
