package pacman

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadInfo(t *testing.T) {
	info, err := ReadInfo(strings.NewReader("# comment\npkgname = a\npkgver = 1-1\npkgdesc = one = two\nurl=http://example.org\nlicense = GPL\nlicense = MIT\n" +
		"backup = etc/a\nbackup =\nbackup = etc/b\nxdata = pkgtype=pkg\ndepend = b>1\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s|%s|%s|%v|%v|%v|%v", info.Name, info.Description, info.URL, info.Licenses, info.Backup, info.XData, info.Depends)
	if want := "a|one = two|http://example.org|[GPL MIT]|[etc/a etc/b]|[pkgtype=pkg]|[b>1]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"", "pkgname = ../a\npkgver = 1-1\n", "pkgname = a\npkgver = 1\n", "pkgname = a\npkgver = 1-1\nword\n"} {
		if _, err := ReadInfo(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

// archive makes a compressed tar of names and contents.
func archive(t testing.TB, files ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpenPackage(t *testing.T) {
	const about = "pkgname = a\npkgver = 1-1\n"
	want := func(*Info) string { return "etc/conf" }
	data := archive(t, ".BUILDINFO", "x", ".PKGINFO", about, "etc/a", "a", "etc/conf", "text")
	if info, content, err := OpenPackage(bytes.NewReader(data), want); err != nil || info.Name != "a" || string(content) != "text" {
		t.Errorf("%v %q %v", info, content, err)
	}
	if info, content, err := OpenPackage(bytes.NewReader(data[:len(data)/2]), func(*Info) string { return "" }); err == nil && (info.Name != "a" || content != nil) {
		t.Errorf("%v %q", info, content)
	}
	if info, content, err := OpenPackage(bytes.NewReader(archive(t, ".PKGINFO", about)), want); err != nil || info.Name != "a" || content != nil {
		t.Errorf("without the other file: %v %q %v", info, content, err)
	}
	for name, bad := range map[string][]byte{"nothing in it": archive(t), "no tar": []byte("word"), "bad": archive(t, ".PKGINFO", "x"), "cut off": data[:10]} {
		if _, _, err := OpenPackage(bytes.NewReader(bad), want); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func TestReadMtree(t *testing.T) {
	list := "#mtree\n/set type=file uid=0 mode=644\n./.PKGINFO size=3\n\n./usr type=dir mode=755\n./usr/z size=1\n./usr/a\\040b\\303\\244 size=1\n" +
		"/set type=dir\n./usr/lib time=1.0\n./usr/lib/x type=link link=y\n/unset type\n"
	want := []string{"usr/", "usr/a bä", "usr/lib/", "usr/lib/x", "usr/z"}
	for name, data := range map[string]string{"plain": list, "compressed": compressed(t, list)} {
		if got, err := ReadMtree(strings.NewReader(data)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, bad := range []string{`./a\04`, `./a\999`, `./a\000`, `./a\012b`, "./" + strings.Repeat("a", maxMtreeLine), "\x1f\x8bword"} {
		if _, err := ReadMtree(strings.NewReader(bad)); err == nil {
			t.Errorf("%.40q was read", bad)
		}
	}
}

func compressed(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestReadMtreeReal holds the lists of a real system against what pacman made
// of them, wherever both are at hand.
func TestReadMtreeReal(t *testing.T) {
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	lists, _ := filepath.Glob(filepath.Join(data, "arch/local-2026-03-x86_64/var/lib/pacman/local/*/mtree"))
	if len(lists) == 0 {
		t.Skip("needs real data")
	}
	for _, name := range lists {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadMtree(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(filepath.Dir(name), "files"))
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		if len(got) > 0 {
			text = "%FILES%\n" + strings.Join(got, "\n") + "\n"
		}
		if have, _, _ := strings.Cut(string(want), "\n\n"); strings.TrimSpace(have) != strings.TrimSpace(text) && !strings.HasPrefix(have, "%BACKUP%") {
			t.Errorf("%s differs", name)
		}
	}
	t.Logf("%d lists", len(lists))
}

func FuzzReadMtree(f *testing.F) {
	f.Add([]byte("/set type=dir\n./usr/a\\040b size=1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		names, err := ReadMtree(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, n := range names {
			if n == "" || n[0] == '.' {
				t.Errorf("%q", n)
			}
		}
		if !slices.IsSorted(names) {
			t.Errorf("not sorted: %q", names)
		}
	})
}

func FuzzOpenPackage(f *testing.F) {
	f.Add(archive(f, ".PKGINFO", "pkgname = a\npkgver = 1-1\n", "etc/conf", "x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, _, err := OpenPackage(bytes.NewReader(data), func(*Info) string { return "etc/conf" })
		if err == nil && (checkName(info.Name) != nil || checkVersion(info.Version) != nil) {
			t.Errorf("%+v", info)
		}
	})
}
