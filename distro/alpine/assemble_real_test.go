package alpine

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild"
	todir "github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/spec"
	files "github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

func TestMain(m *testing.M) {
	sandbox.Init() // the packages' scripts run in a sandbox
	os.Exit(m.Run())
}

var epoch = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)

// buildImage assembles a lock and normalises what comes of it.
func buildImage(t testing.TB, a distro.Assembler, lock *lockfile.Lock, blobs distro.Blobs, more string) (*imagebuild.Image, error) {
	t.Helper()
	needRoot(t)
	s, err := spec.Parse("image.yaml", []byte("version: 1\n"+more))
	if err != nil {
		t.Fatal(err)
	}
	s.Epoch.Time = epoch
	img, err := imagebuild.Build(t.Context(), imagebuild.Plan{Spec: s, Lock: lock, Assembler: a, Blobs: blobs, Temp: t.TempDir()})
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

// A copier assembles by copying a root that the real apk has made, so that it
// is normalised by the same rules.
type copier struct {
	Distro
	from string
}

func (c copier) Assemble(_ context.Context, a distro.Assembly) error {
	seen := map[uint64]string{}
	return filepath.WalkDir(c.from, func(path string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(strings.TrimPrefix(path, c.from), "/")
		if err != nil || name == "" || name == "etc/apk/repositories" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		f := distro.File{Path: name, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Size: st.Size, ModTime: info.ModTime(), Xattrs: xattrsAt(path)}
		var content []byte
		switch info.Mode().Type() {
		case 0:
			f.Type = distro.Regular
			if first, ok := seen[st.Ino]; ok {
				f.Type, f.Link = distro.Hard, first
			}
			seen[st.Ino] = name
			content, err = os.ReadFile(path)
		case fs.ModeDir:
			f.Type = distro.Directory
		case fs.ModeSymlink:
			f.Type = distro.Symlink
			f.Link, err = os.Readlink(path)
		case fs.ModeDevice | fs.ModeCharDevice:
			f.Type, f.Major, f.Minor = distro.CharDev, unix.Major(st.Rdev), unix.Minor(st.Rdev)
		default:
			err = errors.New("unexpected type of " + path)
		}
		if err != nil {
			return err
		}
		return a.Root.Put(f, bytes.NewReader(content))
	})
}

func xattrsAt(path string) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"security.capability", "user.test"} {
		value := make([]byte, 256)
		if n, err := unix.Lgetxattr(path, name, value); err == nil {
			out[name] = string(value[:n])
		}
	}
	return out
}

func manifest(t testing.TB, tr *files.Tree) string {
	t.Helper()
	var out bytes.Buffer
	if err := files.WriteManifest(&out, tr); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// compareTrees fails the test where two manifests differ.
func compareTrees(t testing.TB, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for _, line := range g {
		if !slices.Contains(w, line) {
			t.Errorf("ours only:  %s", line)
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) {
			t.Errorf("apk's only: %s", line)
		}
	}
}

// ofTree reads a file of a tree.
func ofTree(t testing.TB, tr *files.Tree, name string) string {
	t.Helper()
	n, ok := tr.Lookup(name)
	if !ok {
		t.Fatalf("there is no /%s", name)
	}
	var b strings.Builder
	if err := n.CopyTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAssembleIsWhatApkMakes holds the root that is assembled of the ISO's 47
// packages against the one that the real apk makes of them: every path, type,
// mode, owner, time, link, content and attribute, the package database and all
// that the scripts do included.
func TestAssembleIsWhatApkMakes(t *testing.T) {
	from, lock, blobs := isoLock(t)
	got := mustBuild(t, Distro{}, lock, blobs, "")
	want := mustBuild(t, copier{from: from}, lock, blobs, "")
	compareTrees(t, manifest(t, got.Tree), manifest(t, want.Tree))
	for _, name := range []string{"lib/apk/db/installed", "lib/apk/db/triggers", "lib/apk/db/scripts.tar", "etc/apk/world", "etc/passwd"} {
		if g, w := ofTree(t, got.Tree, name), ofTree(t, want.Tree, name); g != w {
			t.Errorf("/%s differs: %s", name, firstDifference(g, w))
		}
	}

	// apk finds nothing amiss, and goes on from there.
	root := filepath.Join(t.TempDir(), "root")
	if err := todir.Write(t.Context(), root, got.Tree, todir.Options{}); err != nil {
		t.Fatal(err)
	}
	if out := chroot(t, root, "/sbin/apk", "audit", "--system"); strings.TrimSpace(out) != "" {
		t.Errorf("apk audit:\n%s", out)
	}
	if out := chroot(t, root, "/sbin/apk", "fix", "--simulate", "--no-network"); strings.Contains(out, "nstalling") || strings.Contains(out, "urging") {
		t.Errorf("apk would change what is installed:\n%s", out)
	}
	if out, err := exec.Command("cp", "-r", data(t, "iso-3.19.1"), filepath.Join(root, "iso")).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	chroot(t, root, "/sbin/apk", "add", "--no-network", "-X", "/iso", "doas", "wget")
	chroot(t, root, "/usr/bin/wget", "--version")
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "line " + g[i] + ", want " + w[i]
		}
	}
	return "one is longer"
}
