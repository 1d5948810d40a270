package arch

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/lockfile"
)

// A parcelMade is a package that a test makes, with any members.
type parcelMade struct {
	name, info string // lines of .PKGINFO besides name and version
	script     string
	list       string // .MTREE
	members    []member
}

type member struct {
	tar.Header
	content string
}

func plain(name, content string) member {
	return member{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, ModTime: time.Unix(1e9, 0)}, content}
}

func folder(name string, mode int64) member {
	return member{tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: mode, ModTime: time.Unix(1e9, 0)}, ""}
}

func link(name, to string, kind byte) member {
	return member{tar.Header{Name: name, Linkname: to, Typeflag: kind, Mode: 0o777, ModTime: time.Unix(1e9, 0)}, ""}
}

func (m parcelMade) bytes(t testing.TB) []byte {
	t.Helper()
	about := []member{plain(".PKGINFO", fmt.Sprintf("pkgname = %s\npkgver = 1-1\narch = any\nsize = 7\nbuilddate = 1000\n%s", m.name, m.info))}
	if m.list != "" {
		about = append(about, plain(".MTREE", m.list))
	}
	if m.script != "" {
		about = append(about, plain(".INSTALL", m.script))
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, x := range append(about, m.members...) {
		h := x.Header
		h.Size = int64(len(x.content))
		if h.PAXRecords != nil {
			h.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, x.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// An assembled is what came of an assembly.
type assembled struct {
	dir    *target.Dir
	root   string
	warned []string
	ran    []string
}

func (a *assembled) read(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(a.root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (a *assembled) said(words string) bool {
	return slices.ContainsFunc(a.warned, func(s string) bool { return strings.Contains(s, words) })
}

// assemble makes a root of packages. Where run is not nil, it stands for the
// sandbox.
func assemble(t testing.TB, run func(root string, s distro.Step) error, packages ...parcelMade) (*assembled, error) {
	t.Helper()
	blobs, lock := files{}, &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}}
	for _, m := range packages {
		d := blobs.add(t, m.bytes(t))
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: "core/os/x86_64/" + m.name + "-1-1-any.pkg.tar.gz"})
	}
	return assembleLock(t, run, lock, blobs)
}

func assembleLock(t testing.TB, run func(root string, s distro.Step) error, lock *lockfile.Lock, blobs distro.Blobs) (*assembled, error) {
	t.Helper()
	needRootAnd(t)
	a := &assembled{root: filepath.Join(t.TempDir(), "root")}
	if err := os.Mkdir(a.root, 0o755); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.dir, err = target.New(a.root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.dir.Close() })
	as := distro.Assembly{
		Lock: lock, Blobs: blobs, Root: a.dir, Epoch: epoch, Parallel: 2,
		Events: &distro.Events{Warn: func(m string) { a.warned = append(a.warned, m) }},
	}
	if run != nil {
		as.Run = func(_ context.Context, s distro.Step) error {
			a.ran = append(a.ran, strings.Join(s.Args[4:], " ")) // without the guard
			return run(a.root, s)
		}
	}
	return a, (Distro{}).Assemble(t.Context(), as)
}

func mustAssemble(t testing.TB, run func(root string, s distro.Step) error, packages ...parcelMade) *assembled {
	t.Helper()
	a, err := assemble(t, run, packages...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func quietRun(string, distro.Step) error { return nil }

// bash is a package with a shell.
var bash = parcelMade{name: "bash", info: "depend = glibc\nprovides = sh\n", members: []member{plain("usr/bin/bash", "elf")}}

// TestAssembleRefuses has packages that pacman refuses, or that would do harm:
// the error names the package, and nothing outside the root is touched.
func TestAssembleRefuses(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Mkdir(outside, 0o700); err != nil {
		t.Fatal(err)
	}
	evil := func(members ...member) []parcelMade { return []parcelMade{{name: "evil", members: members}} }
	odd := plain("usr/odd", "")
	odd.Typeflag = 'Z'
	crowd := plain("usr/crowd", "")
	crowd.Uid = -2
	crowd.Format = tar.FormatGNU
	for name, tt := range map[string]struct {
		packages []parcelMade
		want     string
	}{
		"absolute":            {evil(plain(outside+"/x", "")), "no path within the root"},
		"climbs":              {evil(plain("usr/../../x", "")), "no path within the root"},
		"climbs at once":      {evil(plain("../x", "")), "no path within the root"},
		"hidden climb":        {evil(plain("./usr/x", "")), "no path within the root"},
		"newline":             {evil(plain("usr/a\nb", "")), "no path within the root"},
		"symlink swap":        {evil(link("usr/way", outside, tar.TypeSymlink), plain("usr/way/x", "")), "/usr/way, which as core/os/x86_64/evil-1-1-any.pkg.tar.gz has it is no directory"},
		"link of another":     {append(evil(plain("lib/x", "")), parcelMade{name: "base", members: []member{link("lib", "usr/lib", tar.TypeSymlink)}}), "/lib, which as core/os/x86_64/base"},
		"directory on a link": {append(evil(folder("lib", 0o755)), parcelMade{name: "base", members: []member{link("lib", "usr/lib", tar.TypeSymlink)}}), "/lib is a directory of the package"},
		"link on a directory": {append(evil(link("srv", "usr", tar.TypeSymlink)), parcelMade{name: "base", members: []member{folder("srv", 0o755)}}), "/srv is no directory in the package"},
		"over the database":   {evil(plain("var/lib/pacman/local", "")), "is no directory in the package"},
		"into the database":   {evil(plain("var/lib/pacman/local/base-1-1/desc", "")), "for pacman alone"},
		"hard link outside":   {evil(link("usr/x", outside+"/y", tar.TypeLink)), "no path within the root"},
		"hard link elsewhere": {append(evil(link("usr/x", "usr/base", tar.TypeLink)), parcelMade{name: "base", members: []member{plain("usr/base", "")}}), "does not have before it"},
		"conflict":            {append(evil(plain("usr/base", "")), parcelMade{name: "base", members: []member{plain("usr/base", "")}}), "/usr/base is in core/os/x86_64/base-1-1-any.pkg.tar.gz too"},
		"twice":               {evil(plain("usr/x", ""), plain("usr/x", "")), "twice"},
		"unknown type":        {evil(odd), "of the type"},
		"impossible owner":    {evil(crowd), "no number of a user"},
		"bad version":         {[]parcelMade{{name: "evil", info: "pkgver = ../../x\n"}}, "both"},
		"bad architecture":    {[]parcelMade{{name: "evil", info: "arch = i686\n"}}, "both"},
		"bad list":            {[]parcelMade{{name: "evil", list: "./usr/\\9 type=file\n"}}, ".MTREE"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := assemble(t, nil, tt.packages...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "evil-1-1") {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("outside: %v, %v", left, err)
			}
		})
	}
}

// TestAssembleRefusesFiles has files that are no packages, or not whole.
func TestAssembleRefusesFiles(t *testing.T) {
	whole := parcelMade{name: "foo", members: []member{plain("usr/a", strings.Repeat("a", 1<<20))}}.bytes(t)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"garbage":   {[]byte("garbage"), "cannot be read"},
		"cut off":   {whole[:len(whole)-40], "unexpected EOF"},
		"empty":     {nil, "no .PKGINFO"},
		"no name":   {tarball(t, [][2]string{{".PKGINFO", "pkgver = 1-1\n"}}), "%NAME%"},
		"bad name":  {tarball(t, [][2]string{{".PKGINFO", "pkgname = a;b\npkgver = 1-1\narch = any\n"}}), "impossible name"},
		"elsewhere": {tarball(t, [][2]string{{".PKGINFO", "pkgname = a\npkgver = 1-1\narch = i686\n"}}), "for i686, and the lock for x86_64"},
	} {
		t.Run(name, func(t *testing.T) {
			blobs := files{}
			lock := &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}}
			lock.Entries = []lockfile.Entry{{Digest: blobs.add(t, tt.data), Path: "core/foo-1-1-any.pkg.tar.gz"}}
			if _, err := assembleLock(t, nil, lock, blobs); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "core/foo-1-1-any") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestAssembleLock has what is about the lock as a whole.
func TestAssembleLock(t *testing.T) {
	blobs := files{}
	lock := &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}}
	lock.Entries = []lockfile.Entry{
		{Digest: blobs.add(t, bash.bytes(t)), Path: "core/bash-1-1-any.pkg.tar.gz"},
		{Digest: lockfile.DigestOf([]byte("none")), Path: "core/bash-1-1-any.pkg.tar.gz.sig"},
	}
	if _, err := assembleLock(t, nil, lock, blobs); err != nil {
		t.Errorf("with a signature, which is passed over: %v", err)
	}
	lock.Entries = append(lock.Entries, lockfile.Entry{Digest: lock.Entries[0].Digest, Path: "extra/bash-1-1-any.pkg.tar.gz"})
	if _, err := assembleLock(t, nil, lock, blobs); err == nil || !strings.Contains(err.Error(), "bash twice, as") {
		t.Errorf("one package twice: %v", err)
	}
	lock.Entries = []lockfile.Entry{{Digest: lockfile.DigestOf([]byte("none")), Path: "core/none-1-1-any.pkg.tar.gz"}}
	if _, err := assembleLock(t, nil, lock, blobs); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "core/none-1-1") {
		t.Errorf("a package that is not at hand: %v", err)
	}
}

// TestAssembleKeepsAttributes lays down links, devices, owners and attributes.
func TestAssembleKeepsAttributes(t *testing.T) {
	capable := plain("usr/ping", "x")
	capable.Mode, capable.Uname, capable.Uid, capable.Gname, capable.Gid = 0o4755, "web", 7, "nobody", 8
	capable.PAXRecords = map[string]string{
		"SCHILY.xattr.user.test": "value", "LIBARCHIVE.xattr.user.o%2dther": "dmFsdWU", "SCHILY.acl.access": "user::rwx",
	}
	null := member{tar.Header{Name: "usr/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}, ""}
	a := mustAssemble(t, nil,
		parcelMade{name: "a", members: []member{plain("etc/passwd", "web:x:100:101::/:\n"), plain("etc/group", "web:x:101:\n")}},
		parcelMade{name: "b", info: "depend = a\n", members: []member{
			folder("usr", 0o751), capable, link("usr/link", "../outside", tar.TypeSymlink), link("usr/hard", "usr/ping", tar.TypeLink), null,
			{tar.Header{Name: "usr/pipe", Typeflag: tar.TypeFifo, Mode: 0o600}, ""},
		}},
		parcelMade{name: "c", info: "depend = b\n", members: []member{folder("usr", 0o700), plain("usr/implied/file", "")}},
	)
	ping, err1 := a.dir.Stat("usr/ping")
	if err1 != nil || ping.Mode != 0o4755 || ping.UID != 100 || ping.GID != 8 || !ping.ModTime.Equal(time.Unix(1e9, 0)) {
		t.Errorf("%+v, %v", ping, err1)
	}
	one, err1 := os.Stat(filepath.Join(a.root, "usr/ping"))
	two, err2 := os.Stat(filepath.Join(a.root, "usr/hard"))
	if err1 != nil || err2 != nil || !os.SameFile(one, two) {
		t.Errorf("the hard link is none: %v, %v", err1, err2)
	}
	if got := distrotest.Xattrs(filepath.Join(a.root, "usr/ping")); !maps.Equal(got, map[string]string{"user.test": "value", "user.o-ther": "value"}) {
		t.Errorf("attributes: %v", got)
	}
	if d := a.dir.Devices()["usr/null"]; d.Major != 1 || d.Minor != 3 || d.Mode != 0o666 {
		t.Errorf("the device is %+v", d)
	}
	if usr, err := a.dir.Stat("usr"); err != nil || usr.Mode != 0o751 || !a.said("permissions of /usr are 751, and 700") {
		t.Errorf("the first package's directory is %+v, %v; %v", usr, err, a.warned)
	}
	if d, err := a.dir.Stat("usr/implied"); err != nil || d.Mode != 0o755 {
		t.Errorf("a directory that no package has: %+v, %v", d, err)
	}
}

// TestAssembleDatabase spells every field that pacman has, in its order.
func TestAssembleDatabase(t *testing.T) {
	full := parcelMade{
		name: "full",
		info: "pkgbase = base\npkgdesc = words = more\nurl = http://example.org\npackager = P <p@example.org>\ngroup = g1\ngroup = g2\nlicense = GPL\nlicense = MIT\n" +
			"replaces = old\ndepend = user>=1\noptdepend = opt: for it\nconflict = foe<2\nprovides = full=2\nbackup = etc/conf\nbackup = etc/absent\nxdata = pkgtype=pkg\n",
		script:  "post_install() { :; }\n",
		members: []member{plain(".CHANGELOG", "news"), plain(".BUILDINFO", "x"), folder("etc", 0o755), plain("etc/conf", "hello"), link("etc/b", "conf", tar.TypeSymlink)},
	}
	user := parcelMade{name: "user", info: "depend = full\n"}
	a := mustAssemble(t, nil, user, full)
	const dir = "var/lib/pacman/local/full-1-1/"
	want := "%NAME%\nfull\n\n%VERSION%\n1-1\n\n%BASE%\nbase\n\n%DESC%\nwords = more\n\n%URL%\nhttp://example.org\n\n%ARCH%\nany\n\n%BUILDDATE%\n1000\n\n" +
		"%INSTALLDATE%\n1740830400\n\n%PACKAGER%\nP <p@example.org>\n\n%SIZE%\n7\n\n%REASON%\n1\n\n%GROUPS%\ng1\ng2\n\n%LICENSE%\nGPL\nMIT\n\n%VALIDATION%\nsha256\n\n" +
		"%REPLACES%\nold\n\n%DEPENDS%\nuser>=1\n\n%OPTDEPENDS%\nopt: for it\n\n%CONFLICTS%\nfoe<2\n\n%PROVIDES%\nfull=2\n\n%XDATA%\npkgtype=pkg\n\n"
	if got := a.read(t, dir+"desc"); got != want {
		t.Errorf("desc:\n%s\nwant\n%s", got, want)
	}
	if got, want := a.read(t, dir+"files"), "%FILES%\netc/\netc/b\netc/conf\n\n%BACKUP%\netc/conf\t5d41402abc4b2a76b9719d911017c592\netc/absent\t(null)\n\n"; got != want {
		t.Errorf("files:\n%s\nwant\n%s", got, want)
	}
	if a.read(t, dir+"install") != full.script || a.read(t, dir+"changelog") != "news" || a.read(t, localState+"/ALPM_DB_VERSION") != "9\n" {
		t.Error("what comes with the package is not kept")
	}
	if _, err := os.Stat(filepath.Join(a.root, ".BUILDINFO")); err == nil {
		t.Error(".BUILDINFO was unpacked")
	}
	old := parcelMade{name: "pacman"} // version 1, which knows no such data
	if got := mustAssemble(t, nil, old, full).read(t, dir+"desc"); strings.Contains(got, "XDATA") {
		t.Errorf("an old pacman would not have written\n%s", got)
	}
}

// TestAssembleList goes by the package's own list of files.
func TestAssembleList(t *testing.T) {
	a := mustAssemble(t, nil, parcelMade{
		name: "a", list: "#mtree\n/set type=file uid=0\n./.PKGINFO size=1\n./usr type=dir\n./usr/with\\040space size=1\n./usr/gone size=1\n",
		members: []member{folder("usr", 0o755), plain("usr/with space", "x"), plain("usr/extra", "x")},
	})
	if got, want := a.read(t, localState+"/a-1-1/files"), "%FILES%\nusr/\nusr/gone\nusr/with space\n\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := a.dir.Stat("usr/extra"); !errors.Is(err, os.ErrNotExist) || !a.said("/usr/extra is not in its list") {
		t.Errorf("%v, %v", err, a.warned)
	}
}

// TestAssembleObeysConfig obeys the pacman.conf that one of the packages has.
func TestAssembleObeysConfig(t *testing.T) {
	write := func(root string, s distro.Step) error {
		if !strings.Contains(s.Args[len(s.Args)-1], "pre_install") {
			return nil
		}
		for name, text := range map[string]string{"etc/kept": "mine", "etc/changed": "mine", "etc/same": "package", "etc/free": "mine"} {
			writeTo(t, filepath.Join(root, name), []byte(text))
		}
		return nil
	}
	config := "[options]\nNoExtract = usr/share/doc/* !usr/share/doc/keep\nNoUpgrade = etc/kept\n"
	a := mustAssemble(t, write,
		parcelMade{name: "conf", info: "backup = etc/pacman.conf\n", members: []member{plain("etc/pacman.conf", config), plain("usr/bin/bash", "elf")}},
		parcelMade{name: "app", info: "depend = conf\nbackup = etc/changed\nbackup = etc/same\n", script: "pre_install() {\n", members: []member{
			plain("usr/share/doc/a/b", ""), plain("usr/share/doc/keep", ""), plain("etc/kept", "package"), plain("etc/changed", "package"), plain("etc/same", "package"), plain("etc/free", "package"),
		}},
	)
	for name, want := range map[string]string{
		"etc/kept": "mine", "etc/kept.pacnew": "package", "etc/changed": "mine", "etc/changed.pacnew": "package", "etc/same": "package", "etc/free": "package", "usr/share/doc/keep": "",
	} {
		if got := a.read(t, name); got != want {
			t.Errorf("/%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"usr/share/doc/a/b", "etc/same.pacnew"} {
		if _, err := a.dir.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("/%s is there: %v", name, err)
		}
	}
	if got := a.read(t, localState+"/app-1-1/files"); !strings.Contains(got, "usr/share/doc/a/b\n") {
		t.Errorf("what is not extracted belongs to the package all the same:\n%s", got)
	}
}
