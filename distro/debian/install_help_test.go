package debian

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/lockfile"
)

// needTools skips a test that needs root, programs or minutes.
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

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// baseRoot is a minimal Debian that has apt, unpacked. It is made once, by
// mmdebstrap from the archive that this machine uses, and no test writes to
// it. Where the variable SAMEBITS_TEST_ROOTS names a directory, it is kept
// there.
var baseRoot = sync.OnceValues(func() (string, error) {
	dir := os.Getenv("SAMEBITS_TEST_ROOTS")
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "samebits-test-root-"); err != nil {
			return "", err
		}
		ownRoots = dir
	}
	base := filepath.Join(dir, "minbase")
	if _, err := os.Stat(base); err == nil {
		return base, nil
	}
	args := []string{"--variant=minbase", "bookworm", base + ".new"}
	sources, _ := filepath.Glob("/etc/apt/sources.list.d/*.sources")
	if _, err := os.Stat("/etc/apt/sources.list"); err == nil {
		sources = append(sources, "/etc/apt/sources.list")
	}
	out, err := exec.Command("mmdebstrap", append(args, sources...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("mmdebstrap: %w\n%s", err, out)
	}
	return base, os.Rename(base+".new", base)
})

// ownRoots is the directory of a base root that only this run uses.
var ownRoots string

// TestMain removes the root that was made for the run.
func TestMain(m *testing.M) {
	sandbox.Init()
	code := m.Run()
	if ownRoots != "" {
		os.RemoveAll(ownRoots)
	}
	os.Exit(code)
}

// minimalRoot gives a root of the test's own: a layer over the base root.
func minimalRoot(t *testing.T) string {
	t.Helper()
	needTools(t, "mmdebstrap", "chroot", "dpkg-deb")
	base, err := baseRoot()
	if err != nil {
		t.Skipf("no base root can be made: %v", err)
	}
	dir := t.TempDir()
	layer := map[string]string{}
	for _, name := range []string{"upper", "work", "root"} {
		layer[name] = filepath.Join(dir, name)
		if err := os.Mkdir(layer[name], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", base, layer["upper"], layer["work"])
	if err := unix.Mount("overlay", layer["root"], "overlay", 0, options); err != nil {
		t.Skipf("needs overlayfs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(layer["root"], unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// What dpkg writes need not survive a power cut here.
	if err := os.WriteFile(filepath.Join(layer["root"], "etc/dpkg/dpkg.cfg.d/test"), []byte("force-unsafe-io\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return layer["root"]
}

// withoutApt takes apt out of a root.
func withoutApt(t *testing.T, root string) string {
	t.Helper()
	command(t, "chroot", root, "dpkg", "--purge", "--force-all", "apt", "libapt-pkg6.0")
	return root
}

// files is a [distro.Blobs] of files by their digest.
type files map[lockfile.Digest]string

func (f files) Path(_ context.Context, d lockfile.Digest) (string, error) {
	if p, ok := f[d]; ok {
		return p, nil
	}
	return "", fs.ErrNotExist
}

// lockFiles makes a lock of files, as a lock of the system.
func lockFiles(t *testing.T, s *System, debs ...string) (*lockfile.Lock, files) {
	t.Helper()
	lock, blobs := &lockfile.Lock{System: s.ID()}, files{}
	dir := t.TempDir()
	for _, p := range debs {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		d := lockfile.DigestOf(b)
		// A cache names its files by their digest.
		blob := filepath.Join(dir, d.String())
		if err := os.WriteFile(blob, b, 0o444); err != nil {
			t.Fatal(err)
		}
		blobs[d] = blob
		name := strings.ReplaceAll(filepath.Base(p), "%3a", ":")
		if i := strings.Index(name, ":"); i > 0 { // archives leave the epoch out
			name = name[:strings.Index(name, "_")+1] + name[i+1:]
		}
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: "pool/" + name})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock, blobs
}

func openRoot(t *testing.T, root string) *System {
	t.Helper()
	s, err := open(root, &distro.Events{
		Warn: func(m string) { t.Log("warning: " + m) },
		Step: func(m string) { t.Log(m) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// install brings a root to a lock of the files and returns what was printed.
func install(t *testing.T, root string, debs ...string) (string, error) {
	t.Helper()
	s := openRoot(t, root)
	lock, blobs := lockFiles(t, s, debs...)
	pending, err := s.Pending(t.Context(), lock, blobs)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = s.Install(t.Context(), distro.Transaction{Lock: lock, Entries: pending, Blobs: blobs, Output: &out})
	checkNothingLeft(t, root)
	if err != nil {
		return out.String(), err
	}
	if pending, err = s.Pending(t.Context(), lock, blobs); err != nil || len(pending) > 0 {
		t.Errorf("after the installation, %v are pending (%v)\n%s", pending, err, out.String())
	}
	return out.String(), nil
}

// checkNothingLeft looks for traces of an installation.
func checkNothingLeft(t *testing.T, root string) {
	t.Helper()
	for _, pattern := range []string{"var/lib/dpkg/" + chroot.StagePrefix + "*", "usr/sbin/policy-rc.d", "dev/shm/*"} {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 {
			t.Errorf("left over: %v", found)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), root+"/") {
		t.Errorf("mounts are left over in %s (%v)", root, err)
	}
}

// A synthetic package.
type fake struct {
	control  string            // further lines
	files    map[string]string // content by path; those below etc are conffiles
	postinst string
}

// build makes a package and returns the path of its file.
func build(t *testing.T, name, version, arch string, f fake) string {
	t.Helper()
	tree := t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		p := filepath.Join(tree, path)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	var conffiles strings.Builder
	for p, text := range f.files {
		write(p, text, 0o644)
		if strings.HasPrefix(p, "etc/") {
			fmt.Fprintf(&conffiles, "/%s\n", p)
		}
	}
	write("DEBIAN/control", fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: T <t@example.invalid>\n%sDescription: test\n", name, version, arch, f.control), 0o644)
	if conffiles.Len() > 0 {
		write("DEBIAN/conffiles", conffiles.String(), 0o644)
	}
	if f.postinst != "" {
		write("DEBIAN/postinst", "#!/bin/sh\nset -e\n"+f.postinst+"\n", 0o755)
	}
	out := filepath.Join(t.TempDir(), fmt.Sprintf("%s_%s_%s.deb", name, strings.ReplaceAll(version, ":", "%3a"), arch))
	command(t, "dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, out)
	return out
}

// versionOf returns what dpkg itself says of a package.
func versionOf(t *testing.T, root, name string) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "--root="+root, "-W", "-f=${db:Status-Abbrev}${Version}", name).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// read returns a file of a root, or "" where there is none.
func read(t *testing.T, root, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// foreign is an architecture other than this machine's.
func foreign() string {
	if runtime.GOARCH == "arm64" {
		return "armhf"
	}
	return "i386"
}
