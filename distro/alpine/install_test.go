package alpine

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

// everyAPK runs a test in a root with an old apk and in ones with newer ones.
func everyAPK(t *testing.T, test func(t *testing.T, root string)) {
	needRoot(t)
	for _, version := range []string{"3.6.5-x86_64", "3.19.4-x86_64", "3.20.3-x86_64"} {
		t.Run(version, func(t *testing.T) { test(t, minirootfs(t, version)) })
	}
}

// add installs package files into a root of x86_64.
func add(t *testing.T, root string, files ...string) error {
	t.Helper()
	lock, blobs := lockOf(t, openRoot(t, root).ID(), files...)
	out, err := install(t, root, lock, blobs)
	if err != nil && testing.Verbose() {
		t.Log(out)
	}
	return err
}

func world(t *testing.T, root string) string {
	t.Helper()
	return strings.Join(strings.Fields(read(t, filepath.Join(root, worldFile))), " ")
}

const minimalWorld = "alpine-baselayout alpine-keys apk-tools busybox libc-utils"

func versionOf(t *testing.T, root, name string) string {
	t.Helper()
	for _, p := range installedAll(t, root) {
		if p.Name == name {
			return p.Version
		}
	}
	return ""
}

func TestInstallLeavesWorldAsAPersonWouldHaveWrittenIt(t *testing.T) {
	everyAPK(t, func(t *testing.T, root string) {
		dir := t.TempDir()
		files := []string{
			packed(t, dir, "asked", "1.0-r0", "depend = needed>=1\ndepend = cmd:tool\n", nil),
			packed(t, dir, "needed", "1.0-r0", "", nil),
			packed(t, dir, "tools", "2.0-r1", "provides = cmd:tool=2.0-r1\n", map[string]string{"usr/bin/tool": "x"}),
			packed(t, dir, "asked-doc", "1.0-r0", "install_if = asked=1.0-r0 needed\n", nil),
			packed(t, dir, "circle1", "1.0-r0", "depend = circle2\n", nil),
			packed(t, dir, "circle2", "1.0-r0", "depend = circle1\n", nil),
		}
		if err := add(t, root, files...); err != nil {
			t.Fatal(err)
		}
		if got, want := world(t, root), "alpine-baselayout alpine-keys apk-tools asked busybox circle1 libc-utils"; got != want {
			t.Errorf("world is  %s\nwant      %s", got, want)
		}
		if out := runIn(t, root, "/sbin/apk", "fix", "--simulate", "--no-network"); strings.Contains(out, "nstalling") || strings.Contains(out, "urging") {
			t.Errorf("apk would change what is installed:\n%s", out)
		}
		lock, blobs := lockOf(t, openRoot(t, root).ID(), files...)
		pending, err := openRoot(t, root).Pending(t.Context(), lock, blobs)
		if err != nil || len(pending) > 0 {
			t.Errorf("pending still: %v %v", pending, err)
		}
		if left, _ := filepath.Glob(filepath.Join(root, "lib/apk/db", chroot.StagePrefix+"*")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
}

func TestInstallExactVersions(t *testing.T) {
	everyAPK(t, func(t *testing.T, root string) {
		dir, again := t.TempDir(), t.TempDir()
		if err := add(t, root, packed(t, dir, "up", "1.0-r0", "", nil), packed(t, dir, "down", "2.0-r0", "", nil), packed(t, dir, "stays", "1.0-r0", "", nil),
			packed(t, dir, "built", "1.0-r0", "", map[string]string{"etc/built": "one"})); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(root, worldFile), read(t, filepath.Join(root, worldFile))+"busybox@tagged\nup>=1\nmine@tagged\nmine2=5\n")
		lock, blobs := lockOf(t, openRoot(t, root).ID(), packed(t, dir, "up", "1.1_rc1-r0", "", nil), packed(t, dir, "down", "1.0-r0", "", nil),
			packed(t, dir, "mine", "1.0-r0", "", nil), packed(t, dir, "mine2", "5", "", nil))
		// What is installed of another build is asked for although the
		// version is the same.
		built, more := lockOf(t, lock.System, packed(t, again, "built", "1.0-r0", "", map[string]string{"etc/built": "two"}))
		if pending, err := openRoot(t, root).Pending(t.Context(), built, nil); err != nil || len(pending) > 0 {
			t.Errorf("by name, the other build is pending: %v %v", pending, err)
		}
		if pending, err := openRoot(t, root).Pending(t.Context(), built, more); err != nil || len(pending) != 1 {
			t.Errorf("by its file, the other build is not pending: %v %v", pending, err)
		}
		for d, path := range more {
			blobs[d] = path
		}
		lock.Entries = append(lock.Entries, built.Entries...)
		if err := openRoot(t, root).Install(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: blobs}); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"up": "1.1_rc1-r0", "down": "1.0-r0", "stays": "1.0-r0", "mine": "1.0-r0"} {
			if got := versionOf(t, root, name); got != want {
				t.Errorf("%s is at %q, not %s", name, got, want)
			}
		}
		if got := read(t, filepath.Join(root, "etc/built")); got != "two" {
			t.Errorf("the other build was not installed: %q", got)
		}
		got := " " + world(t, root) + " "
		for _, want := range []string{"busybox@tagged", "up>=1", "mine@tagged", "mine2=5", "down", "stays", "built"} {
			if strings.Count(got, " "+want+" ") != 1 {
				t.Errorf("world has not %q: %s", want, got)
			}
		}
		if strings.Contains(got, "><") || strings.Contains(got, "1.0-r0") {
			t.Errorf("world is pinned: %s", got)
		}
	})
}

func TestInstallDropsWhatNothingNeeds(t *testing.T) {
	everyAPK(t, func(t *testing.T, root string) {
		dir := t.TempDir()
		if err := add(t, root, packed(t, dir, "asked", "1.0-r0", "depend = old\n", nil), packed(t, dir, "old", "1.0-r0", "", nil)); err != nil {
			t.Fatal(err)
		}
		next := packed(t, dir, "asked", "2.0-r0", "", nil)
		// A lock that has it keeps it, and asks for it by name.
		if err := add(t, root, next, packed(t, dir, "old", "1.0-r0", "", nil)); err != nil {
			t.Fatal(err)
		}
		if versionOf(t, root, "old") == "" || !strings.HasSuffix(world(t, root), " old") {
			t.Errorf("what the lock has is gone: %s", world(t, root))
		}
	})
}

func TestInstallWarnsOfWhatGoes(t *testing.T) {
	needRoot(t)
	root, dir := minirootfs(t, "3.19.4-x86_64"), t.TempDir()
	if err := add(t, root, packed(t, dir, "asked", "1.0-r0", "depend = old\n", nil), packed(t, dir, "old", "1.0-r0", "", nil)); err != nil {
		t.Fatal(err)
	}
	lock, blobs := lockOf(t, openRoot(t, root).ID(), packed(t, dir, "asked", "2.0-r0", "", nil))
	var warned recorded
	s, err := open(root, warned.events())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: blobs}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(warned.String(), "apk removed old 1.0-r0") {
		t.Errorf("warnings: %s", &warned)
	}
}

func TestInstallRefuses(t *testing.T) {
	needRoot(t)
	root, dir := minirootfs(t, "3.19.4-x86_64"), t.TempDir()
	id := openRoot(t, root).ID()
	before := read(t, filepath.Join(root, installedFile))
	for _, tt := range []struct {
		name, world string
		files       []string
		want        string
	}{
		{"a version that world keeps out", "thing<2\n", []string{packed(t, dir, "thing", "2.0-r0", "", nil)}, `says "thing<2", and the lock has thing 2.0-r0`},
		{"a package that world keeps out", "!thing\n", []string{packed(t, dir, "thing", "2.0-r0", "", nil)}, `says "!thing"`},
		{"a dependency that is not there", "", []string{packed(t, dir, "needy", "1.0-r0", "depend = nowhere\n", nil)}, "nowhere"},
		{"what is no package", "", []string{filepath.Join(root, "etc/passwd")}, "passwd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			put(t, filepath.Join(root, worldFile), strings.ReplaceAll(minimalWorld, " ", "\n")+"\n"+tt.world)
			text := read(t, filepath.Join(root, worldFile))
			err := add(t, root, tt.files...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if read(t, filepath.Join(root, installedFile)) != before || read(t, filepath.Join(root, worldFile)) != text {
				t.Error("the root was changed")
			}
		})
	}
	thing := packed(t, dir, "thing", "1.0-r0", "", nil)
	for _, system := range []lockfile.System{{Distro: "alpine", Version: "3.19.4", Arch: "aarch64"}, {Distro: "debian", Version: "12", Arch: id.Arch}} {
		lock, blobs := lockOf(t, system, thing)
		_, err := install(t, root, lock, blobs)
		var mismatch *distro.MismatchError
		if !errors.As(err, &mismatch) {
			t.Errorf("a lock of %s: %v", system, err)
		}
	}
	other := packed(t, t.TempDir(), "strange", "1.0-r0", "arch = armv7\n", nil)
	if err := add(t, root, other); err == nil {
		t.Error("a package of another architecture is installed")
	}
}

func TestInstallOfAnotherVersionOfTheSystem(t *testing.T) {
	needRoot(t)
	root := minirootfs(t, "3.19.4-x86_64")
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3.20.3", Arch: "x86_64"}, packed(t, t.TempDir(), "thing", "1.0-r0", "", nil))
	if _, err := install(t, root, lock, blobs); err != nil {
		t.Errorf("packages are what makes the version, and may be of another one: %v", err)
	}
}

func TestInstallFailingScript(t *testing.T) {
	needRoot(t)
	root, dir := minirootfs(t, "3.19.4-x86_64"), t.TempDir()
	sick := packed(t, dir, "sick", "1.0-r0", "", nil)
	body := tarGz(t, map[string]string{"etc/sick": "x"}, true)
	info := "pkgname = sick\npkgver = 1.0-r0\nsize = 1\narch = noarch\ndatahash = " + lockfile.DigestOf(body).String() + "\n"
	control := tarGz(t, map[string]string{".PKGINFO": info, ".post-install": "#!/bin/sh\necho it hurts\nexit 1\n"}, false)
	put(t, sick, string(append(control, body...)))
	err := add(t, root, sick)
	if err == nil || !strings.Contains(err.Error(), "apk failed") {
		t.Errorf("a script that fails: %v", err)
	}
	if got := world(t, root); strings.Contains(got, "=") || strings.Contains(got, "><") {
		t.Errorf("world is pinned: %s", got)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	needRoot(t)
	root, dir := minirootfs(t, "3.19.4-x86_64"), t.TempDir()
	before := tree(t, root)
	lock, blobs := lockOf(t, openRoot(t, root).ID(), packed(t, dir, "thing", "1.0-r0", "", nil))
	var out bytes.Buffer
	if err := openRoot(t, root).Install(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: blobs, Output: &out, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "install thing 1.0-r0\nadd thing to etc/apk/world\n") || !strings.Contains(out.String(), "Installing thing") {
		t.Errorf("told: %s", &out)
	}
	if after := tree(t, root); strings.Join(after, "\n") != strings.Join(before, "\n") || world(t, root) != minimalWorld {
		t.Error("the root was changed")
	}
}

// TestMendAfterAKill has what a run that was killed leaves behind.
func TestMendAfterAKill(t *testing.T) {
	needRoot(t)
	root, dir := minirootfs(t, "3.19.4-x86_64"), t.TempDir()
	if err := add(t, root, packed(t, dir, "first", "1.0-r0", "", nil)); err != nil {
		t.Fatal(err)
	}
	saved, err := json.Marshal(savedPlan{World: strings.Fields(minimalWorld + " busybox"), Explicit: []string{"first"}, Asked: []string{"first=1.0-r0", "busybox=1.36.1-r19", "musl=1"}})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "lib/apk/db", chroot.StagePrefix+"1", stagedPlan), string(saved))
	put(t, filepath.Join(root, "lib/apk/db", chroot.StagePrefix+"2", "x"), "killed at once")
	put(t, filepath.Join(root, worldFile), "alpine-baselayout\nalpine-keys\napk-tools\nbusybox=1.36.1-r19\nfirst=1.0-r0\nlibc-utils\nmusl=1\n")
	if err := add(t, root, packed(t, dir, "second", "1.0-r0", "", nil)); err != nil {
		t.Fatal(err)
	}
	if got, want := world(t, root), "alpine-baselayout alpine-keys apk-tools busybox first libc-utils second"; got != want {
		t.Errorf("world is %s, want %s", got, want)
	}
	if left, _ := filepath.Glob(filepath.Join(root, "lib/apk/db", chroot.StagePrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestInstallIntoAForeignRoot(t *testing.T) {
	needRoot(t)
	if _, err := os.Stat("/proc/sys/fs/binfmt_misc/qemu-aarch64"); err == nil {
		t.Skip("this machine runs programs of aarch64")
	}
	root := minirootfs(t, "3.19.4-aarch64")
	err := add(t, root, packed(t, t.TempDir(), "thing", "1.0-r0", "", nil))
	if err == nil || !strings.Contains(err.Error(), "cannot run on this machine; is it of another architecture?") {
		t.Errorf("got %v", err)
	}
}

func TestCreateRefuses(t *testing.T) {
	full := rootWith(t, map[string]string{"home/x": "y"})
	if _, err := (Distro{}).Create(full, lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, nil); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a directory with something in it: %v", err)
	}
	if _, err := (Distro{}).Create(t.TempDir(), lockfile.System{}, nil); err == nil || !strings.Contains(err.Error(), "no architecture") {
		t.Errorf("a lock without a system: %v", err)
	}
}

func TestInstallWithoutAnAPK(t *testing.T) {
	needRoot(t)
	root := t.TempDir()
	s, err := Distro{}.Create(root, lockfile.System{Distro: "alpine", Version: "3.19", Arch: "x86_64"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nonexistent")
	lock, blobs := lockOf(t, s.ID(), packed(t, t.TempDir(), "thing", "1.0-r0", "", nil))
	if _, err := install(t, root, lock, blobs); err == nil || !strings.Contains(err.Error(), "the lock has no apk-tools") || !strings.Contains(err.Error(), "this machine has none") {
		t.Errorf("got %v", err)
	}
}

// TestNewToolInOddPlace has a root whose name would match nothing as a pattern.
func TestNewToolInOddPlace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "[a]")
	put(t, filepath.Join(dir, "sbin/apk"), "")
	put(t, filepath.Join(dir, "lib/ld-musl-x86_64.so.1"), "")
	tool, err := newTool(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first, last := tool.command[0], tool.command[len(tool.command)-1]; first != dir+"/lib/ld-musl-x86_64.so.1" || last != dir+"/sbin/apk" {
		t.Errorf("runs %q", tool.command)
	}
}

func TestMendWorld(t *testing.T) {
	p := &plan{world: []string{"zlib", "busybox>1", "a"}, explicit: []string{"new"}, asked: []string{"busybox=2-r0", "new=1-r0", "dep=3-r0", "zlib=1-r0"}}
	now := []string{"a", "busybox=2-r0", "dep=3-r0", "meanwhile", "new=1-r0", "zlib=1-r0"}
	if got, want := strings.Join(p.mendWorld(now), " "), "zlib busybox>1 a meanwhile new"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	p.world = []string{"a", "busybox>1", "zlib"}
	if got, want := strings.Join(p.mendWorld(now), " "), "a busybox>1 meanwhile new zlib"; got != want {
		t.Errorf("sorted: got %s, want %s", got, want)
	}
}

func TestPending(t *testing.T) {
	dir := t.TempDir()
	one, two := packed(t, dir, "one", "1.0-r0", "", nil), packed(t, dir, "two", "1.0-r0", "", nil)
	odd := filepath.Join(dir, "odd.apk")
	put(t, odd, read(t, one))
	root := rootWith(t, map[string]string{"etc/apk/arch": "x86_64\n", installedFile: installedFrom(t, one) + record("sick", "1-r0", "x86_64", "f:s")})
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, one, two, odd)
	for _, path := range []string{"x86_64/sick-1-r0.apk", "x86_64/one-2-r0.apk", "x86_64/nobody-knows.apk"} {
		lock.Entries = append(lock.Entries, lockfile.Entry{Path: path, Digest: lockfile.DigestOf([]byte(path))})
	}
	pending := func(b distro.Blobs) string {
		got, err := openRoot(t, root).Pending(t.Context(), lock, b)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range got {
			names = append(names, e.Base())
		}
		return strings.Join(names, " ")
	}
	if got, want := pending(blobs), "two-1.0-r0.apk sick-1-r0.apk one-2-r0.apk nobody-knows.apk"; got != want {
		t.Errorf("with files: %s, want %s", got, want)
	}
	if got, want := pending(nil), "odd.apk two-1.0-r0.apk sick-1-r0.apk one-2-r0.apk nobody-knows.apk"; got != want {
		t.Errorf("without files: %s, want %s", got, want)
	}
	broken, bad := lockOf(t, lock.System, filepath.Join(root, "etc/apk/arch"))
	broken.Entries[0].Path = "x86_64/one-1.0-r0.apk"
	if _, err := openRoot(t, root).Pending(t.Context(), broken, bad); err == nil {
		t.Error("what is no package is taken for one")
	}
}
