package arch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

func TestStage(t *testing.T) {
	root := t.TempDir()
	base := filepath.Join(root, defaultDBPath)
	stale := filepath.Join(base, chroot.StagePrefix+"old", "x")
	writeTo(t, stale, []byte("left by a run that was killed"))
	blob := filepath.Join(t.TempDir(), "blob")
	writeTo(t, blob, []byte("bytes"))
	jobs := []*job{{Desc: jobDesc("lz4", "1:1.8.0-1"), blob: blob}}
	first, err := newStage(root, defaultDBPath, jobs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed run left: %v", err)
	}
	data, err := os.ReadFile(filepath.Join(first.Path, "lz4-1:1.8.0-1-any.pkg.tar"))
	if err != nil || string(data) != "bytes" {
		t.Errorf("%q, %v", data, err)
	}
	if filepath.Join(root, first.Inside) != first.Path {
		t.Errorf("%s is %s from within", first.Path, first.Inside)
	}
	// A stage that is in use is not stale.
	second, err := newStage(root, defaultDBPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first.Path); err != nil {
		t.Errorf("a stage in use was removed: %v", err)
	}
	first.Remove()
	second.Remove()
	if left, err := os.ReadDir(base); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	if _, err := os.Stat(blob); err != nil {
		t.Errorf("the cache lost a file: %v", err)
	}
}

// TestStageStaysInRoot has a root whose database is a link to a place outside.
func TestStageStaysInRoot(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, defaultDBPath)); err != nil {
		t.Fatal(err)
	}
	if _, err := newStage(root, defaultDBPath, nil); err == nil || !strings.Contains(err.Error(), "leads out") {
		t.Errorf("%v", err)
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
		t.Errorf("written outside: %v, %v", left, err)
	}
}

func TestTransactionConfig(t *testing.T) {
	w := newWorld(t)
	w.put("etc/pacman.conf", []byte(`[options]
Architecture = x86_64 x86_64_v3
SigLevel = Required
IgnorePkg = a
HoldPkg = b
NoExtract = usr/share/help/* !usr/share/help/C/*
#NoExtract = usr/lib/*
NoUpgrade=etc/passwd
HookDir = /srv/hooks
[core]
NoExtract = not/an/option/here
Server = http://m.example/
`))
	s := w.open()
	want := "[options]\nArchitecture = x86_64 x86_64_v3\nSigLevel = Never\nLocalFileSigLevel = Never\n" +
		"NoExtract = usr/share/help/* !usr/share/help/C/*\nNoUpgrade = etc/passwd\n"
	if got := string(s.transactionConfig(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if dirs := s.hookDirs(); len(dirs) != 1 || dirs[0] != "/srv/hooks" {
		t.Errorf("hooks: %q", dirs)
	}
	// A root that says nothing takes what the packages are of.
	w.put("etc/pacman.conf", []byte("[options]\n"))
	s = w.open()
	arm := jobDesc("a", "1-1")
	arm.Arch = "aarch64"
	for want, jobs := range map[string][]*job{
		"Architecture = auto\n": {{Desc: jobDesc("a", "1-1")}}, "Architecture = aarch64\n": {{Desc: arm}},
	} {
		if got := string(s.transactionConfig(jobs)); !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %s", got, want)
		}
	}
	if dirs := s.hookDirs(); len(dirs) != 1 || dirs[0] != "/etc/pacman.d/hooks/" {
		t.Errorf("hooks: %q", dirs)
	}
}

func TestRunnerArguments(t *testing.T) {
	w := newWorld(t)
	s := w.open()
	st := &chroot.Stage{Path: filepath.Join(w.root, "var/lib/pacman/stage"), Inside: "/var/lib/pacman/stage"}
	for own, want := range map[bool]string{
		true:  "--root / --dbpath /var/lib/pacman --logfile /var/log/pacman.log",
		false: fmt.Sprintf("--root %s --dbpath %[1]s/var/lib/pacman --logfile %[1]s/var/log/pacman.log", w.root),
	} {
		r := s.runner(st, own, w.root)
		if got := strings.Join(r.args, " "); !strings.Contains(got, want) {
			t.Errorf("own %t: %s, want %s", own, got, want)
		}
		if (r.chroot == w.root) != own || (r.stage == st.Inside) != own {
			t.Errorf("own %t: in %q, from %q", own, r.chroot, r.stage)
		}
	}
}

func TestMakeBase(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := makeBase(root); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]fs.FileMode{"tmp": 0o700, "proc": 0o555, "dev": 0o755, "var/log": 0o755} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	root := t.TempDir()
	writeTo(t, filepath.Join(root, "mine"), nil)
	if _, err := (Distro{}).Create(root, lockfile.System{}, nil); err == nil || !strings.Contains(err.Error(), "mine is in it") {
		t.Errorf("%v", err)
	}
	if _, err := (Distro{}).Create(filepath.Join(root, "absent"), lockfile.System{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
