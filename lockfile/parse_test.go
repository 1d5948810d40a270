package lockfile

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	sumC = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
)

func mustParse(t testing.TB, text string) *Lock {
	t.Helper()
	l, err := Parse("test.sums", strings.NewReader(text))
	if err != nil {
		t.Fatalf("Parse: %v\n%s", err, text)
	}
	return l
}

func digest(t testing.TB, s string) Digest {
	t.Helper()
	d, err := ParseDigest(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Canonical files come out as they went in, by every way out.
func TestCanonicalFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/canonical/*")
	if err != nil || len(files) < 6 {
		t.Fatalf("golden files: %v %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		l, err := Parse(file, bytes.NewReader(data))
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(string(data), string(l.Format())); diff != "" {
			t.Errorf("%s does not come out as it went in:\n%s", file, diff)
		}
		if !IsCanonical(data) {
			t.Errorf("%s: IsCanonical is false", file)
		}
		var b bytes.Buffer
		if n, err := l.WriteTo(&b); err != nil || n != int64(len(data)) || !bytes.Equal(b.Bytes(), data) {
			t.Errorf("%s: WriteTo: %d, %v", file, n, err)
		}
	}
}

func TestParseMeaning(t *testing.T) {
	data, err := os.ReadFile("testdata/canonical/debian.sums")
	if err != nil {
		t.Fatal(err)
	}
	l := mustParse(t, string(data))
	hello := DigestOf([]byte("hello"))
	debian := Archive{Name: "Debian"}
	inc := Archive{Name: "Example%20Inc", URL: "https://apt.example.org/stable"}
	want := &Lock{
		System: System{"debian", "12", "amd64"},
		Date:   time.Date(2026, 11, 15, 9, 12, 33, 0, time.UTC),
		Entries: []Entry{
			{Digest: DigestOf([]byte("stdc")), Path: "pool/main/g/gcc-12/libstdc++6_12.2.0-14+deb12u1_amd64.deb", Archive: debian},
			{Digest: hello, Path: "pool/main/h/hello/hello_2.10-3_amd64.deb", Archive: debian,
				Comments: []string{"# pinned by hand until the new hello works"}},
			{Digest: DigestOf([]byte("openssl")), Path: "pool/updates/main/o/openssl/openssl_3.0.17-1~deb12u3_amd64.deb",
				Archive: Archive{Name: "Debian/Debian-Security"}},
			{Digest: DigestOf([]byte("agent")), Path: "pool/a/agent/agent_1%3a2.0_amd64.deb", Archive: inc},
			{Digest: DigestOf([]byte("tool")), Path: "pool/t/tool/tool_0.1_all.deb", Archive: inc, Unsigned: true},
		},
		Missing: []Missing{{"acme-agent", "4.2-1", "amd64"}, {"zlib1g", "1:1.2.13.dfsg-1", "i386"}},
		CIDs:    map[Digest]string{hello: "bafkreictest"},
		Header:  []string{"# Our build machines, see the wiki.", "#"},
		Trailer: []string{"# the end"},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	if got := l.Entries[1].Base(); got != "hello_2.10-3_amd64.deb" {
		t.Errorf("Base = %q", got)
	}
}

// What is not canonical but harmless is read, and this is what becomes of it.
func TestParseForeign(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"sha256sum text mode", sumA + "  b.deb\n" + sumB + "  a.deb\n",
			sumB + "  a.deb\n" + sumA + "  b.deb\n"},
		{"sha256sum binary mode", sumA + " *a.deb\n", sumA + "  a.deb\n"},
		{"name that begins with a star", sumA + "  *a.deb\n", sumA + "  *a.deb\n"},
		{"find's dot", sumA + "  ./pool/a.deb\n", sumA + "  pool/a.deb\n"},
		{"dot after the binary mark", sumA + " *./a.deb\n", sumA + "  a.deb\n"},
		{"upper case", strings.ToUpper(sumA) + "  a.deb\n", sumA + "  a.deb\n"},
		{"no last line end", sumA + "  a.deb", sumA + "  a.deb\n"},
		{"blank lines", "\n" + sumA + "  a.deb\n \t\n\n" + sumB + "  b.deb\n\n", sumA + "  a.deb\n" + sumB + "  b.deb\n"},
		{"a line twice", sumA + "  a.deb\n" + sumA + "  ./a.deb\n", sumA + "  a.deb\n"},
		{"one file under two paths", sumA + "  b.deb\n" + sumA + "  a.deb\n", sumA + "  a.deb\n" + sumA + "  b.deb\n"},
		{"repro-get's IPFS lines", sumA + "  a.deb\n" + sumA + "  /ipfs/QmRY19\n", "#: cid " + sumA + " QmRY19\n" + sumA + "  a.deb\n"},
		{"IPFS line alone and first", sumA + "  /ipfs/QmRY19\n" + sumB + "  b.deb\n", "#: cid " + sumA + " QmRY19\n" + sumB + "  b.deb\n"},
		{"two IPFS addresses", sumA + "  /ipfs/QmZ\n" + sumA + "  a.deb\n" + sumA + "  /ipfs/QmA\n", "#: cid " + sumA + " QmA\n" + sumA + "  a.deb\n"},
		{"directive without a space", "#:distro\tdebian  12 amd64\n" + sumA + "  a.deb\n", "#: distro debian 12 amd64\n" + sumA + "  a.deb\n"},
		{"head at the foot", sumA + "  a.deb\n#: missing b 1 all\n#: date 2026-01-02T03:04:05Z\n#: distro debian 12 amd64\n",
			"#: distro debian 12 amd64\n#: date 2026-01-02T03:04:05Z\n#: missing b 1 all\n" + sumA + "  a.deb\n"},
		{"said twice", "#: date 2026-01-02T03:04:05Z\n#: date 2026-01-02T03:04:05Z\n#: missing b 1 all\n#: missing b 1 all\n" + sumA + "  a.deb\n",
			"#: date 2026-01-02T03:04:05Z\n#: missing b 1 all\n" + sumA + "  a.deb\n"},
		{"signed again after a new group", "#: unsigned\n" + sumA + "  a.deb\n#: archive X\n" + sumB + "  b.deb\n",
			"#: unsigned\n" + sumA + "  a.deb\n#: archive X\n" + sumB + "  b.deb\n"},
		{"archives out of order", "#: archive Z\n#: unsigned\n" + sumA + "  a.deb\n#: archive Z\n" + sumB + "  b.deb\n#: archive A\n" + sumC + "  c.deb\n",
			"#: archive A\n" + sumC + "  c.deb\n#: archive Z\n" + sumB + "  b.deb\n#: unsigned\n" + sumA + "  a.deb\n"},
		{"archive without entries", "#: archive Z\n#: archive A\n" + sumA + "  a.deb\n#: archive Q\n", "#: archive A\n" + sumA + "  a.deb\n"},
		{"a path in two archives", "#: archive Z\n" + sumA + "  a.deb\n#: archive A\n" + sumA + "  a.deb\n", "#: archive A\n" + sumA + "  a.deb\n"},
		{"signed wins", "#: archive A\n#: unsigned\n" + sumA + "  a.deb\n#: archive Z\n" + sumA + "  a.deb\n", "#: archive Z\n" + sumA + "  a.deb\n"},
		{"named wins", sumA + "  a.deb\n#: archive Z\n" + sumA + "  a.deb\n", "#: archive Z\n" + sumA + "  a.deb\n"},
		{"comment that looks like a version line", sumA + "  a.deb\n# samebits lock versions are few\n", sumA + "  a.deb\n# samebits lock versions are few\n"},
		{"names with odd characters", sumA + "  ~a/%3a#'\"$`;&|<>(){}[]?*,=+@^!ü日.deb\n", sumA + "  ~a/%3a#'\"$`;&|<>(){}[]?*,=+@^!ü日.deb\n"},
		{"names with dots and dashes", sumA + "  ...\n" + sumB + "  --x/..y\n", sumB + "  --x/..y\n" + sumA + "  ...\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := mustParse(t, tt.in)
			if diff := cmp.Diff(versionLine+"\n"+tt.want, string(l.Format())); diff != "" {
				t.Error(diff)
			}
			if IsCanonical([]byte(tt.in)) {
				t.Error("IsCanonical says that this is the canonical form")
			}
		})
	}
}

func TestComments(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"everywhere",
			"# 1\n# samebits lock news\n#: distro debian 12 amd64\n# 2\n#: date 2026-01-02T03:04:05Z\n# 3\n#: archive A\n# 4\n#: unsigned\n# 5\n" +
				sumB + "  b\n#\n# 6 \n\n# 7\n" + sumA + "  a\n# 8\n#: missing x 1 all\n#9\n",
			"# 1\n# samebits lock news\n# 2\n# 3\n#: distro debian 12 amd64\n#: date 2026-01-02T03:04:05Z\n#: missing x 1 all\n#: archive A\n#: unsigned\n#\n# 6 \n# 7\n" +
				sumA + "  a\n# 4\n# 5\n" + sumB + "  b\n# 8\n#9\n"},
		{"entry's own becomes the head's when nothing is between",
			sumB + "  b\n# about a\n" + sumA + "  a\n", "# about a\n" + sumA + "  a\n" + sumB + "  b\n"},
		{"heading of a file that is out of order",
			"# heading\n" + sumB + "  b\n" + sumA + "  a\n", "# heading\n" + sumA + "  a\n" + sumB + "  b\n"},
		{"heading and a group", "# heading\n" + sumB + "  b\n#: archive A\n" + sumA + "  a\n#: date 2026-01-02T03:04:05Z\n",
			"# heading\n#: date 2026-01-02T03:04:05Z\n" + sumB + "  b\n#: archive A\n" + sumA + "  a\n"},
		{"above the first entry, below a directive", "#: distro a b c\n# about a\n" + sumA + "  a\n", "#: distro a b c\n# about a\n" + sumA + "  a\n"},
		{"of lines that are one", "# x\n#: archive A\n# y\n" + sumA + "  a\n# z\n" + sumA + "  a\n", "# x\n#: archive A\n# y\n# z\n" + sumA + "  a\n"},
		{"of an empty lock", "# samebits lock v1\n# x\n#: archive A\n# y\n", "# x\n# y\n"},
		{"odd text", "#!shebang\n#\ttab\n# ünï\u200ccode 日本\n" + sumA + "  a\n", "#!shebang\n#\ttab\n# ünï\u200ccode 日本\n" + sumA + "  a\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := mustParse(t, tt.in)
			if diff := cmp.Diff(versionLine+"\n"+tt.want, string(l.Format())); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(l, mustParse(t, string(l.Format()))); diff != "" {
				t.Errorf("reading the canonical form gives another lock:\n%s", diff)
			}
		})
	}
}

func TestParseReadError(t *testing.T) {
	// The failed read is told, and not the half line that it left behind.
	r := io.MultiReader(strings.NewReader(sumA+"  a\nhalf a li"), iotest.ErrReader(fs.ErrPermission))
	_, err := Parse("x", r)
	var pe *ParseError
	if !errors.Is(err, fs.ErrPermission) || errors.As(err, &pe) || err.Error() != "read x: permission denied" {
		t.Errorf("Parse = %v", err)
	}
}

func TestParseErrorUnwraps(t *testing.T) {
	inner := errors.New("inner")
	if err := error(&ParseError{File: "f", Line: 3, Err: inner}); !errors.Is(err, inner) || err.Error() != "f:3: inner" {
		t.Error(err)
	}
}

func TestWriteToRefusesWhatCannotBeRead(t *testing.T) {
	a := Entry{Digest: digest(t, sumA), Path: "a"}
	b := Entry{Digest: digest(t, sumB), Path: "b"}
	for name, l := range map[string]*Lock{
		"space in the system": {System: System{"debian", "12 beta", "amd64"}},
		"half a system":       {System: System{"debian", "", "amd64"}},
		"not sorted":          {Entries: []Entry{b, a}},
		"not a comment":       {Header: []string{"hello"}},
		"bad path":            {Entries: []Entry{{Digest: a.Digest, Path: "/etc/passwd"}}},
		"no digest":           {Entries: []Entry{{Path: "a"}}},
		"URL without a name":  {Entries: []Entry{{Digest: a.Digest, Path: "a", Archive: Archive{URL: "https://a.example"}}}},
	} {
		var out bytes.Buffer
		if n, err := l.WriteTo(&out); err == nil || n != 0 || out.Len() > 0 {
			t.Errorf("%s: WriteTo wrote %d bytes, error %v", name, n, err)
		}
	}
	if _, err := (&Lock{Entries: []Entry{a, b}}).WriteTo(failingWriter{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("WriteTo to a broken pipe: %v", err)
	}
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
