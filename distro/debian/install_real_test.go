package debian

import (
	"bytes"
	"context"
	"errors"
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

// bothManagers runs a test in a root with apt and in one with dpkg alone.
func bothManagers(t *testing.T, test func(t *testing.T, root string)) {
	t.Run("apt", func(t *testing.T) { test(t, minimalRoot(t)) })
	t.Run("dpkg", func(t *testing.T) { test(t, withoutApt(t, minimalRoot(t))) })
}

// TestInstallRealSet installs more than a hundred packages of Debian, those
// with Pre-Depends among them.
func TestInstallRealSet(t *testing.T) {
	needTools(t, "apt-get")
	probe := minimalRoot(t)
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "archives", "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("apt-get", "-q", "-y", "--no-install-recommends", "--download-only",
		"-o", "Dir::State::status="+filepath.Join(probe, "var/lib/dpkg/status"),
		"-o", "Dir::State::extended_states=/dev/null", "-o", "Dir::Cache="+cache, "-o", "APT::Sandbox::User=root",
		"install", "gawk", "mariadb-server", "nginx-light", "python3", "git", "dbus", "default-jre-headless", "build-essential").CombinedOutput()
	if err != nil {
		t.Skipf("the packages cannot be had (does this machine's apt have lists?): %v\n%s", err, out)
	}
	debs, err := filepath.Glob(filepath.Join(cache, "archives", "*.deb"))
	if err != nil || len(debs) < 100 {
		t.Fatalf("%d packages, want more than 100 (%v)", len(debs), err)
	}
	bothManagers(t, func(t *testing.T, root string) {
		before := len(strings.Split(command(t, "dpkg-query", "--root="+root, "-W"), "\n"))
		if out, err := install(t, root, debs...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if audit := command(t, "dpkg", "--root="+root, "--audit"); audit != "" {
			t.Errorf("dpkg finds fault:\n%s", audit)
		}
		after := len(strings.Split(command(t, "dpkg-query", "--root="+root, "-W"), "\n"))
		if after-before != len(debs) {
			t.Errorf("%d packages became %d with %d files", before, after, len(debs))
		}
		if _, err := install(t, root, debs...); err != nil {
			t.Errorf("a second time: %v", err)
		}
	})
}

func TestInstallPreDepends(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		// z must be configured before a is unpacked, and z rests on m.
		debs := []string{
			build(t, "a", "1", "all", fake{control: "Pre-Depends: z (>= 2:1)\n"}),
			build(t, "m", "1", "all", fake{postinst: "touch /m-configured"}),
			build(t, "z", "2:1-1", "all", fake{control: "Depends: m\n", postinst: "test -e /m-configured; touch /z-configured"}),
			build(t, "circle1", "1", "all", fake{control: "Depends: circle2\n"}),
			build(t, "circle2", "1", "all", fake{control: "Depends: circle1\n"}),
		}
		if out, err := install(t, root, debs...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if v := versionOf(t, root, "z"); v != "ii 2:1-1" {
			t.Errorf("z is %q", v)
		}
		if auto := read(t, root, "var/lib/apt/extended_states"); strings.Contains(auto, "Package: m\n") {
			t.Errorf("a locked package is marked as automatically installed:\n%s", auto)
		}
	})
}

func TestInstallChanges(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		conf := func(s string) fake {
			return fake{files: map[string]string{"etc/edited.conf": s, "etc/plain.conf": s}}
		}
		if out, err := install(t, root,
			build(t, "up", "1:1", "all", conf("one\n")),
			build(t, "down", "9", "all", fake{}),
			build(t, "held", "1", "all", fake{}),
			build(t, "essential", "1", "all", fake{control: "Essential: yes\n"}),
			build(t, "other", "1", "all", fake{})); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/edited.conf"), []byte("mine\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		hold := exec.Command("dpkg", "--root="+root, "--set-selections")
		hold.Stdin = strings.NewReader("held hold\n")
		if out, err := hold.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if out, err := install(t, root,
			build(t, "up", "2:0.5", "all", conf("two\n")),
			build(t, "down", "8~rc1+b1", "all", fake{}),
			build(t, "held", "2", "all", fake{}),
			build(t, "essential", "2", "all", fake{control: "Essential: yes\n"})); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for name, want := range map[string]string{"up": "ii 2:0.5", "down": "ii 8~rc1+b1", "held": "hi 2", "essential": "ii 2", "other": "ii 1"} {
			if got := versionOf(t, root, name); got != want {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
		for name, want := range map[string]string{"etc/edited.conf": "mine\n", "etc/plain.conf": "two\n"} {
			if got := read(t, root, name); got != want {
				t.Errorf("%s has %q, want %q", name, got, want)
			}
		}
	})
}

func TestInstallForeign(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		a := foreign()
		same := fake{control: "Multi-Arch: same\n"}
		s := openRoot(t, root)
		if out, err := install(t, root, build(t, "lib", "1", a, same), build(t, "lib", "1", s.ID().Arch, same)); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := versionOf(t, root, "lib:"+a); got != "ii 1" {
			t.Errorf("lib:%s is %q", a, got)
		}
	})
}

// TestInstallRefuses has what must fail before anything changes.
func TestInstallRefuses(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		if _, err := install(t, root, build(t, "old", "1", "all", fake{})); err != nil {
			t.Fatal(err)
		}
		status := read(t, root, statusFile)
		for _, tt := range []struct {
			name string
			debs []string
			want string
		}{
			{"removal", []string{build(t, "new", "1", "all", fake{control: "Conflicts: old\nReplaces: old\n"})}, "old"},
			{"dependency", []string{build(t, "needy", "1", "all", fake{control: "Depends: nowhere (>= 3)\n"})}, "nowhere"},
			{"twice", []string{build(t, "x", "1", "all", fake{}), build(t, "x", "2", "all", fake{})}, "twice"},
		} {
			out, err := install(t, root, tt.debs...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: error %v, want one with %q\n%s", tt.name, err, tt.want, out)
			}
			if read(t, root, statusFile) != status {
				t.Errorf("%s: the root has changed", tt.name)
			}
		}
	})
}

func TestInstallFailing(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		broken := fake{postinst: "test -e /mended || { echo the very cause >&2; exit 3; }"}
		debs := []string{build(t, "broken", "1", "all", broken), build(t, "fine", "1", "all", fake{})}
		_, err := install(t, root, debs...)
		if err == nil || !strings.Contains(err.Error(), "the very cause") {
			t.Fatalf("error %v, want one with the cause", err)
		}
		if err := os.WriteFile(filepath.Join(root, "mended"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := install(t, root, debs...); err != nil {
			t.Fatalf("after it was mended: %v\n%s", err, out)
		}
	})
}

// TestInstallAfterKill kills the package manager half way. What is left must
// not stop the next run.
func TestInstallAfterKill(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		kill := fake{postinst: "test -e /again || { : >/again; kill -9 $PPID; sleep 1; exit 1; }"}
		debs := []string{build(t, "a", "1", "all", kill), build(t, "b", "1", "all", fake{control: "Depends: a\n"}), build(t, "c", "1", "all", fake{})}
		if _, err := install(t, root, debs...); err == nil {
			t.Fatal("no error from a killed dpkg")
		}
		// A killed samebits leaves these behind.
		if err := os.WriteFile(filepath.Join(root, "usr/sbin/policy-rc.d"), []byte(servicePolicy), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(filepath.Join(root, "var/lib/dpkg", chroot.StagePrefix+"1"), 0o700); err != nil {
			t.Fatal(err)
		}
		if out, err := install(t, root, debs...); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

// TestInstallKeepsPolicy leaves an administrator's file in place.
func TestInstallKeepsPolicy(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(root, "usr/sbin/policy-rc.d")
	if err := os.WriteFile(policy, []byte("mine"), 0o755); err != nil {
		t.Fatal(err)
	}
	restore, err := denyServices(root)
	if err != nil {
		t.Fatal(err)
	}
	restore()
	if got := read(t, root, "usr/sbin/policy-rc.d"); got != "mine" {
		t.Errorf("the policy has become %q", got)
	}
}

// TestWithin refuses links by which a root would have us write to the host.
func TestWithin(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("/etc", filepath.Join(root, "var")); err != nil {
		t.Fatal(err)
	}
	if got, err := chroot.Within(root, "var"); err == nil {
		t.Errorf("a link out of the root leads to %s", got)
	}
	if _, err := stageJobs(root, nil); err == nil {
		t.Error("a stage outside of the root")
	}
}

// TestInstallSandbox looks at what the scripts of packages find.
func TestInstallSandbox(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		script := `test -c /dev/null; test -r /proc/self/status; echo x >/dev/null; test ! -e /dev/mem
if (: </dev/tty) 2>/dev/null; then exit 1; fi
test "$DEBIAN_FRONTEND" = noninteractive
test -z "$SAMEBITS_LEAK"
if read answer; then exit 1; fi
/usr/sbin/policy-rc.d x start && exit 1; test $? = 101 || true`
		t.Setenv("SAMEBITS_LEAK", "1")
		if out, err := install(t, root, build(t, "curious", "1", "all", fake{postinst: script})); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	})
}

func TestInstallAptConfiguration(t *testing.T) {
	root := minimalRoot(t)
	for name, text := range map[string]string{
		"etc/apt/apt.conf.d/99test":       "APT::Default-Release \"sarge\";\nAPT::Get::AutomaticRemove \"true\";\n",
		"etc/apt/preferences.d/never":     "Package: *\nPin: version *\nPin-Priority: -1\n",
		"etc/apt/sources.list.d/bad.list": "deb http://mirror.example/nowhere sarge main\n",
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := install(t, root, build(t, "x", "1", "all", fake{})); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestInstallDryRun(t *testing.T) {
	bothManagers(t, func(t *testing.T, root string) {
		if _, err := install(t, root, build(t, "x", "2", "all", fake{}), build(t, "y", "1", "all", fake{})); err != nil {
			t.Fatal(err)
		}
		status, arch := read(t, root, statusFile), read(t, root, "var/lib/dpkg/arch")
		s := openRoot(t, root)
		a := foreign()
		lock, blobs := lockFiles(t, s, build(t, "x", "1", "all", fake{}), build(t, "y", "3", "all", fake{}), build(t, "z", "1", a, fake{}))
		var out bytes.Buffer
		err := s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: lock.Entries, Blobs: blobs, Output: &out, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		want := "downgrade x 2 -> 1 all\nupgrade y 1 -> 3 all\ninstall z 1 " + a + "\nadd the architecture " + a + "\n"
		if out.String() != want {
			t.Errorf("printed\n%swant\n%s", out.String(), want)
		}
		if read(t, root, statusFile) != status || read(t, root, "var/lib/dpkg/arch") != arch {
			t.Error("the root has changed")
		}
		checkNothingLeft(t, root)
	})
}

// TestPending needs no root: nothing is run.
func TestPending(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	status := "Package: a\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2.0+b1\n\n" +
		"Package: half\nStatus: install ok half-configured\nArchitecture: all\nVersion: 1\n"
	if err := os.WriteFile(filepath.Join(root, statusFile), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	s := openRoot(t, root)
	entry := func(path string) lockfile.Entry {
		return lockfile.Entry{Path: path, Digest: lockfile.DigestOf([]byte(path))}
	}
	lock := &lockfile.Lock{Entries: []lockfile.Entry{
		entry("pool/a_2.0+b1_amd64.deb"), entry("pool/a_1:2.0+b1_amd64.deb"), entry("pool/a_2.0_amd64.deb"),
		entry("pool/a_2.0+b1_i386.deb"), entry("half_1_all.deb"), entry("vendor.deb"),
	}}
	got, err := s.Pending(t.Context(), lock, files{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range got {
		paths = append(paths, e.Path)
	}
	want := []string{"pool/a_2.0_amd64.deb", "pool/a_2.0+b1_i386.deb", "half_1_all.deb", "vendor.deb"}
	if !slices.Equal(paths, want) {
		t.Errorf("pending are %v, want %v", paths, want)
	}
	for _, system := range []lockfile.System{
		{Distro: "ubuntu", Version: s.ID().Version, Arch: s.ID().Arch},
		{Distro: s.ID().Distro, Version: "11", Arch: s.ID().Arch},
		{Distro: s.ID().Distro, Version: s.ID().Version, Arch: "riscv64"},
	} {
		lock.System = system
		var mismatch *distro.MismatchError
		if _, err := s.Pending(context.Background(), lock, nil); !errors.As(err, &mismatch) {
			t.Errorf("a lock of %s: %v, want a mismatch", system, err)
		}
		if err := s.Install(context.Background(), distro.Transaction{Lock: lock, Entries: lock.Entries}); !errors.As(err, &mismatch) {
			t.Errorf("install a lock of %s: %v, want a mismatch", system, err)
		}
	}
}
