package deb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const sample = "Package: hello\nVersion: 1:2.10-3\nArchitecture: amd64\nEssential: yes\n" +
	"Pre-Depends: libc6 (>= 2.34)\nDepends: a,\n b | c\nDescription: says hello\n to all\n"

var want = Control{
	Package: "hello", Version: "1:2.10-3", Architecture: "amd64", Essential: true,
	PreDepends: "libc6 (>= 2.34)", Depends: "a,\n b | c",
}

// arFile makes an ar archive of names and contents in turn.
func arFile(members ...string) []byte {
	var b bytes.Buffer
	b.WriteString(arMagic)
	for i := 0; i < len(members); i += 2 {
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", members[i], 0, 0, 0, "100644", len(members[i+1]), members[i+1])
		if len(members[i+1])%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

func tarOf(name, content string) string {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o755})
	w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))})
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func read(b []byte) (*Control, error) { return Read(bytes.NewReader(b), int64(len(b))) }

func TestReadMembers(t *testing.T) {
	for name, file := range map[string][]byte{
		"plain":            arFile("debian-binary", "2.0\n", "control.tar", tarOf("./control", sample)),
		"odd sized":        arFile("debian-binary", "2.0", "control.tar", tarOf("control", sample)),
		"gzip":             arFile("debian-binary", "2.1\nmore\n", "control.tar.gz", gz(tarOf("./control", sample)), "data.tar", ""),
		"slashes in names": arFile("debian-binary/", "2.0\n", "control.tar.gz/", gz(tarOf("./control", sample))),
		"reserved member":  arFile("debian-binary", "2.0\n", "_gpgorigin", "xx", "control.tar", tarOf("./control", sample)),
		"space around":     arFile("debian-binary", "2.0\n", "control.tar", tarOf("./control", "\n"+sample+"\n\n")),
	} {
		c, err := read(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if *c != want {
			t.Errorf("%s: read %+v, want %+v", name, *c, want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	good := arFile("debian-binary", "2.0\n", "control.tar", tarOf("./control", sample))
	control := func(s string) []byte {
		return arFile("debian-binary", "2.0\n", "control.tar", tarOf("./control", s))
	}
	for _, tt := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "not a Debian package"},
		{"text", []byte("<html>404 not found</html>"), "not a Debian package"},
		{"other archive", arFile("a.o", "x"), "not a Debian package"},
		{"old format", arFile("debian-binary", "0.939\n"), `"0.939"`},
		{"no control", arFile("debian-binary", "2.0\n"), "no control archive"},
		{"data first", arFile("debian-binary", "2.0\n", "data.tar", ""), `"data.tar"`},
		{"unknown compression", arFile("debian-binary", "2.0\n", "control.tar.rar", "x"), `".rar"`},
		{"not gzip", arFile("debian-binary", "2.0\n", "control.tar.gz", "junk"), "control.tar.gz"},
		{"not zstd", arFile("debian-binary", "2.0\n", "control.tar.zst", "junkjunk"), "control.tar.zst"},
		{"cut off", good[:len(good)-100], "cut off"},
		{"cut in header", good[:90], "within a header"},
		{"bad header", bytes.Replace(good, []byte("`\n"), []byte("xx"), 1), "damaged member header"},
		{"bad size", bytes.Replace(good, []byte("4         `"), []byte("-4        `"), 1), "damaged member size"},
		{"no control file", arFile("debian-binary", "2.0\n", "control.tar", tarOf("./md5sums", "")), "no control file"},
		{"two paragraphs", control(sample + "\n" + sample), "2 paragraphs"},
		{"no version", control("Package: a\nArchitecture: all\n"), "no field Version"},
		{"path as name", control("Package: ../a\nVersion: 1\nArchitecture: all\n"), `"../a"`},
		{"huge paragraph", control("Package: a\nDescription: " + strings.Repeat("x", maxParagraph)), "more than"},
		{"bomb", arFile("debian-binary", "2.0\n", "control.tar.gz", gz(tarOf("./big", strings.Repeat("\x00", maxControlData+1)))), "decompressed"},
	} {
		_, err := read(tt.file)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
	if _, err := read(nil); !errors.Is(err, ErrNotPackage) {
		t.Errorf("empty file: %v does not wrap ErrNotPackage", err)
	}
}

// TestDpkgDeb reads what dpkg-deb writes, with each compression it has.
func TestDpkgDeb(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	tree := t.TempDir()
	if err := os.Mkdir(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(sample, "Description", "Maintainer: T <t@example.invalid>\nDescription")
	if err := os.WriteFile(filepath.Join(tree, "DEBIAN", "control"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, compression := range []string{"none", "gzip", "xz", "zstd"} {
		file := filepath.Join(t.TempDir(), "x.deb")
		out, err := exec.Command("dpkg-deb", "--root-owner-group", "--uniform-compression", "-Z"+compression, "-b", tree, file).CombinedOutput()
		if err != nil {
			t.Fatalf("dpkg-deb: %v\n%s", err, out)
		}
		c, err := ReadFile(file)
		if err != nil {
			t.Errorf("%s: %v", compression, err)
		} else if *c != want {
			t.Errorf("%s: read %+v, want %+v", compression, *c, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(arFile("debian-binary", "2.0\n", "control.tar", tarOf("./control", sample)))
	f.Add(arFile("debian-binary", "2.0\n", "control.tar.gz", gz(tarOf("./control", sample))))
	f.Add(arFile("debian-binary", "2.0\n", "control.tar.xz", "\xfd7zXZ\x00"))
	f.Add(arFile("debian-binary", "2.0\n", "control.tar.zst", "\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := read(b)
		if err != nil {
			return
		}
		for _, s := range []string{c.Package, c.Version, c.Architecture} {
			if s == "" || strings.ContainsAny(s, "/ \n\x00") {
				t.Fatalf("accepted %q in %+v", s, c)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	file := arFile("debian-binary", "2.0\n", "control.tar.gz", gz(tarOf("./control", sample)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(file); err != nil {
			b.Fatal(err)
		}
	}
}
