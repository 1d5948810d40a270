package main

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// realData is a path in the folder of real data.
func realData(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../shared/data"), name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no real data: %v", err)
	}
	return path
}

// isoRoot makes a root in which all packages of the ISO's repository are
// installed, as far as its database tells.
func isoRoot(t *testing.T, repository, url string) string {
	t.Helper()
	f, err := os.Open(filepath.Join(repository, "x86_64/APKINDEX.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"etc/apk/arch": "x86_64\n", "etc/apk/world": "alpine-base\nchrony\nopenssh\n", "etc/apk/repositories": url + "\n",
		"etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\n",
	}
	for tr := tar.NewReader(z); files["lib/apk/db/installed"] == ""; {
		h, err := tr.Next()
		if err != nil {
			t.Fatal(err)
		}
		if data, err := io.ReadAll(tr); h.Name == "APKINDEX" && err == nil {
			files["lib/apk/db/installed"] = string(data)
		}
	}
	keys, _ := filepath.Glob(realData(t, "alpine/keys") + "/*.pub")
	for _, k := range keys {
		files["etc/apk/keys/"+filepath.Base(k)] = read(t, k)
	}
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// A lock of Alpine is made, fetched, and installed by the real apk, which comes
// out of the lock, into an empty directory; its own lock is the same.
func TestAcceptAlpine(t *testing.T) {
	needs(t, true)
	iso := realData(t, "alpine/iso-3.19.1")
	server := httptest.NewServer(http.FileServer(http.Dir(iso)))
	defer server.Close()
	root, cache, dir := isoRoot(t, iso, server.URL), t.TempDir(), t.TempDir()
	lock := filepath.Join(dir, "SHA256SUMS")
	r := samebits(t, 0, cache, "lock", "generate", "--root", root, "-o", lock, "alpine-base", "chrony", "openssh")
	n := len(parse(t, read(t, lock)).Entries)
	if !strings.Contains(r.stderr, fmt.Sprintf("%d packages fetched to hash", n)) || n < 40 {
		t.Errorf("%d packages:\n%s", n, r.stderr)
	}
	server.Close()
	again := filepath.Join(dir, "again")
	samebits(t, 0, cache, "lock", "generate", "--root", root, "--packages", iso, "--offline", "--allow-missing", "-o", again, "alpine-base", "chrony", "openssh")
	if got := parse(t, read(t, again)); len(got.Entries) != n {
		t.Errorf("offline, from a directory of packages, %d of %d are located", len(got.Entries), n)
	}
	made := t.TempDir()
	samebits(t, 0, cache, "lock", "install", "--root", made, "--offline", lock)
	r = samebits(t, 0, cache, "lock", "install", "--root", made, "--offline", lock)
	if !strings.Contains(r.stderr, "nothing to do") {
		t.Errorf("a second time:\n%s", r.stderr)
	}
	if got := read(t, filepath.Join(made, "etc/apk/world")); got != "alpine-base\nchrony\nopenssh\n" {
		t.Errorf("world is %q", got)
	}
	image := filepath.Join(dir, "root.tar")
	samebits(t, 0, cache, "image", "build", "--lock", lock, "--no-scripts", "--offline", "-o", image)
	if !strings.Contains(must(t, "tar", "-tf", image), "usr/sbin/sshd\n") {
		t.Error("the image has no sshd")
	}
}

// The packages of 2017 are installed by the real pacman from a list of hashes
// alone, and the system is locked again.
func TestAcceptArch(t *testing.T) {
	needs(t, true, "pacman")
	pool := realData(t, "arch/2017-12-x86_64/pkg")
	names, err := filepath.Glob(pool + "/*.pkg.tar.*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no packages: %v", err)
	}
	var list strings.Builder
	count := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".sig") {
			continue
		}
		fmt.Fprintf(&list, "%s  %s\n", lockfile.DigestOf([]byte(read(t, name))), filepath.Base(name))
		count++
	}
	lock, cache, root := write(t, filepath.Join(t.TempDir(), "SHA256SUMS"), list.String()), t.TempDir(), t.TempDir()
	samebits(t, 0, cache, "lock", "install", "--root", root, "--offline", "--source", pool, lock)
	r := samebits(t, 0, cache, "lock", "install", "--root", root, "--offline", lock)
	if !strings.Contains(r.stderr, fmt.Sprintf("nothing to do: %d packages", count)) {
		t.Errorf("a second time:\n%s", r.stderr)
	}
}

// All packages of a real Fedora are known, and each that cannot be located is
// named.
func TestAcceptFedora(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/lib/rpm"), 0o755); err != nil {
		t.Fatal(err)
	}
	db := read(t, realData(t, "rpm/fedora35/rpmdb.sqlite"))
	if err := os.WriteFile(filepath.Join(root, "var/lib/rpm/rpmdb.sqlite"), []byte(db), 0o644); err != nil {
		t.Fatal(err)
	}
	r := samebits(t, 3, t.TempDir(), "lock", "generate", "--root", root, "--offline")
	if missing := parse(t, r.stdout).Missing; len(missing) != 137 {
		t.Errorf("%d packages", len(missing))
	}
}

// Roots of two families, or of none, are told apart from roots that are known.
func TestAcceptOddRoots(t *testing.T) {
	both := t.TempDir()
	for name, text := range map[string]string{
		"var/lib/dpkg/status":  "",
		"lib/apk/db/installed": "",
	} {
		path := filepath.Join(both, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for root, want := range map[string]string{
		both:        "more than one family of distributions (debian, alpine)",
		t.TempDir(): "has no packages of a known distribution (debian, alpine, arch, fedora)",
	} {
		if r := samebits(t, 1, t.TempDir(), "lock", "generate", "--root", root); !strings.Contains(r.stderr, want) {
			t.Errorf("want %q:\n%s", want, r.stderr)
		}
	}
}
