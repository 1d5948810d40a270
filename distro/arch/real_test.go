package arch

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// copyTree copies a tree and makes it writable.
func copyTree(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(to, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chmod(name, 0o755)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// keyring2026 puts keys of 2026 into a root, where Debian's package
// archlinux-keyring, of that year or later, has brought them to this machine or
// was unpacked into the directory that the variable names.
func keyring2026(t testing.TB, root string) bool {
	t.Helper()
	found, _ := filepath.Glob(filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_ARCH_KEYRING"), "/usr/share/keyrings"), "archlinux*"))
	for _, name := range found {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		writeTo(t, filepath.Join(root, keyringDir, filepath.Base(name)), data)
	}
	return len(found) > 0
}

// descs reads a database.
func descs(t testing.TB, name string) map[distro.Package]pacman.Desc {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := pacman.ReadSync(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[distro.Package]pacman.Desc{}
	for _, p := range all {
		out[identity(&p)] = p
	}
	return out
}

// TestReal2026 locates what is installed on a machine of 2026: each package
// that its databases hold with the database's SHA-256, and the rest named.
// Since the packages themselves are absent, the entries are marked.
func TestReal2026(t *testing.T) {
	root := copyTree(t, dataDir(t, "local-2026-03-x86_64"))
	core := descs(t, filepath.Join(root, "var/lib/pacman/sync/core.db"))
	for _, keys := range []bool{false, true} {
		if keys && !keyring2026(t, root) {
			t.Skip("needs Debian's archlinux-keyring of 2026 for the rest")
		}
		var warned []string
		s, err := open(root, &distro.Events{Warn: func(m string) { warned = append(warned, m) }})
		if err != nil {
			t.Fatal(err)
		}
		all, err := s.Installed(t.Context())
		if err != nil || len(all) != 160 {
			t.Fatalf("%d packages, %v", len(all), err)
		}
		got, err := s.Locate(t.Context(), distro.LocateRequest{Packages: all})
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, p := range all {
			d, ok := core[p]
			i := slices.IndexFunc(got.Lock.Entries, func(e lockfile.Entry) bool { return e.Base() == d.Filename && ok })
			switch {
			case !ok && !slices.Contains(got.Lock.Missing, p.Missing()):
				t.Errorf("%v is neither in a database nor missing", p)
			case ok && (i < 0 || got.Lock.Entries[i].Digest.String() != d.SHA256 || !got.Lock.Entries[i].Unsigned):
				t.Errorf("%v is not located as core has it", p)
			case ok:
				held++
			}
		}
		if held != 157 || len(got.Lock.Missing) != 3 {
			t.Errorf("%d located, %d missing", held, len(got.Lock.Missing))
		}
		why := "has no keyring"
		if keys {
			why = "over their files, which are not at hand"
		}
		if !strings.Contains(strings.Join(warned, "\n"), why) {
			t.Errorf("keyring %t: warned %q", keys, warned)
		}
	}
	// One signature that is of another package's time, key and all is still
	// refused where its key is not: nobody trusts a keyring without masters.
	writeTo(t, filepath.Join(root, keyringDir, "archlinux-trusted"), []byte("# none\n"))
	s := openRoot(t, root)
	all, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Locate(t.Context(), distro.LocateRequest{Packages: all}); err != nil || len(got.Lock.Entries) != 0 {
		t.Errorf("%d located by keys that nothing vouches for (%v)", len(got.Lock.Entries), err)
	}
}

// repacked are those of the 70 packages of 2017 that are not the files that
// Arch Linux published.
var repacked = []string{"gcc-libs", "glibc", "perl"}

// lock2017 makes a lock of the 70 packages as they lie there.
func lock2017(t *testing.T, data string) (*lockfile.Lock, files) {
	t.Helper()
	lock := &lockfile.Lock{System: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}}
	blobs := files{}
	found, err := filepath.Glob(filepath.Join(data, "pkg", "*.pkg.tar.xz"))
	if err != nil || len(found) != 70 {
		t.Fatalf("%d packages, %v", len(found), err)
	}
	for _, name := range found {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := lockfile.DigestOf(b)
		blobs[d] = name
		lock.Entries = append(lock.Entries, lockfile.Entry{Digest: d, Path: "core/os/x86_64/" + filepath.Base(name), Archive: lockfile.Archive{Name: archLinux}})
	}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	return lock, blobs
}

// TestReal2017 installs the 70 packages of 2017 from their lock into an empty
// root by the real pacman, then locks that root.
func TestReal2017(t *testing.T) {
	needTools(t, "pacman")
	data := dataDir(t, "2017-12-x86_64")
	lock, blobs := lock2017(t, data)
	root := t.TempDir()
	sys, err := Distro{}.Create(root, lock.System, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := bring(t, sys.(*System), lock, blobs, false); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := &world{t: t, root: root, warned: &[]string{}, fetch: &distrotest.Fetcher{Dir: t.TempDir()}}
	s := w.open()
	if s.ID() != lock.System {
		t.Errorf("the system is %v", s.ID())
	}
	all, err := s.Installed(t.Context())
	if err != nil || len(all) != 70 {
		t.Fatalf("%d installed, %v", len(all), err)
	}
	for _, e := range lock.Entries {
		if p, ok := (Distro{}).Describe(e.Path); !ok || !slices.Contains(all, p) {
			t.Errorf("%s is not installed", e.Path)
		}
	}
	if out, err := bring(t, s, lock, blobs, false); err != nil || out != "" {
		t.Errorf("a second time: %v, %q", err, out)
	}
	t.Run("locate", func(t *testing.T) { locate2017(t, w, data, all) })
	t.Run("own pacman", func(t *testing.T) {
		// It is of 2017 as well, and runs within the root.
		more, blobs := with(t, s, []*made{pkg(t, "more", "1-1", "DEPENDS=bash")})
		if out, err := bring(t, s, more, blobs, false); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		log, err := os.ReadFile(filepath.Join(root, "var/log/pacman.log"))
		if err != nil || !strings.Contains(string(log), "installed more (1-1)") {
			t.Errorf("pacman's log: %v\n%s", err, log)
		}
	})
}

// locate2017 locks the root of 2017 by its databases and its own keyring: from
// a directory of packages, and from a mirror.
func locate2017(t *testing.T, w *world, data string, all []distro.Package) {
	mirror := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.ServeFile(rw, r, filepath.Join(data, "pkg", path.Base(r.URL.Path)))
	}))
	defer mirror.Close()
	w.put("etc/pacman.conf", []byte("[options]\nArchitecture = auto\nSigLevel = Required DatabaseOptional\n[core]\nServer = "+mirror.URL+"/$repo/os/$arch\n[extra]\nServer = "+mirror.URL+"/$repo/os/$arch\n"))
	known := map[distro.Package]pacman.Desc{}
	for _, name := range []string{"core", "extra"} {
		b, err := os.ReadFile(filepath.Join(data, "sync", name+".db"))
		if err != nil {
			t.Fatal(err)
		}
		w.put("var/lib/pacman/sync/"+name+".db", b)
		for p, d := range descs(t, filepath.Join(data, "sync", name+".db")) {
			known[p] = d
		}
	}
	check2017(t, w, "directory", distro.LocateRequest{Directories: []string{filepath.Join(data, "pkg")}}, all, known)
	check2017(t, w, "mirror", distro.LocateRequest{Fetcher: w.fetch, Identifier: w.fetch}, all, known)
	check2017(t, w, "cache of the mirror's", distro.LocateRequest{Identifier: w.fetch}, all, known)
	distrotest.Run(t, distrotest.Fixture{
		Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: w.root, Want: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"},
		Fetcher: w.fetch, Identifier: w.fetch, Blobs: w.fetch,
	})
}

func check2017(t *testing.T, w *world, name string, req distro.LocateRequest, all []distro.Package, known map[distro.Package]pacman.Desc) {
	t.Helper()
	*w.warned = nil
	req.Packages = all
	got := w.locate(req)
	if len(got.Lock.Entries) != 70 || len(got.Lock.Missing) != 0 {
		t.Fatalf("%s: %d located, missing %v", name, len(got.Lock.Entries), got.Lock.Missing)
	}
	for _, e := range got.Lock.Entries {
		p, _ := Distro{}.Describe(e.Path)
		if e.Digest.String() != known[p].SHA256 {
			t.Errorf("%s: %s has another SHA-256 than the database", name, e.Path)
		}
		other := slices.Contains(repacked, p.Name)
		if e.Unsigned != other {
			t.Errorf("%s: %s is unsigned: %t", name, e.Path, e.Unsigned)
		}
		if told := w.said(p.Name + "-" + p.Version + "-x86_64.pkg.tar.xz is not the file that core names"); told != other && name == "directory" {
			t.Errorf("%s: %s is told to be another file: %t", name, e.Path, told)
		}
	}
}

// TestRealTools has packages of makepkg, a database of repo-add and signatures
// of gpg.
func TestRealTools(t *testing.T) {
	needTools(t, "makepkg", "repo-add", "gpg", "fakeroot", "runuser", "pacman", "bsdtar")
	dir := t.TempDir()
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build, home := filepath.Join(dir, "build"), filepath.Join(dir, "gnupg")
	for _, d := range []string{build, home} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(build, 0o777); err != nil {
		t.Fatal(err)
	}
	writeTo(t, filepath.Join(build, "PKGBUILD"), []byte(`pkgbase=hello
pkgname=(hello libhello)
epoch=1
pkgver=2.10
pkgrel=3
arch=(any)
package_hello() { depends=(libhello=1:2.10); mkdir -p "$pkgdir/usr/bin"; echo hello > "$pkgdir/usr/bin/hello"; }
package_libhello() { mkdir -p "$pkgdir/usr/lib"; echo lib > "$pkgdir/usr/lib/libhello"; }
`))
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = build
		cmd.Env = append(os.Environ(), "GNUPGHOME="+home, "HOME="+build, "PKGEXT=.pkg.tar.zst", "LC_ALL=C")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	run("runuser", "-u", "nobody", "--", "makepkg", "--nodeps", "--noconfirm")
	packages, _ := filepath.Glob(filepath.Join(build, "*.pkg.tar.zst"))
	if len(packages) != 2 {
		t.Fatalf("makepkg made %v", packages)
	}
	run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "T <t@example.invalid>", "rsa2048", "sign", "0")
	defer run("gpgconf", "--kill", "gpg-agent")
	for _, p := range packages {
		run("gpg", "--batch", "--detach-sign", "--no-armor", p)
	}
	run("repo-add", append([]string{"mine.db.tar.zst"}, packages...)...)
	run("gpg", "--batch", "--detach-sign", "--no-armor", "-o", "mine.db.sig", "mine.db.tar.zst")

	w := newWorld(t)
	w.config("SigLevel = Required DatabaseOptional", "[mine]", "Server = file://"+"/srv/mine")
	w.put("usr/share/pacman/keyrings/own.gpg", []byte(run("gpg", "--export")))
	fields := strings.Split(run("gpg", "--with-colons", "--list-keys"), "fpr:::::::::")
	w.put("usr/share/pacman/keyrings/own-trusted", []byte(strings.SplitN(fields[1], ":", 2)[0]+":4:\n"))
	w.put("var/lib/pacman/sync/core.db", databaseOf(t))
	for _, name := range []string{"mine.db.tar.zst", "mine.db.sig"} {
		b, err := os.ReadFile(filepath.Join(build, name))
		if err != nil {
			t.Fatal(err)
		}
		w.put("srv/mine/"+strings.TrimSuffix(name, ".tar.zst"), b)
	}
	lock := &lockfile.Lock{System: w.open().ID()}
	blobs := files{}
	for _, p := range packages {
		for _, name := range []string{p, p + ".sig"} {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			lock.Entries = append(lock.Entries, lockfile.Entry{Digest: blobs.add(t, b), Path: "h/hello/" + filepath.Base(name)})
		}
	}
	if out, err := bring(t, w.open(), lock, blobs, false); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, want := versions(t, w.root), "hello 1:2.10-3!, libhello 1:2.10-3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	all, err := w.open().Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := w.locate(distro.LocateRequest{Packages: all})
	if len(got.Lock.Entries) != 2 || got.Lock.Entries[0].Unsigned || got.Lock.Entries[0].Digest != lock.Entries[0].Digest {
		t.Errorf("by the signed database:\n%s\n%q", got.Lock.Format(), *w.warned)
	}
	if got, want := got.Lock.Entries[0].Archive.String(), "mine file:///srv/mine"; got != want {
		t.Errorf("the archive is %q, want %q", got, want)
	}
}

// BenchmarkLocate2026 locates the 160 packages of 2026 as "lock generate"
// does once nothing must be downloaded.
func BenchmarkLocate2026(b *testing.B) {
	root := copyTree(b, dataDir(b, "local-2026-03-x86_64"))
	keyring2026(b, root)
	for b.Loop() {
		s, err := open(root, nil)
		if err != nil {
			b.Fatal(err)
		}
		all, err := s.Installed(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Locate(b.Context(), distro.LocateRequest{Packages: all}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLocate2017 locates 70 packages of 2017, whose 58 MB are verified
// each time.
func BenchmarkLocate2017(b *testing.B) {
	data := dataDir(b, "2017-12-x86_64")
	w := newWorld(b)
	w.config("SigLevel = Required DatabaseOptional", "[extra]", "Server = "+w.url+"/$repo/os/$arch")
	for _, name := range []string{"core", "extra"} {
		db, err := os.ReadFile(filepath.Join(data, "sync", name+".db"))
		if err != nil {
			b.Fatal(err)
		}
		w.put("var/lib/pacman/sync/"+name+".db", db)
	}
	if err := os.RemoveAll(filepath.Join(w.root, keyringDir)); err != nil {
		b.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(w.root, keyringDir), os.DirFS(filepath.Join(data, "keyring", keyringDir))); err != nil {
		b.Fatal(err)
	}
	var req distro.LocateRequest
	found, _ := filepath.Glob(filepath.Join(data, "pkg/*"))
	for _, name := range found {
		p, _ := Distro{}.Describe(name)
		req.Packages = append(req.Packages, p)
	}
	req.Directories = []string{filepath.Join(data, "pkg")}
	for b.Loop() {
		w.locate(req)
	}
}
