package apk_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// data returns a path in the real data, or skips the test.
func data(t testing.TB, elem ...string) string {
	t.Helper()
	dir := cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../../shared/data")
	path, err := filepath.Abs(filepath.Join(append([]string{dir, "alpine"}, elem...)...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real data is not there: %v", err)
	}
	return path
}

// realKeys returns Alpine's own keys.
func realKeys(t testing.TB) *apk.Keys {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(data(t, "keys"), "*.rsa.pub"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	files := map[string][]byte{}
	for _, p := range paths {
		files[filepath.Base(p)] = read(t, p)
	}
	k, err := apk.NewKeys(files)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
