package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// minimal makes a minimal Debian of the archives that this machine's apt uses.
// Where SAMEBITS_TEST_ROOTS names a directory, it is kept there as minbase.
func minimal(t *testing.T) string {
	t.Helper()
	needs(t, true, "mmdebstrap", "chroot", "apt-get", "dpkg-query")
	dir := os.Getenv("SAMEBITS_TEST_ROOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	base := filepath.Join(dir, "minbase")
	if _, err := os.Stat(base); err == nil {
		return base
	}
	needsMirror(t)
	sources, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if _, err := os.Stat("/etc/apt/sources.list"); err == nil {
		sources = append(sources, "/etc/apt/sources.list")
	}
	must(t, "mmdebstrap", append([]string{"--quiet", "--variant=minbase", "bookworm", base + ".new"}, sources...)...)
	if err := os.Rename(base+".new", base); err != nil {
		t.Fatal(err)
	}
	return base
}

// layered gives a root of its own: what is written to it goes to a layer over
// the base.
func layered(t *testing.T, base string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"upper", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := filepath.Join(dir, "root")
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", base, dir, dir)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Skipf("needs overlayfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// What dpkg writes need not outlive a power cut here.
	write(t, filepath.Join(root, "etc/dpkg/dpkg.cfg.d/test"), "force-unsafe-io\n")
	return root
}

// stamps tells of each file of a tree what shows that it was touched.
func stamps(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var s unix.Stat_t
		if err := unix.Lstat(p, &s); err != nil {
			return err
		}
		out[p] = fmt.Sprintf("%o %d %d.%09d %d.%09d", s.Mode, s.Size, s.Mtim.Sec, s.Mtim.Nsec, s.Ctim.Sec, s.Ctim.Nsec)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// From an installed system to a lock, and from the lock to an installed system.
func TestAcceptInstall(t *testing.T) {
	base := minimal(t)
	t.Parallel()
	// Someone installs by hand.
	b := layered(t, base)
	must(t, "cp", "-L", "/etc/resolv.conf", filepath.Join(b, "etc/resolv.conf"))
	write(t, filepath.Join(b, "usr/sbin/policy-rc.d"), "#!/bin/sh\nexit 101\n")
	if err := os.Chmod(filepath.Join(b, "usr/sbin/policy-rc.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "chroot", b, "apt-get", "-q", "-y", "update")
	must(t, "chroot", b, "apt-get", "-q", "-y", "install", "--no-install-recommends", "gawk", "mariadb-server", "git", "bind9-dnsutils")
	// It is locked.
	dir := t.TempDir()
	cache, lock := filepath.Join(dir, "cache"), filepath.Join(dir, "SHA256SUMS")
	samebits(t, 0, cache, "lock", "generate", "--root", b, "--offline", "-o", lock)
	entries := len(parse(t, read(t, lock)).Entries)
	if want := len(installed(t, "--root="+b)); entries != want || entries < 100 {
		t.Fatalf("%d entries for %d packages, want 100 and more", entries, want)
	}
	// It is installed elsewhere, in one run.
	c := layered(t, base)
	before := len(installed(t, "--root="+c))
	dry := samebits(t, 0, cache, "lock", "install", "--no-snapshot", "--dry-run", "--root", c, lock)
	if after := len(installed(t, "--root="+c)); after != before || !strings.Contains(dry.stderr, "nothing was changed") {
		t.Errorf("--dry-run: %d packages became %d: %v", before, after, dry)
	}
	first := samebits(t, 0, cache, "lock", "install", "--no-snapshot", "--root", c, lock)
	if want := fmt.Sprintf("%d packages installed, all %d are as locked", entries-before, entries); lastLine(first.stderr) != want {
		t.Errorf("the last line is %q, want %q", lastLine(first.stderr), want)
	}
	got, want := installed(t, "--root="+c), installed(t, "--root="+b)
	if !slices.Equal(got, want) {
		t.Errorf("installed are\n%v\nwant\n%v", got, want)
	}
	if audit := must(t, "dpkg", "--root="+c, "--audit"); audit != "" {
		t.Errorf("dpkg finds fault: %s", audit)
	}
	must(t, "chroot", c, "gawk", "BEGIN { exit 0 }")
	must(t, "chroot", c, "mariadbd", "--version")
	// A lock of what came of it names the same files.
	again := write(t, filepath.Join(dir, "again"), samebits(t, 0, cache, "lock", "generate", "--root", c, "--update", "--no-snapshot").stdout)
	if diff := samebits(t, 0, cache, "lock", "diff", lock, again); diff.stdout != "" {
		t.Errorf("the lock of the second system differs: %v", diff)
	}
	checkSecondRun(t, c, lock)
}

// A second run changes nothing, and runs no program.
func checkSecondRun(t *testing.T, root, lock string) {
	t.Helper()
	before := stamps(t, root)
	cache := filepath.Join(t.TempDir(), "none")
	run := command(t, cache, "lock", "install", "--root", root, lock)
	r := finish(t, run)
	if r.code != 0 || !strings.HasPrefix(r.stderr, "nothing to do: ") {
		t.Errorf("a second run: %v", r)
	}
	for p, stamp := range stamps(t, root) {
		if before[p] != stamp {
			t.Errorf("a second run has changed %s: %q, was %q", p, stamp, before[p])
		}
	}
	if _, err := os.Stat(cache); err == nil {
		t.Error("a second run made a cache")
	}
	r, calls := traced(t, exec.Command(run.Args[0], run.Args[1:]...))
	if r.code != 0 || len(calls) != 1 {
		t.Errorf("a second run: %v\nstarts programs or connects: %q", r, calls)
	}
}
