package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
)

var when = time.Unix(1700000000, 123456789)

func newDir(t *testing.T) *Dir {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("root is needed to give files to others")
	}
	d, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// file is a regular file with its path for content.
func file(path string) distro.File {
	return distro.File{Path: path, Type: distro.Regular, Mode: 0o644, Size: int64(len(path)), ModTime: when}
}

func put(t *testing.T, d *Dir, files ...distro.File) {
	t.Helper()
	for _, f := range files {
		if err := d.Put(f, strings.NewReader(f.Path)); err != nil {
			t.Fatal(err)
		}
	}
}

func directory(path string) distro.File {
	return distro.File{Path: path, Type: distro.Directory, Mode: 0o755, ModTime: when}
}

func link(path, target string) distro.File {
	return distro.File{Path: path, Type: distro.Symlink, Link: target, ModTime: when}
}

func content(t *testing.T, d *Dir, path string) string {
	t.Helper()
	r, err := d.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestPutKeepsEverything(t *testing.T) {
	d := newDir(t)
	odd := file("dir/odd\xff\nname")
	odd.Mode, odd.UID, odd.GID = 0o6751, 70000, 4000000000
	odd.Xattrs = map[string]string{"security.capability": "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "user.a": "\x00\xff"}
	sticky := directory("dir")
	sticky.Mode = 0o1777
	pipe := distro.File{Path: "dir/pipe", Type: distro.Fifo, Mode: 0o640, UID: 5, ModTime: when}
	put(t, d, sticky, odd, pipe, link("dir/link", "/a/b"), distro.File{Path: "dir/hard", Type: distro.Hard, Link: odd.Path})
	for _, want := range []distro.File{sticky, odd, pipe, link("dir/link", "/a/b")} {
		got, err := d.Stat(want.Path)
		if want.Type == distro.Symlink {
			want.Mode = 0o777
		}
		if want.Path == "dir" {
			got.ModTime = when // it has had files made in it
		}
		xattrs := want.Xattrs
		want.Xattrs = nil
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q is %+v, %v; want %+v", want.Path, got, err, want)
		}
		for name, value := range xattrs {
			buf := make([]byte, 100)
			n, err := unix.Lgetxattr(filepath.Join(d.Path(), want.Path), name, buf)
			if err != nil || string(buf[:n]) != value {
				t.Errorf("%s of %q is %q, %v", name, want.Path, buf[:n], err)
			}
		}
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Lstat(filepath.Join(d.Path(), odd.Path), &a), unix.Lstat(filepath.Join(d.Path(), "dir/hard"), &b)); err != nil || a.Ino != b.Ino || a.Nlink != 2 {
		t.Errorf("not a hard link: %v", err)
	}
	names, err := d.ReadDir("dir")
	if want := []string{"hard", "link", "odd\xff\nname", "pipe"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v", names, err)
	}
}

func TestPutReplaces(t *testing.T) {
	d := newDir(t)
	put(t, d, directory("a"), directory("b"), link("x", "a"), file("x/inside"), file("f"))
	if got := content(t, d, "a/inside"); got != "x/inside" {
		t.Errorf("through a link: %q", got)
	}
	put(t, d, link("x", "b"), file("x/other"))
	if got := content(t, d, "b/other"); got != "x/other" {
		t.Errorf("a link that was turned: %q", got)
	}
	put(t, d, distro.File{Path: "x", Type: distro.Regular, Mode: 0o600, Size: 1, ModTime: when})
	if err := d.Put(file("x/more"), strings.NewReader("x/more")); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("into a file: %v", err)
	}
	if err := d.Put(directory("f"), nil); !errors.Is(err, unix.ENOTDIR) {
		t.Errorf("a directory over a file: %v", err)
	}
	if err := d.Put(file("a"), strings.NewReader("a")); err == nil {
		t.Error("a file over a directory")
	}
	changed := directory("a")
	changed.Mode = 0o700
	put(t, d, changed)
	if f, err := d.Stat("a"); err != nil || f.Mode != 0o700 {
		t.Errorf("a directory given another mode: %+v, %v", f, err)
	}
	// A hard link over another name of the same file leaves no third.
	put(t, d, file("h1"), distro.File{Path: "h2", Type: distro.Hard, Link: "h1"}, distro.File{Path: "h2", Type: distro.Hard, Link: "h1"})
	if names, err := d.ReadDir(""); err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, ".samebits") }) {
		t.Errorf("left over: %v, %v", names, err)
	}
}

func TestHostile(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDir(t)
	put(t, d, link("abs", outside), link("up", "../../../../../../../.."+outside), link("self", "self"), link("to", secret))
	for _, name := range []string{"", "/etc/x", "..", "a/..", "../x", "abs/new", "up/new", "self/x", "no/such/x", "abs/", "a\x00b", "."} {
		f := file(name)
		if err := d.Put(f, strings.NewReader(name)); err == nil {
			t.Errorf("%q was unpacked", name)
		}
	}
	if err := d.Put(distro.File{Path: "h", Type: distro.Hard, Link: "abs/secret"}, nil); err == nil {
		t.Error("a hard link to a file of the host")
	}
	if _, err := d.Read("to"); err == nil {
		t.Error("a file of the host was read")
	}
	// A file over a link is not written through it.
	put(t, d, file("to"))
	if got, _ := os.ReadFile(secret); string(got) != "of the host" {
		t.Errorf("the host's file has %q", got)
	}
	if names, _ := os.ReadDir(outside); len(names) != 1 {
		t.Errorf("in the host's directory: %v", names)
	}
	for _, size := range []int64{1, 100} {
		f := file("size")
		f.Size = size
		if err := d.Put(f, strings.NewReader("four")); err == nil {
			t.Errorf("4 bytes for %d", size)
		}
		_ = d.Remove("size")
	}
	if err := d.Put(distro.File{Path: "m", Type: distro.Regular, Mode: 0o100644}, nil); err == nil {
		t.Error("a mode of more than twelve bits")
	}
	if err := d.Put(distro.File{Path: "t", Type: 's'}, nil); err == nil {
		t.Error("an unknown type")
	}
}

func TestDevicesAreRemembered(t *testing.T) {
	d := newDir(t)
	null := distro.File{Path: "dev/null", Type: distro.CharDev, Mode: 0o666, Major: 1, Minor: 3, ModTime: when}
	put(t, d, directory("dev"), file("dev/null"), null)
	if _, err := os.Lstat(filepath.Join(d.Path(), "dev/null")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("on disk: %v", err)
	}
	if got, err := d.Stat("dev/null"); err != nil || fmt.Sprint(got) != fmt.Sprint(null) {
		t.Errorf("%+v, %v", got, err)
	}
	if names, err := d.ReadDir("dev"); err != nil || !slices.Equal(names, []string{"null"}) {
		t.Errorf("%v, %v", names, err)
	}
	if got := d.Devices(); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if err := d.Remove("dev/null"); err != nil || len(d.Devices()) > 0 {
		t.Errorf("removed: %v, %v", d.Devices(), err)
	}
	put(t, d, null, file("dev/null"))
	if len(d.Devices()) > 0 || content(t, d, "dev/null") != "dev/null" {
		t.Error("a file in place of a device")
	}
}

func TestTimesOfScripts(t *testing.T) {
	d := newDir(t)
	now := file("now")
	now.ModTime = time.Now().Add(-time.Second)
	put(t, d, file("changed"), file("kept"), now)
	for name, at := range map[string]time.Time{"changed": {}, "copied": when, "future": time.Now().AddDate(1, 0, 0)} {
		path := filepath.Join(d.Path(), name)
		if err := os.WriteFile(path, []byte("by a script"), 0o644); err != nil {
			t.Fatal(err)
		}
		if !at.IsZero() {
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	epoch := time.Unix(1600000000, 0)
	frozen, err := d.Freeze(t.Context(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]time.Time{"kept": when, "copied": when, "changed": epoch, "now": now.ModTime} {
		n, _ := frozen.Lookup(name)
		if got := n.Inode().ModTime.Time(); !got.Equal(want) {
			t.Errorf("%s is of %v, want %v", name, got, want)
		}
	}
}

func TestRemove(t *testing.T) {
	d := newDir(t)
	put(t, d, directory("a"), file("a/f"))
	if err := d.Remove("a"); err == nil {
		t.Error("a directory that is not empty")
	}
	for _, name := range []string{"a/f", "a"} {
		if err := d.Remove(name); err != nil {
			t.Error(err)
		}
		if _, err := d.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	d := newDir(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				dir := fmt.Sprintf("d%d-%d", i, j)
				if err := errors.Join(d.Put(directory(dir), nil), d.Put(file(dir+"/f"), strings.NewReader(dir+"/f"))); err != nil {
					t.Error(err)
				}
				if j%50 == 0 {
					if err := errors.Join(d.Put(link(dir+"/l", "f"), nil), d.Put(link(dir+"/l", "g"), nil)); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	if names, err := d.ReadDir(""); err != nil || len(names) != 1600 {
		t.Errorf("%d, %v", len(names), err)
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil || len(open) > maxParents+50 {
		t.Errorf("%d files are open", len(open))
	}
}

func TestFreeze(t *testing.T) {
	d := newDir(t)
	odd := file("d/odd")
	odd.Mode, odd.UID = 0o4755, 70000
	odd.Xattrs = map[string]string{"user.b": "2", "user.a": "1"}
	put(t, d, directory("d"), directory("empty"), link("l", "d"), odd,
		distro.File{Path: "d/hard", Type: distro.Hard, Link: "d/odd"},
		distro.File{Path: "l/null", Type: distro.CharDev, Mode: 0o666, Major: 1, Minor: 3, ModTime: when},
		distro.File{Path: "pipe", Type: distro.Fifo, Mode: 0o600, ModTime: when})
	if err := os.WriteFile(filepath.Join(d.Path(), "made"), []byte("by a script"), 0o600); err != nil {
		t.Fatal(err)
	}
	epoch := time.Unix(1800000000, 0)
	frozen, err := d.Freeze(t.Context(), epoch)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for n := range frozen.All() {
		in := n.Inode()
		got = append(got, fmt.Sprintf("%s %o %d %d %d/%d %s %v %d", n.Path(), in.Mode, in.UID, in.ModTime.Sec, in.Major, in.Minor, in.Target, in.Xattrs, n.LinkCount()))
	}
	want := []string{
		" 40755 0 1800000000 0/0  [] 4",
		"d 40755 0 1800000000 0/0  [] 2",
		"d/hard 104755 70000 1700000000 0/0  [{user.a 1} {user.b 2}] 2",
		"d/null 20666 0 1700000000 1/3  [] 1",
		"d/odd 104755 70000 1700000000 0/0  [{user.a 1} {user.b 2}] 2",
		"empty 40755 0 1700000000 0/0  [] 2",
		"l 120777 0 1700000000 0/0 d [] 1",
		"made 100600 0 1800000000 0/0  [] 1",
		"pipe 10600 0 1700000000 0/0  [] 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	made, _ := frozen.Lookup("made")
	var text strings.Builder
	if err := made.CopyTo(&text); err != nil || text.String() != "by a script" {
		t.Errorf("%q, %v", text.String(), err)
	}
}
