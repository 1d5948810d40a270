package alpine

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// TestAssembleRefuses tells what packages cannot do: the error names the
// package and the reason, and nothing outside the root is touched.
func TestAssembleRefuses(t *testing.T) {
	with := func(members ...tar.Header) []made { return []made{{name: "evil", members: members}} }
	typed := func(kind byte) tar.Header { return tar.Header{Name: "x", Typeflag: kind, Linkname: "y"} }
	hard := func(name, to string) tar.Header { return tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeLink} }
	beyond := uint32(1<<32 - 1)
	for name, c := range map[string]struct {
		packages []made
		want     string
	}{
		"an absolute path":              {with(plain("/etc/x", "x")), `"/etc/x" is no path within the root`},
		"a path that climbs":            {with(folder("usr"), plain("usr/../../x", "x")), "is no path within the root"},
		"a path that begins with ..":    {with(plain("../x", "x")), "is no path within the root"},
		"a path with a newline":         {with(plain("a\nR:b", "x")), "is no path within the root"},
		"a path with an empty part":     {with(plain("a//b", "x")), "is no path within the root"},
		"a path that is too long":       {with(plain(strings.Repeat("a/", 3000)+"b", "x")), "is no path within the root"},
		"a directory that is not there": {with(plain("a/b", "x")), "/a/b is in a directory that the package does not have"},
		"a hard link that climbs":       {with(hard("a", "../../etc/passwd")), "is no path within the root"},
		"a hard link to the host":       {with(hard("a", "/etc/passwd")), "is no path within the root"},
		"a hard link to nothing":        {with(hard("a", "b")), "does not have before it"},
		"a hard link to another's file": {[]made{{name: "a", members: []tar.Header{plain("x", "")}}, {name: "evil", info: "depend = a\n", members: []tar.Header{hard("y", "x")}}}, "does not have before it"},
		"a file for a directory":        {[]made{{name: "a", members: []tar.Header{folder("x")}}, {name: "evil", info: "depend = a\n", members: []tar.Header{plain("x", "")}}}, "unpack x"},
		"a link for a directory":        {[]made{{name: "a", members: []tar.Header{folder("x")}}, {name: "evil", info: "depend = a\n", members: []tar.Header{linked("x", "/tmp")}}}, "unpack x"},
		"another's file":                {[]made{{name: "a", members: []tar.Header{plain("x", "1")}}, {name: "evil", info: "depend = a\n", members: []tar.Header{plain("x", "2")}}}, "/x is in x86_64/a-1-r0.apk too, and neither package replaces the other"},
		"a file twice":                  {with(plain("x", "1"), plain("x", "2")), "/x is in the package twice"},
		"a type of its own":             {with(typed('Z')), "which packages do not have"},
		"an end too early":              {[]made{{name: "evil", members: []tar.Header{plain("x", strings.Repeat("x", 4000))}, cut: 9}}, "data segment"},
		"an end before the data":        {[]made{{name: "evil", cut: 1 << 20}}, "ends too early"},
		"no end of the compressed data": {[]made{{name: "evil", members: []tar.Header{plain("x", "x")}, cut: 1}}, "read the end of the data segment"},
		"a strange name":                {[]made{{name: "evil", version: "x"}}, "impossible package"},
		"the architecture of another":   {[]made{{name: "evil", info: "arch = s390x\n"}}, "the package is for s390x, and the lock for x86_64"},
		"an owner beyond numbers":       {with(tar.Header{Name: "x", Typeflag: tar.TypeReg, Uid: int(beyond)}), "is no number of a user or a group"},
		"attributes of the system":      {with(tar.Header{Name: "x", Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.nonsense": "x"}}), "set nonsense"},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := assemble(t, nil, c.packages...)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "evil-") {
				t.Errorf("the error is %v, want %q", err, c.want)
			}
			beside, err := os.ReadDir(filepath.Dir(a.root))
			if err != nil || len(beside) != 1 {
				t.Errorf("beside the root: %v, %v", beside, err)
			}
		})
	}
}

// TestAssembleStaysInTheRoot follows the links of packages, but within the
// root.
func TestAssembleStaysInTheRoot(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	put(t, filepath.Join(outside, "file"), "untouched")
	a, err := assemble(t, nil,
		made{name: "a", members: []tar.Header{linked("out", outside), linked("up", "../../../../../../../../.."+outside)}},
		made{name: "b", info: "depend = a\n", members: []tar.Header{folder("out"), folder("up"), plain("out/file", "x"), plain("up/file", "x")}},
	)
	if err == nil || !strings.Contains(err.Error(), "b-1-r0.apk") {
		t.Errorf("the error is %v", err)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 || read(t, filepath.Join(outside, "file")) != "untouched" {
		t.Errorf("outside: %v, %v", entries, err)
	}
	if _, err := os.Lstat(filepath.Join(a.root, "out")); err != nil {
		t.Error(err)
	}
}

// TestAssembleFailsWithTheScript names the package, the script and what it
// said.
func TestAssembleFailsWithTheScript(t *testing.T) {
	for _, kind := range []string{"pre-install", "post-install", "trigger"} {
		_, err := assemble(t, func(string, distro.Step) error { return errors.New("exit code 3") },
			made{name: "a", info: "triggers = /srv\n", scripts: map[string]string{kind: "x"}, members: []tar.Header{folder("srv")}})
		if want := "x86_64/a-1-r0.apk: run its " + kind + ": exit code 3"; err == nil || err.Error() != want {
			t.Errorf("the error is %v, want %s", err, want)
		}
	}
}

// TestAssembleRefusesLocks of which no root can be made.
func TestAssembleRefusesLocks(t *testing.T) {
	_, err := assemble(t, nil, made{name: "a"}, made{name: "a", version: "2-r0"})
	if want := "the lock has a twice, as x86_64/a-1-r0.apk and x86_64/a-2-r0.apk; only one can be installed"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	err = Distro{}.Assemble(t.Context(), distro.Assembly{Lock: &lockfile.Lock{System: lockfile.System{Distro: "alpine", Version: "3", Arch: "-"}}})
	if err == nil || !strings.Contains(err.Error(), "names no architecture") {
		t.Error(err)
	}
	lock := &lockfile.Lock{System: lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, Entries: []lockfile.Entry{{Path: "x86_64/gone-1-r0.apk"}}}
	err = Distro{}.Assemble(t.Context(), distro.Assembly{Lock: lock, Blobs: blobsOf{}})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "x86_64/gone-1-r0.apk: ") {
		t.Error(err)
	}
	three := filepath.Join(t.TempDir(), "three-1-r0.apk")
	put(t, three, "ADBdxxxx")
	lock, blobs := lockOf(t, lock.System, three)
	err = Distro{}.Assemble(t.Context(), distro.Assembly{Lock: lock, Blobs: blobs})
	if err == nil || !strings.Contains(err.Error(), "three-1-r0.apk: open the package: ") || !strings.Contains(err.Error(), "apk 3") {
		t.Error(err)
	}
}

// TestAssembleStops when it is told to.
func TestAssembleStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	needRoot(t)
	file := made{name: "a", members: []tar.Header{plain("x", "x")}, scripts: map[string]string{"pre-install": "x"}}.write(t, t.TempDir())
	lock, blobs := lockOf(t, lockfile.System{Distro: "alpine", Version: "3", Arch: "x86_64"}, file)
	a, err := assemble(t, nil, made{name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	err = Distro{}.Assemble(ctx, distro.Assembly{Lock: lock, Blobs: blobs, Root: a.dir, Epoch: epoch, Run: func(context.Context, distro.Step) error {
		cancel()
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// FuzzInside demands that what is taken for a path of the root is one.
func FuzzInside(f *testing.F) {
	for _, s := range []string{"usr/bin", "./usr/", ".", "/", "..", "a/../b", "a\x00", "", "a//b", "./", "./../x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		p, err := inside(name)
		if err != nil || p == "" {
			return
		}
		if path.Clean(p) != p || p[0] == '/' || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsAny(p, "\x00\n") {
			t.Errorf("%q became %q", name, p)
		}
		if again, err := inside(p); p[0] != '.' && (again != p || err != nil) {
			t.Errorf("%q became %q, and that %q, %v", name, p, again, err)
		}
	})
}

// TestUnpackIsBounded tells that no size is believed, and nothing taken that
// stands behind an archive.
func TestUnpackIsBounded(t *testing.T) {
	var huge, tail bytes.Buffer
	if err := tar.NewWriter(&huge).WriteHeader(&tar.Header{Name: "x", Size: 1 << 40, Format: tar.FormatGNU, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	tail.Write(make([]byte, 2<<20))
	for want, r := range map[string]*bytes.Buffer{"unpacks to more than any package has": &huge, "something follows the archive": &tail} {
		if err := (&assembling{}).unpack(t.Context(), &parcel{}, r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestAssembleIsTheSame whatever the order of the lock and the number of
// packages that are unpacked at once.
func TestAssembleIsTheSame(t *testing.T) {
	_, lock, blobs := isoLock(t)
	first := manifest(t, mustBuild(t, Distro{}, lock, blobs, "").Tree)
	other := *lock
	other.Entries = nil
	for i := range lock.Entries {
		other.Entries = append(other.Entries, lock.Entries[(i*5+3)%len(lock.Entries)])
	}
	for _, parallel := range []int{1, 5} {
		wrapped := inParallel{parallel: parallel}
		compareTrees(t, manifest(t, mustBuild(t, wrapped, &other, blobs, "").Tree), first)
	}
}

// inParallel unpacks so many at once.
type inParallel struct {
	Distro
	parallel int
}

func (p inParallel) Assemble(ctx context.Context, a distro.Assembly) error {
	a.Parallel = p.parallel
	if err := p.Distro.Assemble(ctx, a); err != nil {
		return fmt.Errorf("%d at once: %w", p.parallel, err)
	}
	return nil
}
