package archive

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/decompress"
	"github.com/samebits/samebits/lockfile"
)

const (
	aptLists      = "/var/lib/apt/lists"
	debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// realReleases returns the InRelease files that apt keeps on this machine and
// that Debian's own keys sign.
func realReleases(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(aptLists, "*_dists_*_InRelease"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("\nOrigin: Debian\n")) {
			out[name] = data
		}
	}
	if len(out) == 0 {
		t.Skip("apt has no lists of Debian here; apt-get update fetches them")
	}
	return out
}

func realKeys(t testing.TB) *Keys {
	t.Helper()
	data, err := os.ReadFile(debianKeyring)
	if err != nil {
		t.Skipf("no keyring of Debian here: %v", err)
	}
	k, err := ReadKeys(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestRealInReleaseFilesVerify(t *testing.T) {
	keys := realKeys(t)
	for name, data := range realReleases(t) {
		text, err := Verify(data, keys, time.Time{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rel, err := ParseRelease(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.HasPrefix(rel.Archive(), "Debian") || rel.Date.IsZero() || len(rel.Files) < 100 || !rel.ByHash {
			t.Errorf("%s: archive %q, date %s, %d files, by hash %v", name, rel.Archive(), rel.Date, len(rel.Files), rel.ByHash)
		}
		for _, at := range []int{len("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nOri"), len(data) / 2} {
			bad := bytes.Clone(data)
			bad[at] ^= 1
			if _, err := Verify(bad, keys, time.Time{}); !errors.Is(err, ErrBadSignature) {
				t.Errorf("%s with a bit of byte %d flipped: %v, want %v", name, at, err, ErrBadSignature)
			}
		}
	}
}

func TestKeysNamedByFingerprintAlone(t *testing.T) {
	keys := realKeys(t)
	for name, data := range realReleases(t) {
		_, err := Verify(data, keys.Only(strings.Repeat("A", 40)), time.Time{})
		var s *SignatureError
		if !errors.As(err, &s) || s.Err != ErrUnknownKey || len(s.Keys) == 0 {
			t.Errorf("%s: %v, want %v with the key", name, err, ErrUnknownKey)
			continue
		}
		if _, err := Verify(data, keys.Only(strings.ToLower(s.Keys[0])), time.Time{}); err != nil {
			t.Errorf("%s with only the key that signed it: %v", name, err)
		}
	}
}

// largestReal returns the largest index on this machine and what its Release
// says of it.
func largestReal(t testing.TB) (path, ending string, file File) {
	for name, data := range realReleases(t) {
		text, err := Unsigned(data)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := ParseRelease(text)
		if err != nil {
			t.Fatal(err)
		}
		base := strings.TrimSuffix(name, "InRelease")
		for _, e := range decompress.Endings {
			p := base + "main_binary-amd64_Packages" + e
			f := rel.Files["main/binary-amd64/Packages"]
			if _, err := os.Stat(p); err == nil && f.Size > file.Size {
				path, ending, file = p, e, f
			}
		}
	}
	if path == "" {
		t.Skip("apt keeps no index of Debian's main for amd64 here")
	}
	return path, ending, file
}

func readReal(t testing.TB, path, ending string, file File, want Wanted) ([]Record, error) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := decompress.Open(ending, f)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return ReadPackages(r, file, want)
}

func TestRealIndex(t *testing.T) {
	path, ending, file := largestReal(t)
	records, err := readReal(t, path, ending, file, func(name []byte) bool { return string(name) == "bash" })
	if err != nil {
		t.Fatal(err)
	}
	if len(records) != 1 || records[0].Arch != "amd64" || !records[0].Essential || !strings.HasPrefix(records[0].Path, "pool/main/b/bash/bash_") {
		t.Errorf("bash is %+v", records)
	}
	file.Digest[0] ^= 1
	var bad *lockfile.DigestError
	if _, err := readReal(t, path, ending, file, func([]byte) bool { return false }); !errors.As(err, &bad) {
		t.Errorf("an index of another digest gives %v, want a DigestError", err)
	}
}

func BenchmarkReadPackages(b *testing.B) {
	path, ending, file := largestReal(b)
	b.SetBytes(file.Size)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readReal(b, path, ending, file, func(name []byte) bool { return name[0] == 'q' }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	keys := realKeys(b)
	all := realReleases(b)
	for b.Loop() {
		for _, data := range all {
			if _, err := Verify(data, keys, time.Time{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkParseRelease(b *testing.B) {
	all := realReleases(b)
	for b.Loop() {
		for _, data := range all {
			text, err := Unsigned(data)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := ParseRelease(text); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkReadKeys(b *testing.B) {
	data, err := os.ReadFile(debianKeyring)
	if err != nil {
		b.Skip(err)
	}
	for b.Loop() {
		if _, err := ReadKeys(data); err != nil {
			b.Fatal(err)
		}
	}
}
