package pacman_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/arch/pacman"
)

const desc = `%FILENAME%
zlib-1:1.3-2-x86_64.pkg.tar.zst

%NAME%
zlib

%BASE%
zlib

%VERSION%
1:1.3-2

%DESC%
Compression library
in two lines

%CSIZE%
100

%ISIZE%
200

%SHA256SUM%
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

%PGPSIG%
AQID

%ARCH%
x86_64

%BUILDDATE%
1500000000

%PACKAGER%
A Person <a@example.org>

%INVENTED%
x

%DEPENDS%
glibc>=2
bash

%PROVIDES%
libz.so=1-64
`

func zlib() *pacman.Desc {
	return &pacman.Desc{
		Name: "zlib", Version: "1:1.3-2", Base: "zlib", Arch: "x86_64", Filename: "zlib-1:1.3-2-x86_64.pkg.tar.zst",
		Size: 100, InstalledSize: 200, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		Signature: []byte{1, 2, 3}, BuildDate: time.Unix(1500000000, 0).UTC(), Packager: "A Person <a@example.org>",
		Depends: []string{"glibc>=2", "bash"}, Provides: []string{"libz.so=1-64"},
	}
}

func TestReadDesc(t *testing.T) {
	for name, text := range map[string]string{
		"as written": desc, "without an end": strings.TrimSuffix(desc, "\n"), "carriage returns": strings.ReplaceAll(desc, "\n", "\r\n"),
		"more blank lines": "\n\n" + strings.ReplaceAll(desc, "\n\n", "\n\n\n"),
	} {
		got, err := pacman.ReadDesc(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(zlib(), got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	got, err := pacman.ReadDesc(strings.NewReader("%NAME%\na\n\n%VERSION%\n1-1\n\n%REASON%\n1\n\n%SIZE%\n7\n\n%INSTALLDATE%\n1600000000\n\n%VALIDATION%\npgp\nsha256\n\n%BUILDDATE%\nSat Dec 30 2009\n\n%GROUPS%\nbase\n\n%OPTDEPENDS%\nx: why\n"))
	want := &pacman.Desc{
		Name: "a", Version: "1-1", Dependency: true, InstalledSize: 7, InstallDate: time.Unix(1600000000, 0).UTC(),
		Validation: []string{"pgp", "sha256"}, Groups: []string{"base"}, OptDepends: []string{"x: why"},
	}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestBadDescs(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(desc, old) {
			t.Fatalf("no %q", old)
		}
		return strings.Replace(desc, old, new, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", `%NAME%: "" is no package name`},
		{"no section", "zlib\n", "line 1: \"zlib\" is not the head of a section"},
		{"two names", change("%INVENTED%\nx", "%NAME%\nglibc"), `line 39: %NAME%: both "zlib" and "glibc"`},
		{"two digests", desc + "\n%SHA256SUM%\n" + strings.Repeat("0", 64) + "\n", "%SHA256SUM%: both"},
		{"no digest", change("e3b0", "xxxx"), `is no SHA-256`},
		{"a short digest", change("e3b0", ""), `is no SHA-256`},
		{"an upper-case digest", change("e3b0", "E3B0"), `is no SHA-256`},
		{"a size", change("%CSIZE%\n100", "%CSIZE%\n-1"), `line 18: %CSIZE%: "-1" is no size`},
		{"a path for a file name", change("%FILENAME%\n", "%FILENAME%\n../"), `is no file name`},
		{"a hidden file name", change("%FILENAME%\n", "%FILENAME%\n."), `is no file name`},
		{"a path for a name", change("%NAME%\nzlib", "%NAME%\n../zlib"), `%NAME%: "../zlib" is no package name`},
		{"an option for a name", change("%NAME%\nzlib", "%NAME%\n-zlib"), `is no package name`},
		{"no release", change("1:1.3-2\n\n", "1:1.3\n\n"), `%VERSION%: "1:1.3" is no version`},
		{"a terminal's command", change("1:1.3-2\n\n", "1:1.3\x1b[1m-2\n\n"), `is no version`},
		{"a damaged signature", change("AQID", "AQI%"), "%PGPSIG%"},
		{"too long", desc + strings.Repeat("x\n", 3<<20), "longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := pacman.ReadDesc(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %+v, %v; want %s", p, err, c.want)
			}
		})
	}
	if _, err := pacman.ReadDesc(iotest.ErrReader(iotest.ErrTimeout)); err != iotest.ErrTimeout {
		t.Error(err)
	}
}

func FuzzReadDesc(f *testing.F) {
	f.Add([]byte(desc))
	f.Add([]byte("%NAME%\na\n\n%VERSION%\n1-1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := pacman.ReadDesc(bytes.NewReader(data))
		if err == nil {
			sane(t, p)
		}
	})
}

// sane fails where what was read could lead anywhere.
func sane(t *testing.T, p *pacman.Desc) {
	t.Helper()
	for _, s := range []string{p.Name, p.Version, p.Filename} {
		if strings.ContainsAny(s, "/\n \x00\x1b") || s == "." || s == ".." {
			t.Fatalf("%q", s)
		}
	}
	if p.Name == "" || p.Version == "" || p.Size < 0 || p.InstalledSize < 0 || p.SHA256 != "" && len(p.SHA256) != 64 {
		t.Fatalf("%+v", p)
	}
}

// pack makes a tar of files by name, in the order of the names.
func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var names []string
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, n := range names {
		h := &tar.Header{Name: n, Size: int64(len(files[n])), Mode: 0o644, Typeflag: tar.TypeReg}
		if strings.HasSuffix(n, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// squeeze compresses data with a real tool.
func squeeze(t *testing.T, data []byte, argv ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadSync(t *testing.T) {
	other := "%NAME%\nbash\n\n%VERSION%\n5.0-1\n"
	cut := strings.Index(desc, "%DEPENDS%")
	files := map[string]string{
		"zlib-1:1.3-2/": "", "zlib-1:1.3-2/desc": desc, "zlib-1:1.3-2/files": "%FILES%\nusr/\n",
		"bash-5.0-1/": "", "bash-5.0-1/desc": other, ".hidden": "x",
	}
	plain := pack(t, files)
	old := pack(t, map[string]string{"./zlib-1:1.3-2/depends": desc[cut:], "./zlib-1:1.3-2/desc": desc[:cut], "./bash-5.0-1/desc": other})
	bash := pacman.Desc{Name: "bash", Version: "5.0-1"}
	for name, data := range map[string][]byte{
		"plain": plain, "with depends files": old, "gzip": squeeze(t, plain, "gzip", "-c"), "zstd": squeeze(t, plain, "zstd", "-qc"),
		"xz": squeeze(t, plain, "xz", "-c"), "bzip2": squeeze(t, plain, "bzip2", "-c"), "lz4": squeeze(t, plain, "lz4", "-qc"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pacman.ReadSync(bytes.NewReader(data), nil)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]pacman.Desc{bash, *zlib()}, got); d != "" {
				t.Error(d)
			}
			got, err = pacman.ReadSync(bytes.NewReader(data), func(name string) bool { return name == "zlib" })
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]pacman.Desc{*zlib()}, got); d != "" {
				t.Error(d)
			}
			if got, err := pacman.ReadSync(bytes.NewReader(data[:len(data)/2]), nil); err == nil {
				t.Errorf("half of it is taken for whole: %d packages", len(got))
			}
		})
	}
}

func TestBadDatabases(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"another package":      {map[string]string{"zlib-1:1.3-3/desc": desc}, "zlib-1:1.3-3: it describes zlib 1:1.3-2"},
		"a folder without":     {map[string]string{"zlib/desc": desc}, "zlib/desc: the folder is not called"},
		"no folder":            {map[string]string{"desc": desc}, "desc: the folder is not called"},
		"a path":               {map[string]string{"../zlib-1:1.3-2/desc": desc}, "the folder is not called"},
		"depends alone":        {map[string]string{"zlib-1:1.3-2/depends": "%DEPENDS%\nx\n"}, `zlib-1:1.3-2: %NAME%: "" is no package name`},
		"a description of two": {map[string]string{"zlib-1:1.3-2/depends": desc + "\n%NAME%\nbash\n", "zlib-1:1.3-2/desc": desc}, "both"},
		"a bad description":    {map[string]string{"zlib-1:1.3-2/desc": "x"}, "zlib-1:1.3-2/desc: line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pacman.ReadSync(bytes.NewReader(pack(t, c.files)), nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %s", got, err, c.want)
			}
		})
	}
	for name, text := range map[string]string{"a page": "<html>" + strings.Repeat("x", 1000), "gzip of nothing": "\x1f\x8b"} {
		if _, err := pacman.ReadSync(strings.NewReader(text), nil); err == nil {
			t.Errorf("%s is taken for a database", name)
		}
	}
	if got, err := pacman.ReadSync(bytes.NewReader(pack(t, nil)), nil); err != nil || len(got) != 0 {
		t.Errorf("an empty repository: %v, %v", got, err)
	}
}

func FuzzReadSync(f *testing.F) {
	f.Add(pack(f, map[string]string{"zlib-1:1.3-2/desc": desc, "a-1-1/": ""}))
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	fmt.Fprintf(w, "%s", pack(f, map[string]string{"zlib-1:1.3-2/depends": "%DEPENDS%\na\n", "zlib-1:1.3-2/desc": desc}))
	w.Close()
	f.Add(zipped.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := pacman.ReadSync(bytes.NewReader(data), nil)
		if err != nil {
			return
		}
		for i := range got {
			sane(t, &got[i])
		}
	})
}
