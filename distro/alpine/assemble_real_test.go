package alpine

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
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

// copied has a root that the real apk has made be normalised by the same rules.
func copied(from string) distro.Assembler {
	return distrotest.Copier{Assembler: Distro{}, From: from, Without: []string{"etc/apk/repositories"}}
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
	want := mustBuild(t, copied(from), lock, blobs, "")
	compareTrees(t, manifest(t, got.Tree), manifest(t, want.Tree))
	compareFiles(t, got.Tree, from)

	// apk finds nothing amiss, and goes on from there.
	root := filepath.Join(t.TempDir(), "root")
	if err := todir.Write(t.Context(), root, got.Tree, todir.Options{}); err != nil {
		t.Fatal(err)
	}
	if out := runIn(t, root, "/sbin/apk", "audit", "--system"); strings.TrimSpace(out) != "" {
		t.Errorf("apk audit:\n%s", out)
	}
	if out := runIn(t, root, "/sbin/apk", "fix", "--simulate", "--no-network"); strings.Contains(out, "nstalling") || strings.Contains(out, "urging") {
		t.Errorf("apk would change what is installed:\n%s", out)
	}
	if out, err := exec.Command("cp", "-r", data(t, "iso-3.19.1"), filepath.Join(root, "iso")).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	runIn(t, root, "/sbin/apk", "add", "--no-network", "-X", "/iso", "doas", "wget")
	runIn(t, root, "/usr/bin/wget", "--version")
}

// compareFiles holds what apk keeps of its own against the very bytes that it
// wrote, which no rule has touched.
func compareFiles(t testing.TB, got *files.Tree, from string) {
	t.Helper()
	for _, name := range []string{installedFile, "lib/apk/db/triggers", scriptsFile, worldFile, "etc/apk/arch", "etc/passwd"} {
		if g, w := ofTree(t, got, name), read(t, filepath.Join(from, name)); g != w {
			t.Errorf("/%s differs: %s", name, firstDifference(g, w))
		}
	}
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

// realSets are repositories of real releases of which all packages are
// installed that get along with each other, twice: once to learn what apk
// would have to be asked for, and once by asking for that.
var realSets = []struct{ name, repository, arch, without, more string }{
	{name: "minimal", repository: "iso-3.19.1", arch: "x86_64", without: "*", more: "alpine-base"},
	{name: "all of the ISO", repository: "iso-3.19.1", arch: "x86_64", without: "vlan network-extras"},
	{name: "a foreign architecture, by the apk of years later", repository: "rpi-3.13.4-aarch64/apks", arch: "aarch64", without: "vlan network-extras"},
}

// TestAssembleRealSets compares as TestAssembleIsWhatApkMakes does, with more
// packages, with and without scripts.
func TestAssembleRealSets(t *testing.T) {
	needRoot(t)
	for _, set := range realSets {
		for _, scripts := range []bool{true, false} {
			name := set.name
			if !scripts {
				name += " without scripts"
			} else if set.arch != "x86_64" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				compareWithApk(t, data(t, set.repository), set.arch, set.without, set.more, scripts)
			})
		}
	}
}

func compareWithApk(t *testing.T, repository, arch, without, more string, scripts bool) {
	tools := minirootfs(t, "3.19.4-x86_64")
	if err := os.CopyFS(filepath.Join(tools, "repository"), os.DirFS(repository)); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(tools, "target")
	add := func(names []string) {
		if err := errors.Join(os.RemoveAll(from), os.Mkdir(from, 0o755)); err != nil {
			t.Fatal(err)
		}
		args := []string{"/sbin/apk", "--allow-untrusted", "--root", "/target", "--initdb", "--arch", arch, "--keys-dir", "/usr/share/apk/keys/" + arch,
			"--no-network", "--no-cache", "-X", "/repository"}
		if !scripts {
			args = append(args, "--no-scripts")
		}
		runIn(t, tools, append(append(args, "add"), names...)...)
	}
	files, _ := filepath.Glob(filepath.Join(repository, arch, "*.apk"))
	names := strings.Fields(more)
	for _, f := range files {
		name, _, _, ok := splitName(filepath.Base(f))
		if ok && without != "*" && !slices.Contains(strings.Fields(without), name) {
			names = append(names, name)
		}
	}
	add(names)
	var locked []string
	for _, p := range installedAll(t, from) {
		locked = append(locked, filepath.Join(repository, arch, p.Name+"-"+p.Version+".apk"))
	}
	slices.Reverse(locked) // the order of a lock means nothing
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3", Arch: arch}, locked...)
	option := "no-scripts: true"
	if scripts {
		option = ""
	}
	got := mustBuild(t, Distro{}, lock, blobs, option)
	add(strings.Fields(ofTree(t, got.Tree, worldFile)))
	want := mustBuild(t, copied(from), lock, blobs, option)
	compareTrees(t, manifest(t, got.Tree), manifest(t, want.Tree))
	compareFiles(t, got.Tree, from)
	t.Logf("%d packages, %d paths", len(locked), got.Tree.Len())
}

// odd are packages that do what real ones seldom do.
var odd = []made{
	{name: "odd-a", info: "origin = odd-a\ndepend = /bin/sh\ndepend = alpine-baselayout\ntriggers = /srv/* /etc\n",
		scripts: map[string]string{
			"pre-install":  "#!/bin/sh\nadduser -S -D -H -h /srv odd\nmkdir -p /srv/before\nchmod 700 /srv/before\necho script >/etc/later\necho same >/etc/same\necho $# $* $PATH >/srv/args\npwd >>/srv/args; umask >>/srv/args",
			"post-install": "#!/bin/sh\nchown odd /srv/mine; chmod 711 /srv/mine; echo changed >/etc/changed; ln -s mine /srv/link; echo x >/srv/by-script",
			"trigger":      "#!/bin/sh\nfor d; do echo $d; done | sort >/srv/triggered",
		},
		members: []tar.Header{
			folder("srv"), owner(folder("srv/mine"), "odd", 0o755), owner(folder("srv/shared"), "", 0o2775), folder("srv/before"),
			owner(plain("srv/mine/file", "a"), "odd", 0o640), plain("srv/shared/both", "a"), plain("srv/shared/strong", "a"), plain("srv/shared/weak", "a"),
			folder("etc"), plain("etc/changed", "a"), plain("etc/untouched", "a"),
			attributed(plain("srv/capable", "x")), {Name: "srv/hard", Linkname: "srv/mine/file", Typeflag: tar.TypeLink, Mode: 0o640, Uname: "odd", Gname: "odd", Uid: 55, Gid: 55, ModTime: time.Unix(1e9, 0)},
			linked("srv/dangling", "/nowhere"), {Name: "srv/pipe", Typeflag: tar.TypeFifo, Mode: 0o622},
			{Name: "srv/device", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5, Mode: 0o606},
		}},
	{name: "odd-b", info: "origin = odd-b\ndepend = odd-a\nreplaces = odd-a<2 odd-c other>1\nreplaces_priority = 3\nprovides = odd=2.0 cmd:odd=1-r0\n",
		scripts: map[string]string{"post-install": "#!/bin/sh\ncat /srv/link/file >/srv/read"},
		members: []tar.Header{
			folder("srv"), owner(folder("srv/shared"), "", 0o2755), owner(folder("srv/mine"), "daemon", 0o700), plain("srv/shared/both", "b"),
			folder("etc"), plain("etc/later", "package"), plain("etc/same", "same\n"), plain("etc/changed", "b"), plain("etc/untouched", "b"),
			plain("srv/by-script", "package"),
		}},
	{name: "odd-c", info: "origin = odd-c\ndepend = odd-b\nreplaces = odd-a odd-b\nreplaces_priority = 2\n",
		members: []tar.Header{folder("srv"), folder("srv/shared"), plain("srv/shared/strong", "c"), plain("srv/shared/both", "c")}},
	{name: "odd-d", info: "origin = odd-a\ndepend = odd-c\n", members: []tar.Header{folder("srv"), folder("srv/shared"), plain("srv/shared/weak", "d")}},
	{name: "odd-e", info: "origin = odd-e\ndepend = odd-d\nreplaces = nothing\nprovider_priority = 7\n"},
	{name: "Odd-f", info: "install_if = odd-e odd-a=1-r0\n", members: []tar.Header{folder("srv"), plain("srv/f", "f")}},
}

func owner(h tar.Header, name string, mode int64) tar.Header {
	h.Uname, h.Gname, h.Uid, h.Gid, h.Mode = name, name, 55, 55, mode
	return h
}

func attributed(h tar.Header) tar.Header {
	h.Mode = 0o755
	h.PAXRecords["SCHILY.xattr.user.test"] = "value"
	h.PAXRecords["SCHILY.xattr.security.capability"] = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	return h
}

// TestAssembleOddPackages compares with what apk makes of packages that take
// over each other's files, meet files of scripts in /etc, want different
// attributes of one directory, and have attributes and links.
func TestAssembleOddPackages(t *testing.T) {
	needRoot(t)
	tools := minirootfs(t, "3.19.4-x86_64")
	repository := filepath.Join(tools, "odd")
	if err := os.CopyFS(filepath.Join(repository, "x86_64"), os.DirFS(data(t, "iso-3.19.1/x86_64"))); err != nil {
		t.Fatal(err)
	}
	for _, m := range odd {
		m.sums = true
		m.write(t, filepath.Join(repository, "x86_64"))
	}
	runIn(t, tools, "/bin/sh", "-c", "apk index --allow-untrusted --rewrite-arch x86_64 -o /odd/x86_64/APKINDEX.tar.gz /odd/x86_64/*.apk")
	for _, scripts := range []bool{true, false} {
		t.Run(fmt.Sprint("scripts ", scripts), func(t *testing.T) {
			compareWithApk(t, repository, "x86_64", "*", "odd-e", scripts)
		})
	}
}
