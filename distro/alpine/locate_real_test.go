package alpine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// TestLocateFromTheISO has the repository of Alpine's ISO in the root, as
// setup-alpine leaves it, and beside it the branch that is newer.
func TestLocateFromTheISO(t *testing.T) {
	root, iso := isoRoot(t)
	if err := os.CopyFS(filepath.Join(root, "media/cdrom/apks"), os.DirFS(iso)); err != nil {
		t.Fatal(err)
	}
	atMirror(t, root, "/media/cdrom/apks")
	lines, got, warned := locate(t, root, distro.LocateRequest{})
	if len(got.Lock.Entries) != len(isoSet) || len(got.Lock.Missing) > 0 || warned != "" {
		t.Fatalf("%q\n%s", lines, warned)
	}
	for _, e := range got.Lock.Entries {
		if e.Archive != (lockfile.Archive{Name: "media/cdrom/apks", URL: "file:///media/cdrom/apks"}) {
			t.Errorf("%s is of %s", e.Path, e.Archive)
		}
		if want := lockfile.DigestOf([]byte(read(t, filepath.Join(iso, e.Path)))); e.Digest != want {
			t.Errorf("%s is %s, not %s", e.Path, e.Digest, want)
		}
	}
	// What the branch has too is named by it, on whatever mirror.
	url := mirror(t, map[string]string{"/pub": data(t, "mirror")})
	atMirror(t, root, "/media/cdrom/apks", url+"/pub/v3.19/main")
	lines, got, _ = locate(t, root, online(t))
	branch := 0
	for _, e := range got.Lock.Entries {
		if e.Archive == (lockfile.Archive{Name: "Alpine"}) && strings.HasPrefix(e.Path, "v3.19/main/x86_64/") {
			branch++
		}
	}
	if len(got.Lock.Missing) > 0 || branch < 30 || branch == len(isoSet) {
		t.Errorf("%d of the branch, %d missing: %q", branch, len(got.Lock.Missing), lines)
	}
}

// TestLocateLatestStable names the branch that the index tells.
func TestLocateLatestStable(t *testing.T) {
	root := minirootfs(t, "3.19.4-x86_64")
	url := mirror(t, map[string]string{"/alpine/latest-stable": data(t, "mirror/v3.19")})
	atMirror(t, root, url+"/alpine/latest-stable/main")
	_, got, _ := locate(t, root, online(t))
	for _, e := range got.Lock.Entries {
		if !strings.HasPrefix(e.Path, "v3.19/main/") {
			t.Errorf("%s", e.Path)
		}
	}
	if len(got.Lock.Entries) == 0 {
		t.Error("nothing is located")
	}
}

// TestAlpineIsWhatItsKeysSign gives a key of one's own the name of one of
// Alpine's: the archive is another then.
func TestAlpineIsWhatItsKeysSign(t *testing.T) {
	s := newSigner(t, "alpine-devel@lists.alpinelinux.org-6165ee59.rsa.pub")
	repo := t.TempDir()
	dir := filepath.Join(repo, "v3.19/main/x86_64")
	file := signedPackage(t, s, dir, "thing", "1.0-r0", "", nil)
	repository(t, s, dir)
	root := rootWith(t, map[string]string{installedFile: installedFrom(t, file), "etc/apk/arch": "x86_64\n"})
	s.trust(t, root)
	url := mirror(t, map[string]string{"/alpine": repo}) + "/alpine/v3.19/main"
	atMirror(t, root, url)
	_, got, _ := locate(t, root, online(t))
	if len(got.Lock.Entries) != 1 || got.Lock.Entries[0].Archive.Name == "Alpine" || got.Lock.Entries[0].Archive.URL != url {
		t.Errorf("%+v", got.Lock)
	}
	real := data(t, "keys")
	k := &keyring{files: map[string][]byte{}}
	for number := range alpineKeys {
		name := alpineKeyPrefix + number + alpineKeySuffix
		k.files[name] = []byte(read(t, filepath.Join(real, name)))
		if !k.isAlpine(name) {
			t.Errorf("%s is not known", name)
		}
	}
	if k.isAlpine("alpine-devel@lists.alpinelinux.org-00000000.rsa.pub") || k.isAlpine("") {
		t.Error("a key that is not there is known")
	}
}

// TestLocateWhatAPKCached has the real apk fetch indexes and packages into the
// root: all is found there without a network.
func TestLocateWhatAPKCached(t *testing.T) {
	needRoot(t)
	root := minirootfs(t, "3.19.4-x86_64")
	url := mirror(t, map[string]string{"/alpine/v3.19": data(t, "mirror/v3.19")})
	atMirror(t, root, url+"/alpine/v3.19/main", url+"/alpine/v3.19/community/")
	if err := os.MkdirAll(filepath.Join(root, "etc/apk/cache"), 0o755); err != nil {
		t.Fatal(err)
	}
	runIn(t, root, "/sbin/apk", "update")
	runIn(t, root, "/sbin/apk", "add", "brotli-libs")
	_, got, warned := locate(t, root, distro.LocateRequest{})
	if len(got.Lock.Entries) == 0 || warned != "" {
		t.Fatalf("%d located; warnings %s", len(got.Lock.Entries), warned)
	}
	found := false
	for _, e := range got.Lock.Entries {
		found = found || e.Path == "v3.19/main/x86_64/brotli-libs-1.1.0-r1.apk" && !e.Unsigned && e.Archive.Name == "Alpine"
	}
	if !found {
		t.Errorf("what apk has in its cache is not located: %v", got.Lock.Missing)
	}
}

// cachedRoot is the ISO's system with its packages and the indexes of the
// whole branch in the root.
func cachedRoot(b testing.TB) string {
	root, iso := isoRoot(b)
	atMirror(b, root, "http://mirror.example/alpine/v3.19/main", "http://mirror.example/alpine/v3.19/community")
	s := openRoot(b, root)
	for i, name := range []string{"main", "community"} {
		at := cachedIndexes(s.Repositories[i], "x86_64")[0]
		put(b, filepath.Join(root, at), read(b, filepath.Join(data(b, "mirror/v3.19"), name, "x86_64/APKINDEX.tar.gz")))
	}
	files, err := filepath.Glob(filepath.Join(iso, "x86_64/*.apk"))
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range files {
		put(b, filepath.Join(root, "var/cache/apk", filepath.Base(f)), read(b, f))
	}
	return root
}

func BenchmarkLocate(b *testing.B) {
	root := cachedRoot(b)
	s := openRoot(b, root)
	packages := installedAll(b, root)
	b.ReportAllocs()
	for b.Loop() {
		got, err := s.Locate(b.Context(), distro.LocateRequest{Packages: packages})
		if err != nil || len(got.Lock.Entries) != len(isoSet) {
			b.Fatalf("%+v %v", got, err)
		}
	}
}
