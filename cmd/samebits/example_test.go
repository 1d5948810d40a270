package main

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian"
	"github.com/samebits/samebits/lockfile"
)

const examplePath = "../../SHA256SUMS.example"

func readExample(t *testing.T) *lockfile.Lock {
	t.Helper()
	data, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if !lockfile.IsCanonical(data) {
		t.Errorf("%s is not as samebits itself would write it", examplePath)
	}
	l, err := lockfile.Parse(examplePath, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// The example is a whole lock of a small system: it has what each Debian
// system has, each file once, and lacks nothing.
func TestExampleIsLockOfASystem(t *testing.T) {
	l := readExample(t)
	if l.System != (lockfile.System{Distro: "debian", Version: "12", Arch: "amd64"}) || l.Date.IsZero() || len(l.Missing) > 0 {
		t.Errorf("system %s, date %s, missing %v", l.System, l.Date, l.Missing)
	}
	names := map[string]bool{}
	for _, e := range l.Entries {
		p, ok := debian.Distro{}.Describe(e.Path)
		if !ok || names[p.Name+":"+p.Arch] {
			t.Errorf("%s is not one package of its own", e.Path)
		}
		names[p.Name+":"+p.Arch] = true
		if e.Unsigned || e.Archive.URL != "" {
			t.Errorf("%s is of archive %s, unsigned %v", e.Path, e.Archive, e.Unsigned)
		}
	}
	for _, name := range []string{"dpkg:amd64", "libc6:amd64", "base-files:amd64", "hello:amd64"} {
		if !names[name] {
			t.Errorf("%s is not in it", name)
		}
	}
}

// The example's digests are those of Debian's signed indexes, as far as the
// indexes of this machine still name the files.
func TestExampleIsTrue(t *testing.T) {
	release, err := distro.ReadOSRelease("/")
	if err != nil || release.ID != "debian" || release.VersionID != "12" {
		t.Skip("this is not a Debian 12 machine")
	}
	l := readExample(t)
	sys, err := debian.Distro{}.Open("/", nil)
	if err != nil {
		t.Fatal(err)
	}
	now, err := sys.Update(context.Background(), l, distro.LocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	signed := map[string]lockfile.Digest{}
	for _, e := range now.Lock.Entries {
		if !e.Unsigned {
			signed[e.Path] = e.Digest
		}
	}
	found := 0
	for _, e := range l.Entries {
		if d, ok := signed[e.Path]; ok {
			found++
			if d != e.Digest {
				t.Errorf("%s: the index has %s, the example %s", e.Path, d, e.Digest)
			}
		}
	}
	if found == 0 {
		t.Skip("the indexes of this machine name none of the example's files; run apt-get update")
	}
	t.Logf("%d of %d files are in today's indexes", found, len(l.Entries))
}
