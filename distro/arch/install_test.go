package arch

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

// needTools skips a test that needs root or programs.
func needTools(t *testing.T, programs ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long: it installs into real roots")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("needs %s", p)
		}
	}
}

// with returns a lock of packages and the files of it; of those with a
// signature in withSig, that too.
func with(t *testing.T, s *System, packages []*made, withSig ...*made) (*lockfile.Lock, files) {
	t.Helper()
	lock, blobs := lockOf(t, s, packages...), files{}
	for _, m := range packages {
		blobs.add(t, m.data)
	}
	for _, m := range withSig {
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: blobs.add(t, m.sig), Path: "core/os/x86_64/" + m.file() + ".sig", Archive: lockfile.Archive{Name: archLinux}})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock, blobs
}

// bring installs what is pending of a lock and returns what was printed.
func bring(t *testing.T, s *System, lock *lockfile.Lock, blobs files, dry bool) (string, error) {
	t.Helper()
	pending, err := s.Pending(t.Context(), lock, blobs)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: pending, Blobs: blobs, Output: &out, DryRun: dry})
	if left, _ := filepath.Glob(filepath.Join(s.Root, "var/lib/pacman", chroot.StagePrefix+"*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
	mounts, mountErr := os.ReadFile("/proc/self/mountinfo")
	if mountErr != nil || strings.Contains(string(mounts), s.Root+"/") {
		t.Errorf("mounts are left over in %s (%v)", s.Root, mountErr)
	}
	return out.String(), err
}

// versions lists what is installed, as pacman itself says; those that were
// asked for have a "!".
func versions(t *testing.T, root string) string {
	t.Helper()
	query := func(op string) string {
		out, _ := exec.Command("pacman", op, "--root", root, "--dbpath", filepath.Join(root, "var/lib/pacman"), "--config", "/dev/null").Output()
		return string(out)
	}
	explicit := query("-Qe")
	var out []string
	for line := range strings.Lines(query("-Q")) {
		name := strings.TrimSpace(line)
		if strings.Contains(explicit, line) {
			name += "!"
		}
		out = append(out, name)
	}
	return strings.Join(out, ", ")
}

func TestInstallIntoEmptyRoot(t *testing.T) {
	needTools(t, "pacman")
	root := t.TempDir()
	system := lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}
	sys, err := Distro{}.Create(root, system, nil)
	if err != nil {
		t.Fatal(err)
	}
	if sys.ID() != system {
		t.Errorf("made %v", sys.ID())
	}
	if _, err := (Distro{}).Create(root, system, nil); err == nil {
		t.Error("a system was made where one is")
	}
	s := sys.(*System)
	app, lib, lone := pkg(t, "app", "1:2-1", "DEPENDS=so=1"), pkg(t, "lib", "1-1", "PROVIDES=so=1"), pkg(t, "lone", "1-1")
	lock, blobs := with(t, s, []*made{app, lib, lone})
	if out, err := bring(t, s, lock, blobs, true); err != nil || !strings.Contains(out, "install app 1:2-1 any\n") || versions(t, root) != "" {
		t.Errorf("dry run: %v, %q, then %q", err, out, versions(t, root))
	}
	if out, err := bring(t, s, lock, blobs, false); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := versions(t, root), "app 1:2-1!, lib 1-1, lone 1-1!"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	data, err := os.ReadFile(filepath.Join(root, "usr/share/app"))
	if err != nil || string(data) != "1:2-1" {
		t.Errorf("the file of app: %q, %v", data, err)
	}
	log, err := os.ReadFile(filepath.Join(root, "var/log/pacman.log"))
	if err != nil || !strings.Contains(string(log), "installed app (1:2-1)") {
		t.Errorf("pacman's log: %s, %v", log, err)
	}
	if out, err := bring(t, s, lock, blobs, false); err != nil || out != "" {
		t.Errorf("a second time: %v, %q", err, out)
	}
	again := openRoot(t, root)
	if pending, err := again.Pending(t.Context(), lock, files{}); err != nil || len(pending) > 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
}

func openRoot(t *testing.T, root string) *System {
	t.Helper()
	s, err := open(root, &distro.Events{Warn: func(m string) { t.Log("warning: " + m) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestInstallChanges upgrades, downgrades and keeps what there is.
func TestInstallChanges(t *testing.T) {
	needTools(t, "pacman")
	w := newWorld(t)
	w.config("SigLevel = Required\nIgnorePkg = up\nHoldPkg = up\nNoExtract = usr/share/skipped", "[core]", "SigLevel = Never")
	s := w.open()
	first, blobs := with(t, s, []*made{pkg(t, "up", "1-1"), pkg(t, "down", "9-1"), pkg(t, "other", "1-1", "DEPENDS=up")})
	if out, err := bring(t, s, first, blobs, false); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := versions(t, w.root), "down 9-1!, other 1-1!, up 1-1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	lock, blobs := with(t, s, []*made{pkg(t, "up", "1:0.5-1"), pkg(t, "down", "8-1", "DEPENDS=new"), pkg(t, "new", "1-1"), pkg(t, "skipped", "1-1", "DEPENDS=down")})
	out, err := bring(t, w.open(), lock, blobs, true)
	if err != nil || !strings.Contains(out, "downgrade down 9-1 -> 8-1 any\n") || !strings.Contains(out, "upgrade up 1-1 -> 1:0.5-1 any\n") {
		t.Errorf("dry run: %v, %q", err, out)
	}
	if out, err := bring(t, w.open(), lock, blobs, false); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// What nothing depends on any more keeps its reason too.
	if got, want := versions(t, w.root), "down 8-1!, new 1-1, other 1-1!, skipped 1-1!, up 1:0.5-1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(w.root, "usr/share/skipped")); err == nil {
		t.Error("NoExtract was not minded")
	}
}

func TestInstallRefuses(t *testing.T) {
	needTools(t, "pacman")
	a := pkg(t, "a", "1-1")
	for name, tt := range map[string]struct {
		prepare func(s *System, lock *lockfile.Lock, blobs files)
		want    string
	}{
		"another architecture": {func(s *System, lock *lockfile.Lock, blobs files) { lock.System.Arch = "aarch64" }, "the lock is for arch - aarch64"},
		"another distribution": {func(s *System, lock *lockfile.Lock, blobs files) { lock.System.Distro = "manjaro" }, "the lock is for manjaro"},
		"a file that is gone":  {func(s *System, lock *lockfile.Lock, blobs files) { delete(blobs, lock.Entries[0].Digest) }, "is not in the cache"},
		"no package": {func(s *System, lock *lockfile.Lock, blobs files) {
			lock.Entries[0].Digest = blobs.add(t, []byte("nothing"))
		}, lockPath(a)},
		"what it needs is not there": {func(s *System, lock *lockfile.Lock, blobs files) {
			lock.Entries[0].Digest = blobs.add(t, pkg(t, "a", "1-1", "DEPENDS=nowhere").data)
		}, "nowhere"},
		"twice": {func(s *System, lock *lockfile.Lock, blobs files) {
			lock.Entries = append(lock.Entries, lockfile.Entry{Path: "b-1-1-any.pkg.tar", Digest: blobs.add(t, pkg(t, "a", "2-1").data)})
		}, "the lock has a twice"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install(pkg(t, "there", "1-1"))
			s := w.open()
			lock, blobs := with(t, s, []*made{a})
			tt.prepare(s, lock, blobs)
			_, err := bring(t, s, lock, blobs, false)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if strings.Contains(versions(t, w.root), "a ") {
				t.Error("it was installed all the same")
			}
		})
	}
}

func lockPath(m *made) string { return "core/os/x86_64/" + m.file() }

// TestInstallWithSignatures has locks as repro-get makes them: the signature
// of each package is an entry of its own.
func TestInstallWithSignatures(t *testing.T) {
	needTools(t, "pacman")
	a := pkg(t, "a", "1-1")
	for name, tt := range map[string]struct {
		sig      []byte
		keyring  bool
		database *made // of the root, with the mark "unsigned" in the lock
		err      string
		warning  string
	}{
		"good":            {sig: a.sig, keyring: true},
		"of other bytes":  {sig: packagerKey().sign(t, []byte("x")), keyring: true, err: "its signature is refused: it does not match"},
		"by a stranger":   {sig: strangerKey().sign(t, a.data), keyring: true, err: "its key is not in the keyring"},
		"no keyring":      {sig: strangerKey().sign(t, a.data), warning: "the signatures of 1 packages are not checked"},
		"of the database": {keyring: true, database: a},
		"of the database, bad": {keyring: true, database: &made{name: "a", version: "1-1", arch: "any", data: a.data, sig: packagerKey().sign(t, []byte("x"))},
			err: "its signature is refused: it does not match"},
		"repacked": {keyring: true, database: pkg(t, "a", "1-1", "GROUPS=original"), warning: "is not the file that core names"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if !tt.keyring {
				if err := os.RemoveAll(filepath.Join(w.root, "usr/share/pacman")); err != nil {
					t.Fatal(err)
				}
			}
			s := w.open()
			lock, blobs := with(t, s, []*made{a})
			if tt.sig != nil {
				lock.Entries = append(lock.Entries, lockfile.Entry{Digest: blobs.add(t, tt.sig), Path: lockPath(a) + ".sig"})
			}
			if tt.database != nil {
				w.put("var/lib/pacman/sync/core.db", databaseOf(t, tt.database))
				lock.Entries[0].Unsigned = true
			}
			if pending, err := s.Pending(t.Context(), lock, blobs); err != nil || len(pending) != len(lock.Entries) {
				t.Errorf("pending: %v, %v", pending, err)
			}
			_, err := bring(t, s, lock, blobs, false)
			switch {
			case tt.err == "" && err != nil, tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("%v, want %q", err, tt.err)
			}
			if got := versions(t, w.root); (got != "") == (tt.err != "") {
				t.Errorf("installed: %q", got)
			}
			if tt.warning != "" && !w.said(tt.warning) || tt.warning == "" && len(*w.warned) > 0 {
				t.Errorf("warned: %q", *w.warned)
			}
			if pending, err := s.Pending(t.Context(), lock, blobs); tt.err == "" && (err != nil || len(pending) > 0) {
				t.Errorf("a signature is pending by itself: %v, %v", pending, err)
			}
		})
	}
}

func TestPendingLooksIntoOddNames(t *testing.T) {
	w := newWorld(t)
	a := pkg(t, "a", "1-1")
	w.install(a)
	s := w.open()
	blobs := files{}
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "odd.pkg", Digest: blobs.add(t, a.data)}}}
	if p, err := s.Pending(t.Context(), lock, blobs); err != nil || len(p) != 0 {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := s.Pending(t.Context(), lock, files{}); err != nil || len(p) != 1 {
		t.Errorf("not at hand: %v, %v", p, err)
	}
	lock.Entries[0].Digest = blobs.add(t, pkg(t, "a", "2-1").data)
	if p, err := s.Pending(t.Context(), lock, blobs); err != nil || len(p) != 1 {
		t.Errorf("another version: %v, %v", p, err)
	}
	lock.Entries[0].Digest = blobs.add(t, []byte("x"))
	if _, err := s.Pending(t.Context(), lock, blobs); err == nil {
		t.Error("no package at all is not told")
	}
}

func TestStateThatDiffers(t *testing.T) {
	w := newWorld(t)
	a, b := pkg(t, "a", "1-1"), pkg(t, "b", "1-1")
	w.install(a)
	s := w.open()
	before, err := s.installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gone := *before[0]
	gone.Name = "gone"
	other := *before[0]
	other.Version = "2-1"
	absent := *before[0]
	absent.Name = b.name
	var state *distro.StateError
	err = s.verifyState(t.Context(), []*job{{Desc: before[0]}, {Desc: &other}, {Desc: &absent}}, append(before, &gone))
	if !errors.As(err, &state) || len(state.Differences) != 3 {
		t.Errorf("%v", err)
	}
}
