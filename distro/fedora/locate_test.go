package fedora

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// A world is a root with packages of a repository.
type world struct {
	*workshop
	root, repo string
	server     *httptest.Server
	cache      *distrotest.Fetcher
}

var worldPackages = []spec{
	{name: "app", version: "1.0", release: "1.fc35", vendor: "Fedora Project", more: "Requires: lib >= 2"},
	{name: "lib", version: "2.0", release: "1.fc35", epoch: "1", arch: "x86_64", vendor: "Fedora Project"},
	{name: "gcc-c++", version: "1~rc1^git", release: "1", vendor: "Fedora Project"},
}

// newWorld makes a repository at the path that Fedora's releases have, served
// at a mirror, and a root into which its packages were installed.
func newWorld(t *testing.T, configure ...string) *world {
	t.Helper()
	needRoot(t)
	w := &world{workshop: newWorkshop(t), cache: &distrotest.Fetcher{Dir: t.TempDir()}}
	top := t.TempDir()
	w.repo = filepath.Join(top, "fedora/linux/releases/35/Everything/x86_64/os")
	w.repository(t, w.repo, worldPackages...)
	w.server = httptest.NewServer(http.FileServer(http.Dir(top)))
	t.Cleanup(w.server.Close)
	w.root = newRoot(t)
	rpmInstall(t, w.root, w.packages(t)...)
	w.configure(t, w.root, "fedora", w.base(), configure...)
	return w
}

const repoPath = "/fedora/linux/releases/35/Everything/x86_64/os"

func (w *world) base() string { return w.server.URL + repoPath }

func (w *world) packages(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(w.repo, "Packages/*/*.rpm"))
	if err != nil || len(files) == 0 {
		t.Fatal("no packages: ", err)
	}
	return files
}

// makecache puts the metadata where dnf has them.
func (w *world) makecache(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(root, "var/cache/dnf/fedora-0123456789abcdef")
	files, err := filepath.Glob(filepath.Join(w.repo, "repodata/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		copyFileTo(t, filepath.Join(dir, "repodata", filepath.Base(f)), f)
	}
	return dir
}

// locate locates all that is installed, as far as the request lets.
func (w *world) locate(t *testing.T, req distro.LocateRequest) (located *distro.Located, warnings string) {
	t.Helper()
	s, warned := openSystem(t, w.root)
	ps, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	req.Packages = ps
	got, err := s.Locate(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return got, warned()
}

func (w *world) online() distro.LocateRequest {
	return distro.LocateRequest{Fetcher: w.cache, Identifier: w.cache}
}

// summary tells of a result in a line for each package.
func summary(l *distro.Located) string {
	var b strings.Builder
	for _, e := range l.Lock.Entries {
		mark := ""
		if e.Unsigned {
			mark = " unsigned"
		}
		fmt.Fprintf(&b, "%s %s%s\n", e.Archive, e.Path, mark)
	}
	for _, m := range l.Lock.Missing {
		fmt.Fprintf(&b, "missing %s: %s\n", m, l.Reasons[m])
	}
	return b.String()
}

const allOfFedora = `Fedora releases/35/Everything/x86_64/os/Packages/a/app-1.0-1.fc35.noarch.rpm
Fedora releases/35/Everything/x86_64/os/Packages/g/gcc-c++-1~rc1^git-1.noarch.rpm
Fedora releases/35/Everything/x86_64/os/Packages/l/lib-2.0-1.fc35.x86_64.rpm
`

func (w *world) checkDigests(t *testing.T, lock *lockfile.Lock) {
	t.Helper()
	for _, e := range lock.Entries {
		data, err := os.ReadFile(filepath.Join(w.repo, "Packages", e.Base()[:1], e.Base()))
		if err != nil || lockfile.DigestOf(data) != e.Digest {
			t.Errorf("%s: not the file of the repository (%v)", e.Path, err)
		}
	}
}

// TestConformanceMade runs the suite on a made system whose index is not
// signed but whose packages are, with another root at another mirror.
func TestConformanceMade(t *testing.T) {
	w := newWorld(t)
	other := t.TempDir()
	run(t, "cp", "-a", w.root+"/.", other)
	mirror := httptest.NewServer(http.StripPrefix("/pub/elsewhere", http.FileServer(http.Dir(strings.TrimSuffix(w.repo, repoPath)))))
	t.Cleanup(mirror.Close)
	w.configure(t, other, "fedora", mirror.URL+"/pub/elsewhere"+repoPath)
	distrotest.Run(t, distrotest.Fixture{
		Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: w.root, Others: []string{other},
		Fetcher: w.cache, Identifier: w.cache, Blobs: w.cache,
		Want: lockfile.System{Distro: "fedora", Version: "35", Arch: "x86_64"},
	})
}

func TestLocateSignedPackages(t *testing.T) {
	w := newWorld(t)
	got, warned := w.locate(t, w.online())
	if summary(got) != allOfFedora || warned != "" {
		t.Errorf("%s%s", summary(got), warned)
	}
	w.checkDigests(t, got.Lock)
	if d := got.Lock.Date; d.IsZero() {
		t.Error("the lock has no date")
	}
}

// TestLocateOffline has metadata on disk that nobody signed, and no packages.
func TestLocateOffline(t *testing.T) {
	w := newWorld(t)
	dir := w.makecache(t, w.root)
	got, warned := w.locate(t, distro.LocateRequest{})
	if want := strings.ReplaceAll(allOfFedora, ".rpm\n", ".rpm unsigned\n"); summary(got) != want || !strings.Contains(warned, "3 packages of fedora are marked unsigned") {
		t.Errorf("nothing at hand: %s%s", summary(got), warned)
	}
	w.checkDigests(t, got.Lock)
	// With the packages in dnf's cache, their signatures count.
	for _, f := range w.packages(t) {
		copyFileTo(t, filepath.Join(dir, "packages", filepath.Base(f)), f)
	}
	got, warned = w.locate(t, distro.LocateRequest{Identifier: w.cache})
	if summary(got) != allOfFedora || warned != "" {
		t.Errorf("packages in the cache: %s%s", summary(got), warned)
	}
	w.checkDigests(t, got.Lock)
}

// TestLocateSignedIndex needs no package, since a key stands behind the index.
func TestLocateSignedIndex(t *testing.T) {
	w := newWorld(t, "repo_gpgcheck=1")
	w.signIndex(t, w.repo)
	dir := w.makecache(t, w.root)
	got, warned := w.locate(t, distro.LocateRequest{})
	if summary(got) != allOfFedora || warned != "" {
		t.Errorf("on disk: %s%s", summary(got), warned)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	got, warned = w.locate(t, distro.LocateRequest{Fetcher: w.cache})
	if summary(got) != allOfFedora || warned != "" {
		t.Errorf("fetched: %s%s", summary(got), warned)
	}
	for name, c := range map[string]struct {
		change func(repodata string)
		want   string
	}{
		"no signature":   {func(d string) { os.Remove(d + "/repomd.xml.asc") }, "has to be signed"},
		"a changed file": {func(d string) { appendTo(t, d+"/repomd.xml", "\n") }, "does not verify"},
		"another key": {func(d string) {
			other := stranger(t)
			run(t, "gpg", "--homedir", other.home, "--batch", "--yes", "--armor", "--detach-sign", d+"/repomd.xml")
		}, "not trusted"},
		"a changed primary": {func(d string) {
			files, _ := filepath.Glob(d + "/*primary.xml.gz")
			appendTo(t, files[0], "x")
		}, "primary"},
	} {
		os.RemoveAll(dir)
		w.makecache(t, w.root)
		c.change(filepath.Join(dir, "repodata"))
		got, warned := w.locate(t, distro.LocateRequest{})
		if len(got.Lock.Entries) > 0 || !strings.Contains(warned, c.want) || !strings.Contains(warned, "fedora") {
			t.Errorf("%s: %s%s", name, summary(got), warned)
		}
	}
}

func appendTo(t *testing.T, name, text string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	put(t, name, string(data)+text)
}

// TestLocateRefuses has packages that are not what they should be behind an
// index that says so of them.
func TestLocateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, w *world, file string)
		want  string
	}{
		"a flipped byte": {func(t *testing.T, w *world, file string) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			data[len(data)-20] ^= 1
			put(t, file, string(data))
			w.index(t, w.repo)
		}, "damaged"},
		"no signature": {func(t *testing.T, w *world, file string) {
			run(t, "rpmsign", "--delsign", file)
			w.index(t, w.repo)
		}, "no signature"},
		"a key that is not trusted": {func(t *testing.T, w *world, file string) {
			stranger(t).sign(t, file)
			w.index(t, w.repo)
		}, "not trusted"},
		"another build": {func(t *testing.T, w *world, file string) {
			other := worldPackages[1]
			other.vendor = "somebody else"
			w.sign(t, w.build(t, filepath.Dir(file), other))
			w.index(t, w.repo)
		}, "built at another time"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(t, w, filepath.Join(w.repo, "Packages/l/lib-2.0-1.fc35.x86_64.rpm"))
			got, _ := w.locate(t, w.online())
			missing := "missing lib 1:2.0-1.fc35 x86_64: the file that the repositories have is not the one that is installed: "
			if s := summary(got); len(got.Lock.Entries) != 2 || !strings.Contains(s, missing) || !strings.Contains(s, c.want) {
				t.Errorf("%s", s)
			}
		})
	}
}

// TestLocateDropped has a package that the repository has at another version
// now.
func TestLocateDropped(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.repo, "Packages/l/lib-2.0-1.fc35.x86_64.rpm")
	kept := filepath.Join(t.TempDir(), "any/depth", filepath.Base(file))
	copyFileTo(t, kept, file)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	newer := worldPackages[1]
	newer.version = "2.1"
	w.sign(t, w.build(t, filepath.Dir(file), newer))
	w.index(t, w.repo)

	got, _ := w.locate(t, w.online())
	if s := summary(got); !strings.Contains(s, "missing lib 1:2.0-1.fc35 x86_64: the repositories offer other versions now: fedora offers 1:2.1-1.fc35") || len(got.Hints) == 0 {
		t.Errorf("nowhere: %s%q", s, got.Hints)
	}

	const kojiSigned, kojiBuilt = "packages/lib/2.0/1.fc35/data/signed/KEY/x86_64/lib-2.0-1.fc35.x86_64.rpm", "packages/lib/2.0/1.fc35/x86_64/lib-2.0-1.fc35.x86_64.rpm"
	s, _ := openSystem(t, w.root)
	all, err := s.packages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key := ""
	for _, p := range all {
		if p.Name == "lib" {
			key = keyID(p.Signature())
		}
	}
	if len(key) != 8 || !strings.Contains(strings.ToLower(run(t, "gpg", "--homedir", w.home, "--with-colons", "--list-keys")), key) {
		t.Fatalf("the key of lib is %q", key)
	}
	signedPath := strings.Replace(kojiSigned, "KEY", key, 1)

	req := w.online()
	req.Directories = []string{filepath.Dir(filepath.Dir(kept))}
	got, _ = w.locate(t, req)
	if s := summary(got); !strings.HasPrefix(s, "Fedora-Koji ") && !strings.Contains(s, "\nFedora-Koji "+signedPath+"\n") || len(got.Lock.Missing) > 0 {
		t.Errorf("in a directory: %s", s)
	}

	koji := t.TempDir()
	server := httptest.NewServer(http.FileServer(http.Dir(koji)))
	t.Cleanup(server.Close)
	req = distro.LocateRequest{Snapshots: true, Keepers: []distro.Mirror{{URL: server.URL, Keeper: true}}}
	fresh := func() distro.LocateRequest {
		cache := &distrotest.Fetcher{Dir: t.TempDir()}
		req.Fetcher, req.Identifier = cache, cache
		return req
	}
	got, _ = w.locate(t, fresh())
	if s := summary(got); !strings.Contains(s, "build system does not have it either") {
		t.Errorf("not at the build system: %s", s)
	}

	// The file as it was built has another SHA-256 and the same header.
	built := filepath.Join(koji, kojiBuilt)
	copyFileTo(t, built, kept)
	run(t, "rpmsign", "--delsign", built)
	got, _ = w.locate(t, fresh())
	if s := summary(got); !strings.Contains(s, "\nFedora-Koji "+kojiBuilt+" unsigned\n") {
		t.Errorf("as it was built: %s", s)
	}
	signed, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Lock.Entries {
		if e.Path == kojiBuilt && e.Digest == lockfile.DigestOf(signed) {
			t.Error("the digest is that of the signed file")
		}
	}

	copyFileTo(t, filepath.Join(koji, signedPath), kept)
	got, _ = w.locate(t, fresh())
	if s := summary(got); !strings.Contains(s, "\nFedora-Koji "+signedPath+"\n") {
		t.Errorf("with its signature: %s", s)
	}

	// A file of the same name that is another build is not taken.
	other := worldPackages[1]
	other.vendor = "somebody else"
	os.RemoveAll(koji + "/packages")
	w.build(t, filepath.Dir(built), other)
	got, _ = w.locate(t, fresh())
	if s := summary(got); !strings.Contains(s, "another build") || len(got.Lock.Missing) != 1 {
		t.Errorf("another build: %s", s)
	}
}

// TestLocateUnknownBuild asks for a package that is not installed: without a
// signature there is nothing by which to know a file.
func TestLocateUnknownBuild(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	file := w.build(t, dir, spec{name: "stray", version: "1", release: "1"})
	locate := func() string {
		t.Helper()
		s, _ := openSystem(t, w.root)
		got, err := s.Locate(t.Context(), distro.LocateRequest{
			Packages: []distro.Package{{Name: "stray", Version: "1-1", Arch: "noarch"}}, Identifier: w.cache, Directories: []string{dir},
		})
		if err != nil {
			t.Fatal(err)
		}
		return summary(got)
	}
	if s := locate(); !strings.Contains(s, "missing stray") || !strings.Contains(s, "no signature") {
		t.Errorf("not signed: %s", s)
	}
	w.sign(t, file)
	if s := locate(); s != " Packages/stray-1-1.noarch.rpm\n" {
		t.Errorf("signed: %s", s)
	}
}

// TestGenerateFetchInstall goes the whole way: what is locked is brought by
// its digests alone and installed into an empty root, whose own lock is the
// same.
func TestGenerateFetchInstall(t *testing.T) {
	w := newWorld(t)
	got, _ := w.locate(t, w.online())
	lock, err := lockfile.Parse("lock", bytes.NewReader(got.Lock.Format()))
	if err != nil {
		t.Fatal(err)
	}
	fetched := &distrotest.Fetcher{Dir: t.TempDir()}
	for _, e := range lock.Entries {
		body, err := fetched.Blob(t.Context(), e.Digest, -1, join(w.server.URL+"/fedora/linux", e.Path))
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
	}
	second := newRoot(t)
	s, _ := openSystem(t, second)
	if err := install(t, s, lock, fetched); err != nil {
		t.Fatal(err)
	}
	pending, err := s.Pending(t.Context(), lock, fetched)
	if err != nil || len(pending) > 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
	w.configure(t, second, "fedora", w.base())
	w.root = second
	again, warned := w.locate(t, w.online())
	if !bytes.Equal(again.Lock.Format(), got.Lock.Format()) || warned != "" {
		t.Errorf("the lock of the installed root:\n%s\nwant:\n%s%s", again.Lock.Format(), got.Lock.Format(), warned)
	}
}
