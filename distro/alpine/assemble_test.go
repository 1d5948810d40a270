package alpine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/lockfile"
)

// A made is a package that a test makes.
type made struct {
	name    string
	version string // 1-r0 where empty
	info    string // lines of .PKGINFO
	scripts map[string]string
	members []tar.Header // PAXRecords["text"] is the content
	size    string       // what it unpacks to, 1 where empty
	cut     int          // bytes to lose at the end
	sums    bool         // give the SHA-1 of contents, as abuild does
}

// plain is a regular file.
func plain(name, text string) tar.Header {
	return tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg, PAXRecords: map[string]string{"text": text}, ModTime: time.Unix(1e9, 0)}
}

func folder(name string) tar.Header {
	return tar.Header{Name: name, Mode: 0o755, Typeflag: tar.TypeDir, ModTime: time.Unix(1e9, 0)}
}

func linked(name, to string) tar.Header {
	return tar.Header{Name: name, Linkname: to, Mode: 0o777, Typeflag: tar.TypeSymlink, ModTime: time.Unix(1e9, 0)}
}

// write makes the package file.
func (m made) write(t testing.TB, dir string) string {
	t.Helper()
	if m.version == "" {
		m.version = "1-r0"
	}
	if m.size == "" {
		m.size = "1"
	}
	var body bytes.Buffer
	zw := gzip.NewWriter(&body)
	tw := tar.NewWriter(zw)
	var errs []error
	for _, h := range m.members {
		text := h.PAXRecords["text"]
		h.PAXRecords = maps.Clone(h.PAXRecords)
		delete(h.PAXRecords, "text")
		if h.Typeflag == tar.TypeSymlink {
			text = h.Linkname
		}
		if m.sums && (h.Typeflag == tar.TypeReg || h.Typeflag == tar.TypeSymlink) {
			if h.PAXRecords == nil {
				h.PAXRecords = map[string]string{}
			}
			h.PAXRecords["APK-TOOLS.checksum.SHA1"] = fmt.Sprintf("%x", sha1.Sum([]byte(text)))
		}
		h.Format = tar.FormatPAX
		errs = append(errs, tw.WriteHeader(&h))
		_, err := io.WriteString(tw, text[:h.Size])
		errs = append(errs, err)
	}
	if err := errors.Join(append(errs, tw.Close(), zw.Close())...); err != nil {
		t.Fatal(err)
	}
	control := map[string]string{".PKGINFO": fmt.Sprintf("pkgname = %s\npkgver = %s\npkgdesc = a package\nurl = https://example.org\nlicense = MIT\nbuilddate = 1700000000\n"+
		"size = %s\narch = noarch\n%sdatahash = %x\n", m.name, m.version, m.size, m.info, sha256.Sum256(body.Bytes()))}
	for kind, text := range m.scripts {
		control["."+kind] = text
	}
	data := append(tarGz(t, control, false), body.Bytes()...)
	path := filepath.Join(dir, m.name+"-"+m.version+".apk")
	put(t, path, string(data[:max(len(data)-m.cut, 9)]))
	return path
}

// An assembled is a root that a test has made, and what ran in it.
type assembled struct {
	root string
	dir  *target.Dir
	ran  []string
	warn recorded
}

// assemble makes a root of packages. run stands for the sandbox; nil for no
// scripts.
func assemble(t testing.TB, run func(root string, s distro.Step) error, packages ...made) (*assembled, error) {
	t.Helper()
	needRoot(t)
	shelf := t.TempDir()
	var paths []string
	for _, m := range packages {
		paths = append(paths, m.write(t, shelf))
	}
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, paths...)
	out := &assembled{root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(out.root, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if out.dir, err = target.New(out.root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.dir.Close() })
	a := distro.Assembly{Lock: lock, Blobs: blobs, Root: out.dir, Epoch: epoch, Parallel: 2, Events: out.warn.events()}
	if run != nil {
		a.Run = func(_ context.Context, s distro.Step) error {
			out.ran = append(out.ran, strings.Join(s.Args, " "))
			return run(out.root, s)
		}
	}
	return out, Distro{}.Assemble(t.Context(), a)
}

func nothing(string, distro.Step) error { return nil }

func mustAssemble(t testing.TB, run func(root string, s distro.Step) error, packages ...made) *assembled {
	t.Helper()
	a, err := assemble(t, run, packages...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *assembled) read(t testing.TB, name string) string {
	return read(t, filepath.Join(a.root, name))
}

// record is what the database says of a package.
func (a *assembled) record(t testing.TB, name string) string {
	for r := range strings.SplitSeq(a.read(t, installedFile), "\n\n") {
		if strings.Contains(r, "\nP:"+name+"\n") {
			return r
		}
	}
	return ""
}

// TestAssembleOrder tells the order of installation: dependencies first, as
// the package lists them, then what comes by itself; what runs, and with what.
func TestAssembleOrder(t *testing.T) {
	script := map[string]string{"pre-install": "a", "post-install": "b", "post-upgrade": "c"}
	a := mustAssemble(t, nothing,
		made{name: "top", info: "depend = zlib\ndepend = so:lib.so\ndepend = !absent\n", scripts: script, version: "2.5-r1"},
		made{name: "zlib", info: "depend = circle\n", scripts: script},
		made{name: "circle", info: "depend = zlib\n", scripts: script},
		made{name: "alib", info: "provides = so:lib.so=1\n", scripts: script},
		made{name: "top-doc", info: "install_if = docs top=2.5-r1\n", scripts: script},
		made{name: "never", info: "install_if = docs top<2\n", scripts: script},
		made{name: "Docs", info: "provides = docs\n", scripts: script},
		made{name: "empty", size: "0", scripts: script},
		made{name: "late", info: "install_if = docs\n", scripts: script},
		made{name: "some", info: "provides = some-or-other\nprovider_priority = 1\n", scripts: script},
		made{name: "other", info: "provides = some-or-other\nprovider_priority = 2\n", scripts: script},
		made{name: "wants", info: "depend = some-or-other\n", scripts: script},
	)
	var want []string
	for _, p := range []string{"Docs", "late", "never", "circle", "zlib", "alib", "top", "top-doc", "other", "wants", "some"} {
		version := "1-r0"
		if p == "top" {
			version = "2.5-r1"
		}
		for _, kind := range []string{"pre-install", "post-install"} {
			want = append(want, fmt.Sprintf("/lib/apk/exec/%s-%s.%s %s", p, version, kind, version))
		}
	}
	if got := strings.Join(a.ran, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("what ran:\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if got, want := a.read(t, worldFile), "Docs\nempty\nnever\ntop\nwants\n"; got != want {
		t.Errorf("world %q, want %q", got, want)
	}
	if names, err := a.dir.ReadDir("lib/apk/exec"); err != nil || len(names) > 0 {
		t.Errorf("scripts are left: %v, %v", names, err)
	}
	if _, err := os.Stat(filepath.Join(a.root, "sys")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was made for the sandbox is left: %v", err)
	}
}

// TestAssembleWithoutScripts makes what apk makes with --no-scripts.
func TestAssembleWithoutScripts(t *testing.T) {
	a := mustAssemble(t, nil, made{name: "a", scripts: map[string]string{"post-install": "b"}, members: []tar.Header{folder("usr"), plain("usr/x", "x")}})
	if got := a.read(t, scriptsFile); !strings.Contains(got, "a-1-r0.Q1") {
		t.Error("the script is not kept")
	}
	if _, err := os.Stat(filepath.Join(a.root, execDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a directory of scripts: %v", err)
	}
	if ps := installedAll(t, a.root); joined(ps) != "a 1-r0 x86_64" {
		t.Errorf("installed: %s", joined(ps))
	}
}

// TestAssembleTriggers runs triggers once, when all is there, with the
// directories that fit.
func TestAssembleTriggers(t *testing.T) {
	a := mustAssemble(t, func(root string, s distro.Step) error {
		if !slices.Equal(s.Env, []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}) {
			t.Errorf("environment %q", s.Env)
		}
		if got := read(t, filepath.Join(root, s.Args[0])); !strings.HasPrefix(got, "#!") {
			t.Errorf("the script is %q", got)
		}
		_, err := os.Stat(filepath.Join(root, "usr/lib/modules/b"))
		return err
	},
		made{name: "a", info: "triggers = /usr/lib/* /bin nonsense /usr/lib/[!n]*/b\n", scripts: map[string]string{"trigger": "#!/bin/sh"}},
		made{name: "b", members: []tar.Header{folder("usr"), folder("usr/lib"), folder("usr/lib/modules"), folder("usr/lib/modules/b"), folder("usr/lib/nodules"), folder("usr/lib/nodules/b")}},
		made{name: "c", info: "triggers = /srv\n", scripts: map[string]string{"trigger": "#!/bin/sh"}},
	)
	want := "/lib/apk/exec/a-1-r0.trigger /usr/lib/modules /usr/lib/modules/b /usr/lib/nodules"
	if got := strings.Join(a.ran, "\n"); got != want {
		t.Errorf("what ran: %s, want %s", got, want)
	}
	if got := a.read(t, "lib/apk/db/triggers"); !strings.HasSuffix(got, "= /srv\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("triggers: %q", got)
	}
}

// TestAssembleHooks runs the hooks at the end of a commit; one that fails is
// told, and nothing else.
func TestAssembleHooks(t *testing.T) {
	a := mustAssemble(t, func(root string, s distro.Step) error {
		if !strings.Contains(read(t, filepath.Join(root, installedFile)), "P:a\n") {
			t.Error("the database is not written yet")
		}
		return errors.New("no")
	}, made{name: "a", members: []tar.Header{folder("etc"), folder("etc/apk"), folder("etc/apk/commit_hooks.d"), plain("etc/apk/commit_hooks.d/h", "#!"), plain("etc/apk/commit_hooks.d/.no", "#!")}})
	if got := strings.Join(a.ran, "|"); got != "/etc/apk/commit_hooks.d/h post-commit" {
		t.Errorf("what ran: %s", got)
	}
	if !strings.Contains(a.warn.String(), "/etc/apk/commit_hooks.d/h: no") {
		t.Errorf("warned: %s", a.warn.String())
	}
}

// TestAssembleNamesOwners gives files to those whom the root has by name when
// the file comes, and the number of the package to others.
func TestAssembleNamesOwners(t *testing.T) {
	by := func(h tar.Header, name string) tar.Header {
		h.Uname, h.Gname, h.Uid, h.Gid, h.PAXRecords = name, name, 7, 8, maps.Clone(h.PAXRecords)
		return h
	}
	a := mustAssemble(t, func(root string, s distro.Step) error {
		put(t, filepath.Join(root, "etc/passwd"), "root:x:0:0::/:\nweb:x:100:101::/:\n")
		put(t, filepath.Join(root, "etc/group"), "web:x:101:\n")
		return nil
	}, made{name: "before", members: []tar.Header{folder("srv"), by(plain("srv/early", ""), "web")}},
		made{name: "a", info: "depend = before\n", scripts: map[string]string{"pre-install": "#!"}, members: []tar.Header{
			folder("srv"), by(plain("srv/web", ""), "web"), by(plain("srv/other", ""), "other"), by(folder("srv/dir"), "web"),
		}})
	for name, want := range map[string]string{"srv/web": "100:101", "srv/other": "7:8", "srv/dir": "100:101", "srv": "0:0", "srv/early": "7:8"} {
		f, err := a.dir.Stat(name)
		if got := fmt.Sprintf("%d:%d", f.UID, f.GID); err != nil || got != want {
			t.Errorf("/%s is of %s, want %s (%v)", name, got, want, err)
		}
	}
	if got := a.record(t, "a"); !strings.Contains(got, "F:srv/dir\nM:100:101:755") || !strings.Contains(got, "R:web\na:100:101:644\nZ:Q1") {
		t.Errorf("record:\n%s", got)
	}
}

// TestAssembleMendsDirectories gives directories their owner and mode when all
// is installed, so that scripts see them as they see them with apk; but one
// that a script has made keeps what it has.
func TestAssembleMendsDirectories(t *testing.T) {
	own := folder("srv")
	own.Mode, own.Uid = 0o2770, 9
	modes := func(root string) string {
		out := ""
		for _, name := range []string{"srv", "opt"} {
			info, err := os.Stat(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			out += fmt.Sprint(info.Mode(), " ")
		}
		return out
	}
	a := mustAssemble(t, func(root string, s distro.Step) error {
		if strings.Contains(s.Args[0], "pre-install") {
			return os.Mkdir(filepath.Join(root, "opt"), 0o711)
		}
		if got, want := modes(root), "drwxrwx--- drwx--x--x "; got != want {
			t.Errorf("the script sees %s, want %s", got, want)
		}
		return nil
	}, made{name: "a", scripts: map[string]string{"pre-install": "x", "post-install": "x"}, members: []tar.Header{own, folder("opt")}})
	if got, want := modes(a.root), "dgrwxrwx--- drwx--x--x "; got != want {
		t.Errorf("in the end there is %s, want %s", got, want)
	}
	if f, err := a.dir.Stat("srv"); err != nil || f.UID != 9 {
		t.Errorf("/srv is of %d, %v", f.UID, err)
	}
}

// TestAssembleKeepsAttributes lays down links, devices, and attributes.
func TestAssembleKeepsAttributes(t *testing.T) {
	capable := plain("usr/ping", "x")
	capable.Mode, capable.PAXRecords["SCHILY.xattr.user.test"] = 0o4755, "value"
	a := mustAssemble(t, nil, made{name: "a", members: []tar.Header{
		folder("usr"), capable, linked("usr/link", "ping"),
		{Name: "usr/hard", Linkname: "usr/ping", Typeflag: tar.TypeLink, Mode: 0o4755},
		{Name: "usr/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
		{Name: "usr/pipe", Typeflag: tar.TypeFifo, Mode: 0o600},
		plain("usr/.keep_dir", ""), plain(".hidden", ""),
	}})
	ping, err1 := os.Stat(filepath.Join(a.root, "usr/ping"))
	hard, err2 := os.Stat(filepath.Join(a.root, "usr/hard"))
	if err1 != nil || err2 != nil || !os.SameFile(ping, hard) || ping.Mode()&os.ModeSetuid == 0 {
		t.Errorf("%v %v, %v %v", ping, hard, err1, err2)
	}
	if d := a.dir.Devices()["usr/null"]; d.Major != 1 || d.Minor != 3 || d.Mode != 0o666 {
		t.Errorf("the device is %+v", d)
	}
	if got := distrotest.Xattrs(filepath.Join(a.root, "usr/ping"))["user.test"]; got != "value" {
		t.Errorf("the attribute is %q", got)
	}
	for _, name := range []string{"usr/.keep_dir", ".hidden"} {
		if _, err := os.Lstat(filepath.Join(a.root, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("/%s is there: %v", name, err)
		}
	}
	record := a.record(t, "a")
	for _, want := range []string{"R:link\na:0:0:777\nZ:Q1", "R:null\na:0:0:666\nR:pipe\na:0:0:600"} {
		if !strings.Contains(record, want) {
			t.Errorf("no %q in\n%s", want, record)
		}
	}
	if !strings.Contains(record, "R:ping\na:0:0:4755:Q1") {
		t.Errorf("no sum over attributes in\n%s", record)
	}
}

// TestReadAheadIsBounded lets packages wait for their turn only so far that
// memory does not run out, however many there are.
func TestReadAheadIsBounded(t *testing.T) {
	shelf := t.TempDir()
	var files []string
	for i := range 40 {
		files = append(files, made{name: fmt.Sprintf("p%d", i), members: []tar.Header{plain("x", "x")}}.write(t, shelf))
	}
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, files...)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		parcels, err := openParcels(ctx, distro.Assembly{Lock: lock, Blobs: blobs, Parallel: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer closeAll(parcels)
		streams := readAhead(ctx, parcels, 2)
		begun := func() (n int) {
			synctest.Wait()
			for _, s := range streams {
				if len(s.chunks) > 0 {
					n++
				}
			}
			return n
		}
		if n := begun(); n != 2+moreAhead {
			t.Errorf("%d packages are decompressed ahead", n)
		}
		for i := range 3 {
			if _, err := io.Copy(io.Discard, streams[i]); err != nil {
				t.Error(err)
			}
			streams[i].done()
		}
		if n := begun(); n != 2+moreAhead {
			t.Errorf("%d packages are decompressed ahead when three are done", n)
		}
	})
}
