package pacman_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/arch/pacman"
)

func TestRealDatabases(t *testing.T) {
	names := databases(t)
	if len(names) == 0 {
		t.Skip("the shared data is not here")
	}
	for _, name := range names {
		list, err := exec.CommandContext(t.Context(), "bsdtar", "-tf", name).Output()
		if err != nil {
			t.Skipf("bsdtar: %v", err)
		}
		got := readSync(t, name, nil)
		if want := strings.Count(string(list), "/desc\n"); len(got) != want || want == 0 {
			t.Errorf("%s: %d packages of %d", name, len(got), want)
		}
		for _, p := range got {
			n, v, a, ok := pacman.ParseFilename(p.Filename)
			if !ok || n != p.Name || v != p.Version || a != p.Arch {
				t.Errorf("%s: %s reads as %s %s %s", p.Name, p.Filename, n, v, a)
			}
			if len(p.SHA256) != 64 || p.Size == 0 || p.BuildDate.IsZero() {
				t.Errorf("%s: %+v", name, p)
			}
		}
	}
}

func TestRealInstalled(t *testing.T) {
	got := localPackages(t)
	if len(got) == 0 {
		t.Skip("the shared data is not here")
	}
	if len(got) != 160 {
		t.Errorf("%d of 160 packages", len(got))
	}
	missing := 0
	for _, p := range got {
		if p.InstallDate.IsZero() || p.Arch == "" || p.Validation == nil {
			t.Errorf("%+v", p)
		}
		// A real system has all that its packages depend on.
		for _, s := range p.Depends {
			d := pacman.ParseDependency(s)
			if !slices.ContainsFunc(got, func(q pacman.Desc) bool { return q.Satisfies(d) }) {
				missing++
				t.Logf("%s wants %s", p.Name, s)
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d dependencies are not met", missing)
	}
}

func TestRealPackages(t *testing.T) {
	names, _ := filepath.Glob(dataDir("arch/2017-12-x86_64/pkg/*"))
	if len(names) == 0 {
		t.Skip("the shared data is not here")
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pacman.ReadPackage(f)
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n, v, a, ok := pacman.ParseFilename(filepath.Base(name))
		if !ok || n != p.Name || v != p.Version || a != p.Arch {
			t.Errorf("%s: it is %s %s %s", name, p.Name, p.Version, p.Arch)
		}
	}
}

const pkgbuild = `pkgname=(one two)
pkgbase=both
epoch=2
pkgver=1.5_rc1
pkgrel=3.1
arch=(any)
options=(!strip)
package_one() { depends=('bash>=4' two); provides=(uno=1); groups=(g); optdepends=('x: for more'); mkdir "$pkgdir/etc"; echo one > "$pkgdir/etc/one"; }
package_two() { conflicts=(three); replaces=(four); echo two > "$pkgdir/two"; }
`

// build makes packages with makepkg, as one who is not root.
func build(t *testing.T, ext string) []string {
	t.Helper()
	for _, tool := range []string{"makepkg", "repo-add", "bsdtar", "setpriv"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	dir, err := os.MkdirTemp("", "makepkg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "PKGBUILD"), []byte(pkgbuild), 0o644); err != nil {
		t.Fatal(err)
	}
	argv := []string{"makepkg", "--nodeps", "--noconfirm", "--force"}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 65534, 65534); err != nil {
			t.Skip(err)
		}
		argv = append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, argv...)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PKGEXT=.pkg.tar"+ext, "HOME="+dir, "PACKAGER=A Person <a@example.org>", "SOURCE_DATE_EPOCH=1500000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("makepkg: %v\n%s", err, out)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.pkg.tar*"))
	if err != nil || len(names) != 2 {
		t.Fatal(names, err)
	}
	return names
}

func TestMakepkgAndRepoAdd(t *testing.T) {
	for _, ext := range []string{".zst", ".xz"} {
		t.Run("packages"+ext, func(t *testing.T) {
			var built []pacman.Desc
			names := build(t, ext)
			for _, name := range names {
				f, err := os.Open(name)
				if err != nil {
					t.Fatal(err)
				}
				p, err := pacman.ReadPackage(f)
				f.Close()
				if err != nil {
					t.Fatal(err)
				}
				built = append(built, *p)
				n, v, a, ok := pacman.ParseFilename(filepath.Base(name))
				if !ok || n != p.Name || v != p.Version || a != "any" {
					t.Errorf("%s reads as %s %s %s", name, n, v, a)
				}
			}
			one := built[0]
			if one.Version != "2:1.5_rc1-3.1" || one.Base != "both" || one.BuildDate.Unix() != 1500000000 || !slices.Equal(one.Depends, []string{"bash>=4", "two"}) {
				t.Errorf("%+v", one)
			}
			databases := map[string][]string{".zst": {"gz", "zst", "xz"}, ".xz": {"gz"}}
			for _, db := range databases[ext] {
				checkRepoAdd(t, names, built, "repo.db.tar."+db)
			}
		})
	}
}

// checkRepoAdd makes a database of packages and compares it with what they say
// of themselves.
func checkRepoAdd(t *testing.T, names []string, built []pacman.Desc, name string) {
	t.Helper()
	db := filepath.Join(t.TempDir(), name)
	if out, err := exec.CommandContext(t.Context(), "repo-add", append([]string{db}, names...)...).CombinedOutput(); err != nil {
		t.Fatalf("repo-add: %v\n%s", err, out)
	}
	got := readSync(t, db, nil)
	if len(got) != len(built) {
		t.Fatalf("%s: %d packages", name, len(got))
	}
	for i := range got {
		data, err := os.ReadFile(names[i])
		if err != nil {
			t.Fatal(err)
		}
		if got[i].Filename != filepath.Base(names[i]) || got[i].SHA256 != digest(data) || got[i].Size != int64(len(data)) {
			t.Errorf("%s: %+v", name, got[i])
		}
		got[i].Filename, got[i].SHA256, got[i].Size = "", "", 0
	}
	if d := cmp.Diff(built, got); d != "" {
		t.Errorf("package (-), %s (+):\n%s", name, d)
	}
}

func BenchmarkReadSync(b *testing.B) {
	wanted := map[string]bool{}
	for _, p := range localPackages(b) {
		wanted[p.Name] = true
	}
	for _, name := range databases(b) {
		data, err := os.ReadFile(name)
		if err != nil {
			b.Fatal(err)
		}
		short := filepath.Base(filepath.Dir(filepath.Dir(name))) + "/" + filepath.Base(name)
		for mode, want := range map[string]func(string) bool{"all": nil, "installed": func(n string) bool { return wanted[n] }} {
			b.Run(short+"/"+mode, func(b *testing.B) {
				for b.Loop() {
					if _, err := pacman.ReadSync(bytes.NewReader(data), want); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
