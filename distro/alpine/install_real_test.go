package alpine

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

// isoSet is what alpine-base, openssh and chrony need of the ISO: 47 packages.
var isoSet = strings.Fields(`alpine-base alpine-baselayout alpine-baselayout-data alpine-conf alpine-keys alpine-release
	apk-tools busybox busybox-binsh busybox-mdev-openrc busybox-openrc busybox-suid ca-certificates-bundle chrony
	chrony-openrc gmp gnutls ifupdown-ng libc-utils libcap2 libcrypto3 libedit libffi libidn2 libncursesw libseccomp
	libssl3 libtasn1 libunistring mdev-conf musl musl-utils ncurses-terminfo-base nettle openrc openssh
	openssh-client-common openssh-client-default openssh-keygen openssh-server openssh-server-common
	openssh-server-common-openrc openssh-sftp-server p11-kit scanelf ssl_client zlib`)

// isoRoot is a root made of the ISO's repository by the real apk.
func isoRoot(t testing.TB) (root, iso string) {
	t.Helper()
	needRoot(t)
	iso = data(t, "iso-3.19.1")
	tools := minirootfs(t, "3.19.4-x86_64")
	for _, dir := range []string{"iso", "target"} {
		if err := os.Mkdir(filepath.Join(tools, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(tools, "iso"), os.DirFS(iso)); err != nil {
		t.Fatal(err)
	}
	runIn(t, tools, "/sbin/apk", "--root", "/target", "--initdb", "--arch", "x86_64", "--keys-dir", "/etc/apk/keys",
		"--no-network", "--no-cache", "-X", "/iso", "add", "alpine-base", "openssh", "chrony")
	return filepath.Join(tools, "target"), iso
}

// runIn runs a program of a root, which must succeed. What it mounts there
// goes with it.
func runIn(t testing.TB, root string, command ...string) string {
	t.Helper()
	cmd := exec.Command("unshare", append([]string{"-m", "chroot", root}, command...)...)
	cmd.Env = chroot.Environment
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// isoLock generates the lock of the ISO's 47 packages.
func isoLock(t testing.TB) (root string, lock *lockfile.Lock, blobs blobsOf) {
	t.Helper()
	root, iso := isoRoot(t)
	url := mirror(t, map[string]string{"/alpine/v3.19/main": iso})
	atMirror(t, root, url+"/alpine/v3.19/main")
	ps := installedAll(t, root)
	if len(ps) != len(isoSet) {
		t.Fatalf("%d packages are installed, not %d", len(ps), len(isoSet))
	}
	fetcher := newFetcher(t)
	got, err := openRoot(t, root).Locate(t.Context(), distro.LocateRequest{Packages: ps, Fetcher: fetcher, Identifier: fetcher})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Lock.Missing) > 0 {
		t.Fatalf("missing: %v %v", got.Lock.Missing, got.Reasons)
	}
	return root, got.Lock, newBlobs(t, fetcher.Dir)
}

// TestInstallIntoAnEmptyRoot generates a lock of a system that apk made, and
// makes a second one of it, without an apk on this machine: state, world and
// all files are the same.
func TestInstallIntoAnEmptyRoot(t *testing.T) {
	from, lock, blobs := isoLock(t)
	for _, e := range lock.Entries {
		if e.Archive != (lockfile.Archive{Name: "Alpine"}) || e.Unsigned || !strings.HasPrefix(e.Path, "v3.19/main/x86_64/") {
			t.Errorf("%s is of %s", e.Path, e.Archive)
		}
	}
	root := t.TempDir()
	s, err := Distro{}.Create(root, lock.System, nil)
	if err != nil {
		t.Fatal(err)
	}
	pending, err := s.Pending(t.Context(), lock, blobs)
	if err != nil || len(pending) != len(isoSet) {
		t.Fatalf("%d are pending, %v", len(pending), err)
	}
	if out, err := install(t, root, lock, blobs); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := joined(installedAll(t, root)), joined(installedAll(t, from)); got != want {
		t.Errorf("installed  %s\nwant %s", got, want)
	}
	for _, name := range []string{"lib/apk/db/installed", "lib/apk/db/triggers", "etc/apk/world", "etc/apk/arch", "etc/passwd", "etc/shadow"} {
		if got, want := read(t, filepath.Join(root, name)), read(t, filepath.Join(from, name)); got != want && name != "etc/shadow" {
			t.Errorf("%s differs from what apk made:\n%.300s\n%.300s", name, got, want)
		}
	}
	got, want := tree(t, root), tree(t, from)
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("here only: %s", line)
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("lost: %s", line)
		}
	}
	// Nothing is left to do, and apk is content.
	pending, err = openRoot(t, root).Pending(t.Context(), lock, blobs)
	if err != nil || len(pending) != 0 {
		t.Errorf("%d are pending still, %v", len(pending), err)
	}
	if out := runIn(t, root, "/sbin/apk", "fix", "--simulate", "--no-network"); strings.Contains(out, "nstalling") || strings.Contains(out, "urging") {
		t.Errorf("apk would change what is installed:\n%s", out)
	}
}

// tree lists the files of a root with modes and links.
func tree(t testing.TB, root string) []string {
	t.Helper()
	out, err := exec.Command("find", root, "-printf", "%P %y %m %U:%G %l\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(out)) {
		// What a repository list and apk's own cache have is no part of it.
		if !strings.HasPrefix(line, "etc/apk/repositories") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return lines
}
