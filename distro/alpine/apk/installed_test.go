package apk_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/samebits/samebits/distro/alpine/apk"
)

const installedText = `C:Q1qKcZ+j23xssAXmgQhkOO8dHnbWw=
P:alpine-baselayout
V:3.6.5-r0
A:x86_64
S:8515
D:alpine-baselayout-data=3.6.5-r0 /bin/sh
r:howdy<2
q:1000
s:@edge
f:S
F:dev
F:etc
M:0:0:755
R:motd
a:0:0:600
Z:Q1SLkS9hBidUbPwwrw+XR0Whv3ww8=

P:broken
V:1-r0
f:fsx
F:

F:overlay
R:file

`

func TestReadInstalled(t *testing.T) {
	got, err := apk.ReadInstalled(strings.NewReader(installedText))
	if err != nil {
		t.Fatal(err)
	}
	want := []apk.Record{
		{
			Name: "alpine-baselayout", Version: "3.6.5-r0", Arch: "x86_64", Size: 8515,
			Depends:          []string{"alpine-baselayout-data=3.6.5-r0", "/bin/sh"},
			Replaces:         []string{"howdy<2"},
			ReplacesPriority: 1000, Tag: "@edge",
		},
		{Name: "broken", Version: "1-r0", Broken: "fs"},
	}
	if len(got) > 0 {
		want[0].Identity = got[0].Identity // looked at by TestIdentities
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestBrokenInstalled(t *testing.T) {
	for text, want := range map[string]string{
		"P:a\nF:x\n\n":            "line 3: malformed: a package has no version",
		"P:a\nV:1\nnonsense\n":    `line 3: malformed: "nonsense" is no field`,
		"P:a/b\nV:1\n":            "is no name",
		"P:a\nV:1\nC:Q1\n":        "is no digest",
		"P:a\nV:1\nq:much\n":      "field q",
		"P:a\nV:1\n\nP:b\nV:\n\n": "line 6",
	} {
		_, err := apk.ReadInstalled(strings.NewReader(text))
		if !errors.Is(err, apk.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	broken := errors.New("the disk broke")
	if _, err := apk.ReadInstalled(&failing{bytes.NewReader(nil), broken}); !errors.Is(err, broken) {
		t.Error(err)
	}
}

// TestInstalledByApk3 reads what apk 3 keeps, and finds the package that it
// installed by the begin of its identity.
func TestInstalledByApk3(t *testing.T) {
	got, err := apk.ReadInstalled(bytes.NewReader(v3(t, "installed")))
	if err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	r := got[0]
	if r.Name != "hello-data" || r.Broken != "" {
		t.Errorf("%+v", r)
	}
	if err := apk.CheckPackage(bytes.NewReader(v3(t, v3Files["hello-data"])), r, nil); err != nil {
		t.Error(err)
	}
}

// TestInstalledReal compares with what the real apk says of the same roots.
func TestInstalledReal(t *testing.T) {
	for version, n := range map[string]int{"3.6.5": 13, "3.19.4": 15, "3.20.3": 14} {
		a := newRealApk(t, version)
		f, err := os.Open(filepath.Join(a.root, "lib/apk/db/installed"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := apk.ReadInstalled(f)
		if err != nil {
			t.Fatal(err)
		}
		var ours []string
		for _, r := range got {
			ours = append(ours, r.Name+"-"+r.Version)
			if len(r.Identity) != 20 || r.Size == 0 || r.Arch != "x86_64" || r.Broken != "" || r.Unsupported {
				t.Errorf("%+v", r)
			}
		}
		slices.Sort(ours)
		out, err := a.run("info", "-v")
		if err != nil {
			t.Fatal(err, out)
		}
		var theirs []string
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "WARNING") {
				theirs = append(theirs, line)
			}
		}
		slices.Sort(theirs)
		if d := cmp.Diff(theirs, ours); d != "" || len(ours) != n {
			t.Errorf("%s: %d packages\n%s", version, len(ours), d)
		}
	}
}

// TestInstalledForeign reads the database of another architecture.
func TestInstalledForeign(t *testing.T) {
	text := fromTar(t, data(t, "minirootfs/alpine-minirootfs-3.19.4-aarch64.tar.gz"), "./lib/apk/db/installed")
	got, err := apk.ReadInstalled(bytes.NewReader(text))
	if err != nil || len(got) != 15 || got[0].Arch != "aarch64" {
		t.Error(len(got), err)
	}
}

// fromTar returns a file of a packed archive.
func fromTar(t testing.TB, path, name string) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	tr := tar.NewReader(z)
	for {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(fmt.Errorf("%s in %s: %w", name, path, err))
		}
		if h.Name == name {
			b, err := io.ReadAll(tr)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
	}
}
