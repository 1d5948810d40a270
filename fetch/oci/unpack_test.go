package oci

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// A memory is a shelf with parts by digest.
type memory map[lockfile.Digest][]byte

func (m memory) part(_ context.Context, _ bool, d lockfile.Digest, _ int64) ([]byte, error) {
	data, ok := m[d]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func lockOf(distro, arch string, date time.Time) fetch.Set {
	l := &lockfile.Lock{
		System:  lockfile.System{Distro: distro, Version: "1", Arch: arch},
		Date:    date,
		Entries: []lockfile.Entry{{Path: "a", Digest: lockfile.DigestOf([]byte(arch))}},
	}
	return fetch.Set{Lock: l, Files: []fetch.File{{Entry: l.Entries[0], Size: 5}}}
}

// shelve returns the artifact of sets as a shelf.
func shelve(t testing.TB, sets ...fetch.Set) (*artifact, memory) {
	t.Helper()
	a, err := newArtifact(sets)
	if err != nil {
		t.Fatal(err)
	}
	m := memory{}
	for _, doc := range slices.Concat(a.blobs, a.manifests, []document{a.top}) {
		m[lockfile.DigestOf(doc.data)] = doc.data
	}
	return a, m
}

// An index has the newest date, and the platforms in order.
func TestIndex(t *testing.T) {
	day := time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)
	a, m := shelve(t, lockOf("debian", "riscv64", day), lockOf("debian", "armhf", day.AddDate(0, 0, 1)), lockOf("debian", "amd64", day))
	var got []string
	for _, d := range a.manifests {
		got = append(got, platformName(d.Platform))
	}
	if want := []string{"linux/amd64/", "linux/arm/v7", "linux/riscv64/"}; !slices.Equal(got, want) {
		t.Errorf("platforms %v, want %v", got, want)
	}
	if !strings.Contains(string(a.top.data), `"org.opencontainers.image.created":"2026-11-16T00:00:00Z"`) {
		t.Errorf("the index is %s", a.top.data)
	}
	pulled, err := unpack(context.Background(), m, a.top.data)
	if err != nil || len(pulled) != 3 || pulled[2].Lock.System.Arch != "riscv64" {
		t.Errorf("%v, error %v", pulled, err)
	}
}

func TestPlatforms(t *testing.T) {
	for arch, want := range map[string]v1.Platform{
		"amd64":       {OS: "linux", Architecture: "amd64"},
		"x86_64":      {OS: "linux", Architecture: "amd64"},
		"arm64":       {OS: "linux", Architecture: "arm64"},
		"aarch64":     {OS: "linux", Architecture: "arm64"},
		"armhf":       {OS: "linux", Architecture: "arm", Variant: "v7"},
		"i386":        {OS: "linux", Architecture: "386"},
		"riscv64":     {OS: "linux", Architecture: "riscv64"},
		"ppc64el":     {OS: "linux", Architecture: "ppc64le"},
		"s390x":       {OS: "linux", Architecture: "s390x"},
		"loongarch64": {OS: "linux", Architecture: "loong64"},
	} {
		got := platform(lockfile.System{Distro: "debian", Arch: arch})
		if got == nil || got.OS != want.OS || got.Architecture != want.Architecture || got.Variant != want.Variant {
			t.Errorf("%s is %+v, want %+v", arch, got, want)
		}
	}
	if got := platform(lockfile.System{Distro: "alpine", Arch: "armhf"}); got.Variant != "v6" {
		t.Errorf("Alpine's armhf is %+v", got)
	}
	if got := platform(lockfile.System{}); got != nil {
		t.Errorf("an unknown system is %+v", got)
	}
}

func TestMediaTypes(t *testing.T) {
	for path, want := range map[string]string{
		"pool/a_1_amd64.deb":    "application/vnd.debian.binary-package",
		"a-1.fc41.x86_64.rpm":   "application/x-rpm",
		"a-1-x86_64.pkg.tar.xz": "application/x-xz",
		"v3.20/a-1.apk":         "application/octet-stream",
		"deb":                   "application/octet-stream",
	} {
		if got := mediaType(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
}

// An artifact that is too large for a registry is refused before it is sent.
func TestTooManyFiles(t *testing.T) {
	set := lockOf("debian", "amd64", time.Time{})
	for range 30_000 {
		set.Files = append(set.Files, set.Files[0])
	}
	if _, err := newArtifact([]fetch.Set{set}); err == nil || !strings.Contains(err.Error(), "too many files") {
		t.Errorf("error %v", err)
	}
	if _, err := newArtifact(nil); err == nil {
		t.Error("nothing makes an artifact")
	}
}

// Whatever a manifest says, only locks with the right digest come out.
func FuzzUnpack(f *testing.F) {
	day := time.Date(2026, 11, 15, 0, 0, 0, 0, time.UTC)
	one, parts := shelve(f, lockOf("debian", "amd64", day))
	two, more := shelve(f, lockOf("debian", "arm64", day), lockOf("alpine", "x86", day))
	for d, data := range more {
		parts[d] = data
	}
	f.Add(one.top.data)
	f.Add(two.top.data)
	f.Add([]byte(`{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"x","size":-1}]}`))
	f.Add([]byte(`{"layers":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		pulled, err := unpack(context.Background(), parts, data)
		if err != nil {
			return
		}
		for _, p := range pulled {
			if _, known := parts[lockfile.DigestOf(p.Data)]; !known || p.Lock == nil {
				t.Errorf("%q came out", p.Data)
			}
		}
	})
}
