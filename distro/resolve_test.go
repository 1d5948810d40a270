package distro_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
)

func newBench(t *testing.T) distro.Bench {
	t.Helper()
	b, err := (&distrotest.Workshop{}).Lay(t.Context(), struct{ distro.Locator }{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCopyInto(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a/b/c"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	if err := distro.CopyInto(b, dir, "goal"); err != nil {
		t.Fatal(err)
	}
	r, err := b.Read("goal/a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
	if f, err := b.Stat("goal/a"); err != nil || f.Type != distro.Directory {
		t.Errorf("%v, %v", f, err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "a/link")); err != nil {
		t.Fatal(err)
	}
	if err := distro.CopyInto(newBench(t), dir, ""); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a link: %v", err)
	}
}

func TestAtSnapshot(t *testing.T) {
	at := time.Date(2024, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		mirror string
		at     time.Time
		form   string
		want   string // empty for refused
	}{
		{"http://a/debian/", time.Time{}, distro.Stamp, "http://a/debian"},
		{"http://a/{{.Timestamp}}/debian", at, distro.Stamp, "http://a/20240102T020405Z/debian"},
		{"http://a/{{.Timestamp}}/", at, "2006/01/02", "http://a/2024/01/02"},
		{"http://a/{{.Timestamp}}", time.Time{}, distro.Stamp, ""},
		{"http://a/debian", at, distro.Stamp, ""},
	} {
		r := distro.ResolveRequest{Mirrors: []string{c.mirror}, Snapshot: c.at}
		got, err := r.AtSnapshot(c.form)
		var bad *distro.RequestError
		if c.want == "" && !errors.As(err, &bad) || c.want != "" && (err != nil || got[0] != c.want) {
			t.Errorf("%s as of %v: %v, %v", c.mirror, c.at, got, err)
		}
	}
}

func TestUnknownPackageError(t *testing.T) {
	err := &distro.UnknownPackageError{Names: []string{"a", "b"}, Where: "trixie for arm64", Hint: "look elsewhere"}
	if got := err.Error(); got != "trixie for arm64 has no package a, b; look elsewhere" {
		t.Error(got)
	}
}

func TestAsked(t *testing.T) {
	for _, c := range []struct {
		named, arguments int
		want             string
	}{{1, 1, "1 package"}, {2, 2, "2 packages"}, {2, 3, "2 packages and the base"}, {0, 23, "the base"}} {
		r := distro.ResolveRequest{Packages: make([]string, c.named)}
		if got := r.Asked(make([]string, c.arguments)); got != c.want {
			t.Errorf("%d named, %d arguments: %q, want %q", c.named, c.arguments, got, c.want)
		}
	}
}
