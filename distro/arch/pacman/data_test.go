package pacman_test

import (
	"cmp"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro/arch/pacman"
)

// dataDir is a folder of the data that tests share, which may be absent.
func dataDir(name string) string {
	return filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../../shared/data"), filepath.FromSlash(name))
}

// databases are the real ones, by path.
func databases(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"arch/2017-12-x86_64/sync/*.db", "arch/local-2026-03-x86_64/var/lib/pacman/sync/*.db"} {
		found, err := filepath.Glob(dataDir(pattern))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

func readSync(t testing.TB, name string, want func(string) bool) []pacman.Desc {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	descs, err := pacman.ReadSync(f, want)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return descs
}

// databasePackages are all packages of the real databases; none where the
// data is absent.
func databasePackages(t testing.TB) []pacman.Desc {
	t.Helper()
	var out []pacman.Desc
	for _, name := range databases(t) {
		out = append(out, readSync(t, name, nil)...)
	}
	return out
}

// localPackages are those of the real installed state.
func localPackages(t testing.TB) []pacman.Desc {
	t.Helper()
	names, err := filepath.Glob(dataDir("arch/local-2026-03-x86_64/var/lib/pacman/local/*/desc"))
	if err != nil {
		t.Fatal(err)
	}
	var out []pacman.Desc
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pacman.ReadDesc(f)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if dir := filepath.Base(filepath.Dir(name)); dir != p.Name+"-"+p.Version {
			t.Errorf("%s describes %s %s", dir, p.Name, p.Version)
		}
		out = append(out, *p)
	}
	return out
}
