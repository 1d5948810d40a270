package alpine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// TestConformance runs the suite of all families on Alpine's minimal roots and
// the branch 3.19 as it was in June 2024. What that does not have, or what its
// mirror lacks the file of, must be named with the reason.
func TestConformance(t *testing.T) {
	for name, f := range map[string]struct {
		installed, located int
		reason             string // of all that is missing, or parts of it
		warned             string
	}{
		"3.6.5-x86_64":   {13, 0, "no index could be read", "it is signed only by keys that are not trusted"},
		"3.19.4-x86_64":  {15, 8, "the repositories offer other versions now|the index lists it, but no place has the file", ""},
		"3.20.3-x86_64":  {14, 0, "the repositories offer other versions now|the repositories have another build of this version", ""},
		"3.19.4-aarch64": {15, 0, "no index could be read", "its mirror has none for the architecture aarch64"},
	} {
		t.Run(name, func(t *testing.T) {
			branch := data(t, "mirror/v3.19")
			root, other := minirootfs(t, name), minirootfs(t, name)
			for _, r := range []string{root, other} {
				url := mirror(t, map[string]string{"/alpine/v3.19": branch})
				atMirror(t, r, url+"/alpine/v3.19/main", url+"/alpine/v3.19/community")
			}
			version, arch, _ := strings.Cut(name, "-")
			fetcher := newFetcher(t)
			distrotest.Run(t, distrotest.Fixture{
				Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: root, Others: []string{other},
				Want: lockfile.System{Distro: "alpine", Version: version, Arch: arch}, Fetcher: fetcher, Identifier: fetcher,
			})
			_, got, warned := locate(t, root, distro.LocateRequest{Fetcher: fetcher, Identifier: fetcher})
			if n := len(got.Lock.Entries); n != f.located || n+len(got.Lock.Missing) != f.installed {
				t.Errorf("%d are located, want %d; %d are missing", n, f.located, len(got.Lock.Missing))
			}
			for m, r := range got.Reasons {
				known := false
				for _, kind := range strings.Split(f.reason, "|") {
					known = known || strings.HasPrefix(r.Kind, kind)
				}
				if !known {
					t.Errorf("%s is missing: %s", m, r)
				}
			}
			if !strings.Contains(warned, f.warned) || f.warned == "" && warned != "" {
				t.Errorf("warned of %s, want %q", warned, f.warned)
			}
		})
	}
}

// TestConformanceOfTheISO has all that is installed in the index, and the
// files at hand.
func TestConformanceOfTheISO(t *testing.T) {
	root, lock, blobs := isoLock(t)
	other := t.TempDir()
	for _, name := range []string{installedFile, "etc/apk/arch", "etc/os-release", "etc/apk/keys/" + alpineKeyPrefix + "6165ee59" + alpineKeySuffix} {
		put(t, filepath.Join(other, name), read(t, filepath.Join(root, name)))
	}
	atMirror(t, other, mirror(t, map[string]string{"/another/place/v3.19/main": data(t, "iso-3.19.1")})+"/another/place/v3.19/main/")
	fetcher := newFetcher(t)
	distrotest.Run(t, distrotest.Fixture{
		Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: root, Others: []string{other}, Want: lock.System,
		Fetcher: fetcher, Identifier: fetcher, Blobs: blobs,
	})
}

// TestRealBytesFlipped changes the ISO's index and a package of it, byte by
// byte here and there: neither is ever believed.
func TestRealBytesFlipped(t *testing.T) {
	root, iso := minirootfs(t, "3.19.4-x86_64"), data(t, "iso-3.19.1/x86_64")
	const file = "alpine-baselayout-3.4.3-r2.apk"
	dir := filepath.Join(root, "repo/x86_64")
	atMirror(t, root, "/repo")
	for _, name := range []string{"APKINDEX.tar.gz", file} {
		put(t, filepath.Join(dir, "APKINDEX.tar.gz"), read(t, filepath.Join(iso, "APKINDEX.tar.gz")))
		put(t, filepath.Join(dir, file), read(t, filepath.Join(iso, file)))
		if _, got, _ := locate(t, root, distro.LocateRequest{}); len(got.Lock.Entries) != 1 {
			t.Fatalf("%d are located of what was not changed", len(got.Lock.Entries))
		}
		original := read(t, filepath.Join(dir, name))
		// The first bytes are the header of gzip, which no signature covers.
		for at := 16; at < len(original); at += len(original)/40 + 1 {
			changed := []byte(original)
			changed[at] ^= 0x10
			if err := os.WriteFile(filepath.Join(dir, name), changed, 0o644); err != nil {
				t.Fatal(err)
			}
			if lines, got, _ := locate(t, root, distro.LocateRequest{}); len(got.Lock.Entries) > 0 {
				t.Errorf("%s with byte %d changed is believed: %q", name, at, lines[0])
			}
		}
		put(t, filepath.Join(dir, name), original)
	}
}
