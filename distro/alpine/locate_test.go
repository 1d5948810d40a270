package alpine

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// locate locates all that is installed and returns lines of what came of it.
func locate(t testing.TB, root string, req distro.LocateRequest) (lines []string, got *distro.Located, warned string) {
	t.Helper()
	var r recorded
	s, err := open(root, r.events())
	if err != nil {
		t.Fatal(err)
	}
	if req.Packages, err = s.Installed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err = s.Locate(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	for _, e := range got.Lock.Entries {
		line := e.Archive.Name + " " + e.Path
		if e.Unsigned {
			line = "unsigned " + line
		}
		lines = append(lines, line)
	}
	for _, m := range got.Lock.Missing {
		lines = append(lines, "missing "+m.Name+": "+got.Reasons[m].String())
	}
	return lines, got, r.String()
}

func online(t testing.TB) distro.LocateRequest {
	f := newFetcher(t)
	return distro.LocateRequest{Fetcher: f, Identifier: f}
}

// ownRoot is a root with one package of a repository of its own, which its
// key signs, and the URL at which that is served.
func ownRoot(t testing.TB) (root, repo, url string, s *signer) {
	t.Helper()
	s = newSigner(t, "own.rsa.pub")
	repo = filepath.Join(t.TempDir(), "x86_64")
	file := signedPackage(t, s, repo, "thing", "1.0-r0", "", nil)
	repository(t, s, repo)
	root = rootWith(t, map[string]string{installedFile: installedFrom(t, file), "etc/apk/arch": "x86_64\n", "etc/os-release": "ID=alpine\nVERSION_ID=3.19.4\n"})
	s.trust(t, root)
	url = mirror(t, map[string]string{"/own": filepath.Dir(repo)}) + "/own"
	atMirror(t, root, url)
	return root, repo, url, s
}

func TestLocateThirdParty(t *testing.T) {
	root, repo, url, _ := ownRoot(t)
	lines, got, warned := locate(t, root, online(t))
	host := strings.TrimPrefix(url, "http://")
	if want := host + " x86_64/thing-1.0-r0.apk"; len(lines) != 1 || lines[0] != want || warned != "" {
		t.Fatalf("got %q, want %q; warnings %s", lines, want, warned)
	}
	e := got.Lock.Entries[0]
	if e.Archive.URL != url {
		t.Errorf("the archive is at %q", e.Archive.URL)
	}
	if want := lockfile.DigestOf([]byte(read(t, filepath.Join(repo, "thing-1.0-r0.apk")))); e.Digest != want {
		t.Errorf("the digest is %s, not %s", e.Digest, want)
	}
	if got.Lock.Date.Unix() != 1700000000 {
		t.Errorf("the date is %s", got.Lock.Date)
	}
}

// TestLocateRefuses has what must not get into a lock, each with its reason.
func TestLocateRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, root, repo string, s *signer)
		want  string // of warnings, or of the reason
	}{
		"a flipped byte in the index": {func(t *testing.T, _, repo string, _ *signer) { flip(t, filepath.Join(repo, "APKINDEX.tar.gz")) }, "/own is not used: "},
		"an index without a signature": {func(t *testing.T, _, repo string, _ *signer) {
			put(t, filepath.Join(repo, "APKINDEX.tar.gz"), string(signedIndex(t, nil, repo, "")))
		}, "it has no signature; the repository must sign its index"},
		"a key that is not trusted": {func(t *testing.T, root, _ string, s *signer) {
			if err := os.Remove(filepath.Join(root, "etc/apk/keys", s.name)); err != nil {
				t.Fatal(err)
			}
		}, "signed only by keys that are not trusted (own.rsa.pub); put the public key"},
		"another key of that name": {func(t *testing.T, root, _ string, s *signer) { newSigner(t, s.name).trust(t, root) }, "its signature is bad"},
		"a flipped byte in the package": {func(t *testing.T, _, repo string, _ *signer) {
			flip(t, filepath.Join(repo, "thing-1.0-r0.apk"))
		}, "the index lists it, but its file could not be had"},
		"another package of that name": {func(t *testing.T, _, repo string, s *signer) {
			signedPackage(t, s, repo, "thing", "1.0-r0", "", map[string]string{"etc/thing": "evil"})
		}, "the index lists it, but its file could not be had"},
		"no package": {func(t *testing.T, _, repo string, _ *signer) {
			if err := os.Remove(filepath.Join(repo, "thing-1.0-r0.apk")); err != nil {
				t.Fatal(err)
			}
		}, "the index lists it, but no place has the file"},
		"no index": {func(t *testing.T, _, repo string, _ *signer) {
			if err := os.Remove(filepath.Join(repo, "APKINDEX.tar.gz")); err != nil {
				t.Fatal(err)
			}
		}, "its mirror has none for the architecture x86_64"},
		"a package that was built again": {func(t *testing.T, _, repo string, s *signer) {
			signedPackage(t, s, repo, "thing", "1.0-r0", "", map[string]string{"etc/thing": "again"})
			repository(t, s, repo)
		}, "another build"},
		"a newer package": {func(t *testing.T, _, repo string, s *signer) {
			if err := os.Remove(filepath.Join(repo, "thing-1.0-r0.apk")); err != nil {
				t.Fatal(err)
			}
			signedPackage(t, s, repo, "thing", "1.1-r0", "", nil)
			repository(t, s, repo)
		}, "the repositories offer other versions now"},
	} {
		t.Run(name, func(t *testing.T) {
			root, repo, _, s := ownRoot(t)
			tt.spoil(t, root, repo, s)
			lines, got, warned := locate(t, root, online(t))
			if len(got.Lock.Entries) > 0 || len(got.Lock.Missing) != 1 || len(got.Hints) == 0 {
				t.Fatalf("got %q", lines)
			}
			if said := lines[0] + "\n" + warned; !strings.Contains(said, tt.want) {
				t.Errorf("said %s\nwant %q", said, tt.want)
			}
			if hints := strings.Join(got.Hints, "\n"); strings.Contains(hints, "--update") {
				t.Errorf("fresh indexes were fetched, and it says %s", hints)
			}
		})
	}
}

// TestAdviseUpdate has an index of old in the root, which does not know the
// installed version.
func TestAdviseUpdate(t *testing.T) {
	root, repo, url, s := ownRoot(t)
	now := read(t, filepath.Join(repo, "APKINDEX.tar.gz"))
	if err := os.Remove(filepath.Join(repo, "thing-1.0-r0.apk")); err != nil {
		t.Fatal(err)
	}
	signedPackage(t, s, repo, "thing", "0.9-r0", "", nil)
	repository(t, s, repo)
	old := read(t, filepath.Join(repo, "APKINDEX.tar.gz"))
	put(t, filepath.Join(repo, "APKINDEX.tar.gz"), now)
	put(t, filepath.Join(root, fmt.Sprintf("var/cache/apk/APKINDEX.%.4x.tar.gz", sha1.Sum([]byte(url+"/x86_64/APKINDEX.tar.gz")))), old)
	if lines, got, _ := locate(t, root, online(t)); len(got.Lock.Missing) != 1 || !strings.Contains(strings.Join(got.Hints, "\n"), "--update") {
		t.Errorf("got %q and the hints %q", lines, got.Hints)
	}
}

// TestLocateWhatIsGone has a package that no index has any more.
func TestLocateWhatIsGone(t *testing.T) {
	for name, tt := range map[string]struct {
		put  func(t *testing.T, root, dir string, file string) distro.LocateRequest
		want string
	}{
		"the root's cache": {func(t *testing.T, root, _, file string) distro.LocateRequest {
			r, err := readPackageFile(file)
			if err != nil {
				t.Fatal(err)
			}
			// A link that is only right within the root.
			put(t, filepath.Join(root, "media/cache", fmt.Sprintf("thing-1.0-r0.%x.apk", r.Identity[:4])), read(t, file))
			if err := os.Symlink("/media/cache", filepath.Join(root, "etc/apk/cache")); err != nil {
				t.Fatal(err)
			}
			return distro.LocateRequest{}
		}, "OWN x86_64/thing-1.0-r0.apk"},
		"a directory, by name": {func(t *testing.T, _, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "a/b/thing-1.0-r0.apk"), read(t, file))
			return distro.LocateRequest{Directories: []string{dir}}
		}, "OWN x86_64/thing-1.0-r0.apk"},
		"a directory, by content": {func(t *testing.T, _, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "renamed.apk"), read(t, file))
			put(t, filepath.Join(dir, "broken.apk"), "what is this")
			return distro.LocateRequest{Directories: []string{dir}}
		}, "OWN x86_64/thing-1.0-r0.apk"},
		"a keeper": {func(t *testing.T, _, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "x86_64/thing-1.0-r0.apk"), read(t, file))
			req := online(t)
			req.Snapshots, req.Keepers = true, []distro.Mirror{{URL: mirror(t, map[string]string{"/old": dir}) + "/old", Keeper: true}}
			return req
		}, "OWN x86_64/thing-1.0-r0.apk"},
		"a keeper's template": {func(t *testing.T, _, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "thing-1.0-r0.apk"), read(t, file))
			req := online(t)
			at := mirror(t, map[string]string{"/old": dir}) + "/old"
			req.Snapshots, req.Keepers = true, []distro.Mirror{{URL: at + "/{{.SHA256}}"}, {URL: at + "/{{.Basename}}"}}
			return req
		}, "OWN x86_64/thing-1.0-r0.apk"},
		"another build of the version": {func(t *testing.T, _, dir, _ string) distro.LocateRequest {
			signedPackage(t, newSigner(t, "own.rsa.pub"), dir, "thing", "1.0-r0", "", map[string]string{"etc/other": "x"})
			return distro.LocateRequest{Directories: []string{dir}}
		}, "missing thing"},
		"another build that is signed": {func(t *testing.T, root, dir, _ string) distro.LocateRequest {
			s := newSigner(t, "second.rsa.pub")
			s.trust(t, root)
			signedPackage(t, s, dir, "thing", "1.0-r0", "", map[string]string{"etc/other": "x"})
			return distro.LocateRequest{Directories: []string{dir}}
		}, "missing thing"},
		"a damaged file": {func(t *testing.T, _, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "thing-1.0-r0.apk"), read(t, file))
			flip(t, filepath.Join(dir, "thing-1.0-r0.apk"))
			return distro.LocateRequest{Directories: []string{dir}}
		}, "missing thing"},
		"a key that is not trusted": {func(t *testing.T, root, dir, file string) distro.LocateRequest {
			put(t, filepath.Join(dir, "thing-1.0-r0.apk"), read(t, file))
			if err := os.Remove(filepath.Join(root, "etc/apk/keys/own.rsa.pub")); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(root, "etc/apk/repositories"), "")
			return distro.LocateRequest{Directories: []string{dir}}
		}, "unsigned Alpine v3.19/main/x86_64/thing-1.0-r0.apk"},
		"nowhere": {func(*testing.T, string, string, string) distro.LocateRequest { return distro.LocateRequest{} }, "missing thing"},
	} {
		t.Run(name, func(t *testing.T) {
			root, repo, url, s := ownRoot(t)
			file := filepath.Join(t.TempDir(), "thing.apk")
			put(t, file, read(t, filepath.Join(repo, "thing-1.0-r0.apk")))
			if err := os.Remove(filepath.Join(repo, "thing-1.0-r0.apk")); err != nil {
				t.Fatal(err)
			}
			signedPackage(t, s, repo, "thing", "1.1-r0", "", nil)
			repository(t, s, repo)
			req := tt.put(t, root, t.TempDir(), file)
			if req.Fetcher == nil {
				req.Fetcher = newFetcher(t) // for the index
			}
			lines, got, _ := locate(t, root, req)
			want := strings.Replace(tt.want, "OWN", strings.TrimPrefix(url, "http://"), 1)
			if len(lines) != 1 || !strings.HasPrefix(lines[0], want) {
				t.Fatalf("got %q, want %q", lines, want)
			}
			if len(got.Lock.Entries) == 1 && got.Lock.Entries[0].Digest != lockfile.DigestOf([]byte(read(t, file))) {
				t.Error("the digest is wrong")
			}
		})
	}
}

// TestLocateOffline has the indexes in the root, under the names that apk
// gives them.
func TestLocateOffline(t *testing.T) {
	for name, file := range map[string]func(url string) string{
		"apk 2": func(url string) string {
			return fmt.Sprintf("var/cache/apk/APKINDEX.%.4x.tar.gz", sha1.Sum([]byte(url+"/x86_64/APKINDEX.tar.gz")))
		},
		"apk 3": func(url string) string {
			return fmt.Sprintf("var/cache/apk/APKINDEX.%.4x.tar.gz", sha256.Sum256([]byte(url+"/x86_64/APKINDEX.tar.gz")))
		},
		"old apk": func(url string) string {
			return fmt.Sprintf("etc/apk/cache/APKINDEX.%.4x.tar.gz", sha1.Sum([]byte(url)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, repo, url, _ := ownRoot(t)
			lines, got, _ := locate(t, root, distro.LocateRequest{Directories: []string{repo}})
			if len(got.Lock.Entries) != 1 {
				t.Errorf("without an index: %q", lines)
			}
			put(t, filepath.Join(root, file(url)), read(t, filepath.Join(repo, "APKINDEX.tar.gz")))
			lines, _, warned := locate(t, root, distro.LocateRequest{Directories: []string{repo}})
			if want := strings.TrimPrefix(url, "http://") + " x86_64/thing-1.0-r0.apk"; lines[0] != want || warned != "" {
				t.Errorf("got %q, want %q; warnings: %s", lines, want, warned)
			}
			put(t, filepath.Join(root, file(url)), string(signedIndex(t, nil, repo, "")))
			if _, _, warned := locate(t, root, distro.LocateRequest{}); !strings.Contains(warned, "it has no signature") {
				t.Errorf("an index in the root without a signature: %s", warned)
			}
			put(t, filepath.Join(root, file(url)), read(t, filepath.Join(repo, "APKINDEX.tar.gz")))
			flip(t, filepath.Join(root, file(url)))
			if _, _, warned := locate(t, root, distro.LocateRequest{}); !strings.Contains(warned, "APKINDEX") || !strings.Contains(warned, "is not used") {
				t.Errorf("a flipped index in the root: %s", warned)
			}
		})
	}
	root, _, _, _ := ownRoot(t)
	lines, got, warned := locate(t, root, distro.LocateRequest{})
	if lines[0] != "missing thing: no index could be read" || !strings.Contains(got.Hints[0], "--offline") || !strings.Contains(warned, "apk update") {
		t.Errorf("nothing at hand: %q %q %s", lines, got.Hints, warned)
	}
}

// TestCheckSigned wants both of a file that no index has: the identity that
// apk noted, and a signature.
func TestCheckSigned(t *testing.T) {
	own, other := newSigner(t, "own.rsa.pub"), newSigner(t, "other.rsa.pub")
	keys, err := apk.NewKeys(map[string][]byte{own.name: []byte(own.public(t))})
	if err != nil {
		t.Fatal(err)
	}
	file := signedPackage(t, own, t.TempDir(), "thing", "1.0-r0", "", nil)
	want, err := readPackageFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		file string
		good bool
	}{
		"the file":       {file, true},
		"another build":  {signedPackage(t, own, t.TempDir(), "thing", "1.0-r0", "", map[string]string{"etc/x": "y"}), false},
		"another signer": {signedPackage(t, other, t.TempDir(), "thing", "1.0-r0", "", nil), false},
		"no signature":   {packed(t, t.TempDir(), "thing", "1.0-r0", "", map[string]string{"etc/thing": "1.0-r0"}), false},
	} {
		if err := checkSigned(strings.NewReader(read(t, tt.file)), want, keys); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
