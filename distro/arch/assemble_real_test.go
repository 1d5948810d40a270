package arch

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/imagebuild"
	todir "github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

var epoch = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

func needRootAnd(t testing.TB, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root is needed to give files to others")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("this machine has no ", tool)
		}
	}
}

// buildImage assembles a lock and normalises what comes of it.
func buildImage(t testing.TB, a distro.Assembler, lock *lockfile.Lock, blobs distro.Blobs, more string) (*imagebuild.Image, error) {
	t.Helper()
	needRootAnd(t)
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	s.Epoch.Time = epoch
	img, err := imagebuild.Build(t.Context(), imagebuild.Plan{
		Spec: s, Lock: lock, Assembler: a, Blobs: blobs, Temp: t.TempDir(),
		Events: &distro.Events{Warn: func(m string) { t.Log(m) }},
	})
	if err != nil && strings.Contains(err.Error(), "forbids user namespaces") {
		t.Skip(err)
	}
	if err == nil {
		t.Cleanup(func() { img.Close() })
	}
	return img, err
}

func mustBuild(t testing.TB, a distro.Assembler, lock *lockfile.Lock, blobs distro.Blobs, more string) *imagebuild.Image {
	t.Helper()
	img, err := buildImage(t, a, lock, blobs, more)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func manifest(t testing.TB, tr *tree.Tree) string {
	t.Helper()
	var out bytes.Buffer
	if err := tree.WriteManifest(&out, tr); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// compareTrees fails the test where two manifests differ.
func compareTrees(t testing.TB, got, want *tree.Tree) {
	t.Helper()
	lines := func(tr *tree.Tree) (list []string, set map[string]bool) {
		list, set = strings.Split(manifest(t, tr), "\n"), map[string]bool{}
		for _, l := range list {
			set[l] = true
		}
		return list, set
	}
	g, inG := lines(got)
	w, inW := lines(want)
	told := 0
	for _, side := range []struct {
		name  string
		lines []string
		other map[string]bool
	}{{"ours only:    ", g, inW}, {"pacman's only:", w, inG}} {
		for _, line := range side.lines {
			if !side.other[line] {
				if told++; told < 60 {
					t.Errorf("%s %s", side.name, line)
				}
			}
		}
	}
	t.Logf("%d paths, %d differences", got.Len(), told)
}

// lockFiles makes a lock of package files, in reverse: the order of a lock
// means nothing.
func lockFiles(t testing.TB, arch string, paths ...string) (*lockfile.Lock, files) {
	t.Helper()
	lock, blobs := &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: arch}}, files{}
	for _, name := range slices.Backward(paths) {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := lockfile.DigestOf(data)
		blobs[d] = name
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: "core/os/" + arch + "/" + filepath.Base(name)})
	}
	return lock, blobs
}

// plainRoot makes what pacstrap makes before it calls pacman.
func plainRoot(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	old := unix.Umask(0o022)
	defer unix.Umask(old)
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{
		{"", 0o755}, {"dev", 0o755}, {"etc", 0o755}, {"run", 0o755}, {"tmp", 0o777 | fs.ModeSticky}, {"proc", 0o555}, {"sys", 0o555}, {"var", 0o755},
		{"var/cache", 0o755}, {"var/log", 0o755}, {"var/lib", 0o755}, {"var/lib/pacman", 0o755},
	} {
		name := filepath.Join(root, d.name)
		if err := errors.Join(os.Mkdir(name, 0o755), os.Chmod(name, d.mode)); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// byPacman has this machine's pacman install package files into an empty root,
// out of a repository, so that it checks their SHA-256.
func byPacman(t testing.TB, scripts bool, paths ...string) string {
	t.Helper()
	needRootAnd(t, "pacman", "repo-add")
	root, work := plainRoot(t), t.TempDir()
	repository := filepath.Join(work, "repository")
	args := []string{"-q", filepath.Join(repository, "here.db.tar.gz")}
	names := make([]string, len(paths))
	if err := os.Mkdir(repository, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range paths {
		to := filepath.Join(repository, filepath.Base(name))
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		writeTo(t, to, data)
		args = append(args, to)
		p, ok := (Distro{}).Describe(name)
		if !ok {
			t.Fatal(name)
		}
		names[i] = p.Name
	}
	tool(t, "repo-add", args...)
	config := filepath.Join(work, "pacman.conf")
	writeTo(t, config, fmt.Appendf(nil, "[options]\nArchitecture = x86_64\nSigLevel = Never\n[here]\nServer = file://%s\n", repository))
	null := filepath.Join(root, "dev/null")
	if err := unix.Mknod(null, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	base := []string{
		"--root", root, "--dbpath", filepath.Join(root, "var/lib/pacman"), "--cachedir", repository, "--logfile", filepath.Join(root, "var/log/pacman.log"),
		"--gpgdir", work, "--hookdir", filepath.Join(root, "usr/share/libalpm/hooks"), "--hookdir", filepath.Join(root, "etc/pacman.d/hooks"),
		"--config", config, "--noconfirm",
	}
	slices.Sort(names)
	sync := append([]string{"-Sy", "--noprogressbar"}, names...)
	if !scripts {
		sync = append(sync, "--noscriptlet", "--hookdir", work)
		base = slices.DeleteFunc(base, func(s string) bool { return s == "--hookdir" || strings.HasSuffix(s, "/hooks") })
	}
	tool(t, "pacman", append(slices.Clone(base), sync...)...)
	s, err := open(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	lock, _ := lockFiles(t, "x86_64", paths...)
	var jobs []*job
	for _, name := range names {
		jobs = append(jobs, &job{Desc: jobDesc(name, "1-1")})
	}
	deps, err := s.needed(t.Context(), distro.Transaction{Lock: lock}, jobs)
	if err != nil {
		t.Fatal(err)
	}
	if len(deps) > 0 {
		tool(t, "pacman", append(append(base, "-D", "--asdeps"), deps...)...)
	}
	if err := errors.Join(os.Remove(null), os.RemoveAll(filepath.Join(root, "var/lib/pacman/sync"))); err != nil {
		t.Fatal(err)
	}
	return root
}

func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(slices.Clone(environment), "LANG=C.UTF-8", "TZ=UTC", fmt.Sprint("SOURCE_DATE_EPOCH=", epoch.Unix()))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func packages2017(t testing.TB) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dataDir(t, "2017-12-x86_64"), "pkg", "*.pkg.tar.xz"))
	if err != nil || len(found) != 70 {
		t.Fatal(found, err)
	}
	return found
}

// TestAssembleIsWhatPacmanMakes holds the root that is assembled of 70 real
// packages against the one that the real pacman makes of them: every path,
// type, mode, owner, time, link, content and attribute, the package database
// and all that scripts and hooks do included.
func TestAssembleIsWhatPacmanMakes(t *testing.T) {
	paths := packages2017(t)
	lock, blobs := lockFiles(t, "x86_64", paths...)
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprint("scripts ", scripts), func(t *testing.T) {
			more := "no-scripts: true\n"
			if scripts {
				more = ""
			}
			from := byPacman(t, scripts, paths...)
			got := mustBuild(t, Distro{}, lock, blobs, more)
			want := mustBuild(t, distrotest.Copier{Assembler: Distro{}, From: from}, lock, blobs, more)
			if !scripts {
				// pacman cannot do without ldconfig and hooks; ours can.
				got.Tree, want.Tree = withoutHooks(got.Tree), withoutHooks(want.Tree)
			}
			compareTrees(t, got.Tree, want.Tree)
			if scripts {
				checkWithPacman(t, got.Tree, from)
			}
		})
	}
}

// withoutHooks leaves out what ldconfig and hooks make or take away.
func withoutHooks(tr *tree.Tree) *tree.Tree {
	return tree.Filter(tr, func(n tree.Node) bool {
		for _, pattern := range []string{"etc/ca-certificates/extracted", "etc/ssl/certs", "etc/ld.so.cache", "var/cache/ldconfig", "usr/lib/lib*.so.*"} {
			if imagebuild.Match(pattern, n.Path()) {
				return false
			}
		}
		return true
	})
}

// checkWithPacman has pacman look at a root for what it misses, as compared
// with one of its own, and go on from there.
func checkWithPacman(t *testing.T, got *tree.Tree, from string) {
	root := filepath.Join(t.TempDir(), "root")
	if err := todir.Write(t.Context(), root, got, todir.Options{}); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "pacman.conf")
	writeTo(t, config, []byte("[options]\nArchitecture = x86_64\nSigLevel = Never\nLocalFileSigLevel = Never\n"))
	check := func(root string) string {
		cmd := exec.Command("pacman", "--root", root, "--dbpath", filepath.Join(root, "var/lib/pacman"), "--config", config, "-Qkk")
		cmd.Env = environment
		out, _ := cmd.CombinedOutput() // it fails where files are missing, as some are in the data
		// The dates in etc/shadow, a backup file, are the epoch's in ours.
		return regexp.MustCompile(`(?m)^backup file: filesystem: /etc/shadow .*\n`).ReplaceAllString(strings.ReplaceAll(string(out), root, ""), "")
	}
	if g, w := check(root), check(from); g != w {
		t.Errorf("pacman -Qkk differs:\n%s\nwant\n%s", g, w)
	}
	installMore(t, root)
}

// installMore has the pacman of a root install another package and what that
// needs, from a repository, and then a newer one and a file.
func installMore(t *testing.T, root string) {
	if err := unix.Mknod(filepath.Join(root, "dev/null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	writeTo(t, filepath.Join(root, "pacman.conf"), []byte("[options]\nArchitecture = x86_64\nSigLevel = Never\nLocalFileSigLevel = Never\n[more]\nServer = file:///repo\n"))
	offer := func(name, version string, fields ...string) {
		file := fmt.Sprintf("%s-%s-any.pkg.tar.gz", name, version)
		writeTo(t, filepath.Join(root, "repo", file), pkg(t, name, version, fields...).data)
		tool(t, "repo-add", "-q", filepath.Join(root, "repo/more.db.tar.gz"), filepath.Join(root, "repo", file))
	}
	pacman := func(args ...string) string {
		return tool(t, "chroot", append([]string{root, "/usr/bin/pacman", "--config", "/pacman.conf", "--noconfirm"}, args...)...)
	}
	offer("more", "1-1", "DEPENDS=bash", "DEPENDS=less-of-it>=2")
	offer("less-of-it", "2-1")
	pacman("-Sy", "more")
	if out := pacman("-Qk", "more", "less-of-it"); strings.Count(out, "0 missing files") != 2 {
		t.Errorf("pacman -S in the root made\n%s", out)
	}
	offer("more", "2-1", "DEPENDS=bash")
	if out := pacman("-Syyu"); !strings.Contains(out, "more-2-1") {
		t.Errorf("pacman -Syyu upgrades\n%s", out)
	}
	writeTo(t, filepath.Join(root, "file-1-1-any.pkg.tar.gz"), pkg(t, "file", "1-1").data)
	pacman("-U", "/file-1-1-any.pkg.tar.gz")
	for _, want := range []string{"more 2-1", "less-of-it 2-1", "file 1-1"} {
		name, _, _ := strings.Cut(want, " ")
		if out := pacman("-Q", name); strings.TrimSpace(out) != want {
			t.Errorf("pacman in the root says %q, not %q", out, want)
		}
	}
	pacman("-Rs", "less-of-it")
	pacman("-Dk") // fails where the database is not as it should be
}

// BenchmarkAssemble makes a root of 70 packages, without scripts.
func BenchmarkAssemble(b *testing.B) {
	lock, blobs := lockFiles(b, "x86_64", packages2017(b)...)
	for b.Loop() {
		if _, err := assembleLock(b, nil, lock, blobs); err != nil {
			b.Fatal(err)
		}
	}
}
