package lockfile

import (
	"bytes"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// entryLine is what sha256sum takes for an entry of the canonical form.
var entryLine = regexp.MustCompile(`(?m)^[0-9a-f]{64}  [^ \t\\/][^ \t\\]*$`)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "# samebits lock v1\n", "# samebits lock v2\n",
		sumA + "  a\n" + sumB + " *./b\n# c\n" + sumC + "  c",
		sumA + "  a\n" + sumA + "  /ipfs/Qm\n",
		"# samebits lock v1\n# h\n#: distro debian 12 amd64\n#: date 2026-11-15T09:12:33Z\n#: missing a 1:2~3 all\n#: cid " + sumA + " Qm\n" +
			"#: archive A%20B https://a.example/x\n# c\n" + sumA + "  p/a_1.deb\n#: unsigned\n" + sumB + "  p/b_1.deb\n# t\n",
		"#:archive\tZ\n" + sumA + "  z\n#: archive -\n#: unsigned\n# x\n" + sumA + "  z\n",
		"#: archive A\u00a0B\n", "#: archive A x:\xff\n", "#: archive A %\n", "\ufeff# x\n", sumA + "  a\r\n", sumA + "  ../a\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("f", bytes.NewReader(data))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") || !utf8.ValidString(err.Error()) || strings.ContainsAny(err.Error(), "\x00\n\r\x1b") {
				t.Fatalf("bad message %q", err)
			}
			return
		}
		out := l.Format()
		again, err := Parse("again", bytes.NewReader(out))
		if err != nil {
			t.Fatalf("the formatted lock cannot be read: %v\n%s", err, out)
		}
		if diff := cmp.Diff(l, again); diff != "" {
			t.Fatalf("the formatted lock reads differently:\n%s\n%s", diff, out)
		}
		if !bytes.Equal(again.Format(), out) || !IsCanonical(out) {
			t.Fatalf("formatting twice differs:\n%s\n%s", out, again.Format())
		}
		if n := len(entryLine.FindAll(out, -1)); n != len(l.Entries) {
			t.Fatalf("sha256sum sees %d files, the lock has %d:\n%s", n, len(l.Entries), out)
		}
		for _, e := range l.Entries {
			if err := CheckPath(e.Path); err != nil {
				t.Fatal(err)
			}
			for _, c := range e.Comments {
				checkKept(t, data, c)
			}
		}
		for _, c := range append(l.Header, l.Trailer...) {
			checkKept(t, data, c)
		}
		if _, err := l.WriteTo(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if merged, err := Merge(l, l); err != nil || len(merged.Entries) != len(l.Entries) {
			t.Fatalf("merged with itself: %v, %v", merged, err)
		}
		if rest := l.Without(l); len(rest.Entries) > 0 {
			t.Fatalf("without itself: %s", rest.Format())
		}
	})
}

func checkKept(t *testing.T, data []byte, comment string) {
	if !bytes.Contains(data, []byte(comment)) {
		t.Fatalf("the comment %q was invented", comment)
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, s := range []string{"a", "pool/main/h/hello_1%3a2.10-3_amd64.deb", "..", "a/../b", "/a", "a//b", "a b", "-", "a\\b", "a\x00", "\xff", "a\u202eb"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckPath(name) != nil {
			return
		}
		if below := path.Join("/root", name); !strings.HasPrefix(below, "/root/") || below != "/root/"+name {
			t.Fatalf("%q leads to %q", name, below)
		}
		l, err := Parse("f", strings.NewReader(sumA+"  "+name+"\n"))
		if err != nil || len(l.Entries) != 1 || l.Entries[0].Path != name {
			t.Fatalf("%q does not survive in a lock: %v, %v", name, l, err)
		}
	})
}

func FuzzArchiveName(f *testing.F) {
	f.Add("Debian", "Debian-Security")
	f.Add("-", "")
	f.Add("a/b %", "\xff\u00a0")
	f.Fuzz(func(t *testing.T, origin, label string) {
		name := ArchiveName(origin, label)
		if len(name) > maxLine-100 {
			return
		}
		l, err := Parse("f", strings.NewReader("#: archive "+name+"\n"+sumA+"  a\n"))
		if err != nil || l.Entries[0].Archive != (Archive{Name: name}) {
			t.Fatalf("%q of %q, %q does not survive in a lock: %v", name, origin, label, err)
		}
	})
}
