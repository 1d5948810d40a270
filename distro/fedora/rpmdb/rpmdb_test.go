package rpmdb

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	oracle "github.com/knqyf263/go-rpmdb/pkg"
	_ "modernc.org/sqlite" // the driver of the other reader

	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/rootfs"
)

// realDatabases are those that the module of another reader has for its own
// tests, and the Fedora 35 of the shared data.
func realDatabases(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Log("the databases of go-rpmdb's tests are not at hand: ", err)
	} else {
		for _, pattern := range []string{"*/rpmdb.sqlite", "*/Packages", "*/Packages.db"} {
			found, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "pkg/testdata", pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				out[filepath.Base(filepath.Dir(f))] = f
			}
		}
	}
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	if f := filepath.Join(data, "rpm/fedora35/rpmdb.sqlite"); exists(f) {
		out["shared-fedora35"] = f
	}
	if len(out) == 0 {
		t.Skip("no real database is at hand")
	}
	return out
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// rootOf makes a root of links to the files of a database.
func rootOf(t *testing.T, file string) *rootfs.Root {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "var/lib/rpm")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), data, 0o444); err != nil {
		t.Fatal(err)
	}
	files, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return files
}

func read(t *testing.T, files *rootfs.Root) []*Package {
	t.Helper()
	place, err := Find(files)
	if err != nil {
		t.Fatal(err)
	}
	packages, err := Read(t.Context(), files, place)
	if err != nil {
		t.Fatal(err)
	}
	return packages
}

// TestRealDatabases compares each package with what another reader says.
func TestRealDatabases(t *testing.T) {
	for name, file := range realDatabases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := oracle.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			want, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, rootOf(t, file))
			if len(got) != len(want) {
				t.Fatalf("%d packages, want %d", len(got), len(want))
			}
			digests := 0
			for i, p := range got {
				compare(t, p, want[i])
				_, ok, err := p.HeaderDigest()
				if err != nil {
					t.Error(err)
				}
				if ok {
					digests++
				}
			}
			t.Logf("%d packages, %d with a digest of the header", len(got), digests)
		})
	}
}

func compare(t *testing.T, p *Package, q *oracle.PackageInfo) {
	t.Helper()
	if p.Name != q.Name || p.Version != q.Version || p.Release != q.Release || p.Epoch != q.EpochNum() ||
		!p.IsKey() && p.Arch != q.Arch || p.SourceRPM != q.SourceRpm || p.Vendor != q.Vendor || p.ModularityLabel != q.Modularitylabel {
		t.Fatalf("%+v, want %+v", p, q)
	}
	names := func(rs []rpm.Dependency) []string {
		var out []string
		for _, r := range rs {
			out = append(out, r.Name)
		}
		return out
	}
	if !slices.Equal(names(p.Provides()), q.Provides) || !slices.Equal(names(p.Requires()), q.Requires) {
		t.Errorf("%s provides %v and requires %v, want %v and %v", p.Name, p.Provides(), p.Requires(), q.Provides, q.Requires)
	}
	files, err := q.InstalledFileNames()
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(p.Files()) {
		t.Errorf("%s has %d files, want %d", p.Name, len(p.Files()), len(files))
	}
	if p.IsKey() {
		if !strings.Contains(string(p.Key()), "BEGIN PGP PUBLIC KEY") {
			t.Errorf("the key %s is %q", p.EVR(), p.Key())
		}
	} else if p.BuildTime.Year() < 1999 {
		t.Errorf("%s was built %v", p.Name, p.BuildTime)
	}
}
