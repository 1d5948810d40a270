package trust

import (
	"cmp"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/arch/pacman"
)

// dataDir returns a folder of the data that tests share, or skips.
func dataDir(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../../shared/data"), name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the shared data is not here: %v", err)
	}
	return dir
}

// realFiles are the files of the keyring package of December 2017.
func realFiles(t testing.TB) map[string][]byte {
	t.Helper()
	dir := filepath.Join(dataDir(t, "arch/2017-12-x86_64"), "keyring/usr/share/pacman/keyrings")
	files := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// realPackages are those of the databases of December 2017, by file name.
func realPackages(t testing.TB) map[string]pacman.Desc {
	t.Helper()
	out := map[string]pacman.Desc{}
	for _, repo := range []string{"core", "extra"} {
		f, err := os.Open(filepath.Join(dataDir(t, "arch/2017-12-x86_64"), "sync", repo+".db"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		descs, err := pacman.ReadSync(f, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range descs {
			out[d.Filename] = d
		}
	}
	return out
}

// The three that are not the distribution's own bytes.
var repacked = []string{"gcc-libs", "glibc", "perl"}

func TestRealPackages(t *testing.T) {
	k := load(t, realFiles(t))
	known := realPackages(t)
	files, err := filepath.Glob(filepath.Join(dataDir(t, "arch/2017-12-x86_64"), "pkg/*.pkg.tar.xz"))
	if err != nil || len(files) != 70 {
		t.Fatal(len(files), err)
	}
	good := 0
	for _, name := range files {
		d, ok := known[filepath.Base(name)]
		if !ok {
			t.Errorf("%s is in no database", name)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		s, err := k.Verify(f, d.Signature)
		f.Close()
		switch {
		case slices.Contains(repacked, d.Name):
			if !errors.Is(err, ErrBadSignature) {
				t.Errorf("%s: %v", name, err)
			}
		case err != nil:
			t.Errorf("%s: %v", filepath.Base(name), err)
		case len(s.Fingerprint) != 40 || !strings.Contains(s.Name, "@") || s.SignedAt.Year() > 2017:
			t.Errorf("%s: %+v", name, s)
		default:
			good++
		}
	}
	if good != 67 {
		t.Errorf("%d of 67 verify", good)
	}
}

// All packages of the databases are by keys that are trusted; some signatures
// of old are by SHA-1.
func TestRealDatabase(t *testing.T) {
	k := load(t, realFiles(t))
	reasons := map[error]int{}
	for name, d := range realPackages(t) {
		_, err := k.Inspect(d.Signature)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%s: %v", name, err)
		}
		if err != nil {
			reasons[e.Err]++
			continue
		}
		reasons[nil]++
	}
	want := map[error]int{nil: 3056, ErrWeakDigest: 238}
	if !maps.Equal(reasons, want) {
		t.Errorf("got %v, want %v", reasons, want)
	}
}

// The state of 2026 has no keyring; that of 2017 knows a few of its signers.
func TestYoungerDatabase(t *testing.T) {
	k := load(t, realFiles(t))
	f, err := os.Open(filepath.Join(dataDir(t, "arch/local-2026-03-x86_64"), "var/lib/pacman/sync/core.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	descs, err := pacman.ReadSync(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[error]int{}
	for _, d := range descs {
		_, err := k.Inspect(d.Signature)
		var e *Error
		if errors.As(err, &e) {
			err = e.Err
		}
		reasons[err]++
	}
	t.Log(reasons)
	if reasons[ErrUnknownKey] == 0 || reasons[nil] == len(descs) || reasons[ErrMalformed] > 0 || reasons[ErrWeakDigest] > 0 {
		t.Errorf("%v of %d", reasons, len(descs))
	}
}

func BenchmarkInspect160(b *testing.B) {
	files := realFiles(b)
	known := realPackages(b)
	var sigs [][]byte
	signers := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if strings.HasPrefix(name, "lib") && len(sigs) < 160 {
			sigs = append(sigs, known[name].Signature)
		}
	}
	for b.Loop() {
		k := load(b, files)
		for _, s := range sigs {
			if s, err := k.Inspect(s); err == nil {
				signers[s.Fingerprint] = true
			}
		}
	}
	b.ReportMetric(float64(len(signers)), "signers")
}

func BenchmarkLoad(b *testing.B) {
	files := realFiles(b)
	for b.Loop() {
		load(b, files)
	}
}
