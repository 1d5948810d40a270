package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The binary needs nothing but a kernel: it works in an empty root.
func TestAcceptEmptyRoot(t *testing.T) {
	needs(t, true, "chroot", "ldd")
	t.Parallel()
	if out, _ := exec.Command("ldd", builtBinary(t)).CombinedOutput(); !strings.Contains(string(out), "not a dynamic executable") {
		t.Errorf("ldd says %q", out)
	}
	root := t.TempDir()
	must(t, "cp", builtBinary(t), filepath.Join(root, "samebits"))
	files := goods(random(t), same(5, 10_000)...)
	must(t, "cp", writeLock(t, files), filepath.Join(root, "lock"))
	m := newMeter(t, files, 0)
	inside := func(code int, args ...string) result {
		t.Helper()
		cmd := exec.Command("chroot", append([]string{root, "/samebits"}, args...)...)
		cmd.Env = []string{}
		r := finish(t, cmd)
		if r.code != code {
			t.Errorf("want exit code %d in an empty root: %v", code, r)
		}
		return r
	}
	inside(0, "--version")
	inside(0, "lock", "inspect", "/lock")
	inside(0, "lock", "fetch", "--source", m.server.URL, "/lock")
	complete(t, filepath.Join(root, rootCache), files)
	inside(0, "cache", "verify")
	inside(0, "cache", "export", "/lock", "/pool")
	if r := inside(1, "lock", "generate"); !strings.Contains(r.stderr, "/ has no packages of a known distribution") {
		t.Errorf("no word of what is missing in an empty root: %v", r)
	}
}

// Two systems that use different mirrors of one archive get the same lock, to
// the byte. That of an archive that nobody else has differs in its URL alone.
func TestAcceptTwoMirrors(t *testing.T) {
	needs(t, false, "dpkg-deb", "apt-ftparchive", "gpg")
	t.Parallel()
	origin := strings.NewReplacer("::Origin=Test", "::Origin=Debian", "::Label=Test", "::Label=Debian")
	for name, script := range map[string]string{"known": origin.Replace(mkrepoScript), "own": mkrepoScript} {
		t.Run(name, func(t *testing.T) {
			locks, urls := locksFromMirrors(t, script)
			if name == "own" {
				for i, u := range urls {
					locks[i] = strings.Replace(locks[i], " "+u+"/\n", " URL\n", 1)
				}
			}
			if locks[0] != locks[1] || strings.Count(locks[0], ".deb\n") != 3 || !strings.Contains(locks[0], "#: missing lost 3.0 amd64\n") {
				t.Errorf("from one mirror:\n%s\nfrom the other:\n%s", locks[0], locks[1])
			}
		})
	}
}

// locksFromMirrors makes a repository with a script, and locks of one system
// from two mirrors of it. It returns them with the mirrors' URLs.
func locksFromMirrors(t *testing.T, script string) (locks, urls []string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "repo") // gpg's sockets want a short name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := exec.Command("sh", "-euc", script, "sh", "hello=2.10-3", "epoch=1:5.0", "plus=1.0+b1~x", "-lost=3.0")
	cmd.Dir, cmd.Env = dir, clean()
	if r := finish(t, cmd); r.code != 0 {
		t.Fatal(r)
	}
	repo := http.FileServer(http.Dir(filepath.Join(dir, "root", "repo")))
	for _, prefix := range []string{"/debian", "/pub/mirrors/test/here"} {
		server := httptest.NewServer(http.StripPrefix(prefix, repo))
		t.Cleanup(server.Close)
		urls = append(urls, server.URL+prefix)
		root := t.TempDir()
		must(t, "cp", "-r", filepath.Join(dir, "root", "etc"), filepath.Join(dir, "root", "var"), root)
		write(t, filepath.Join(root, "etc/apt/sources.list"), "deb [arch=amd64 signed-by=/etc/apt/keys/test.asc] "+server.URL+prefix+" stable main\n")
		r := samebits(t, 3, t.TempDir(), "lock", "generate", "--no-snapshot", "--root", root)
		locks = append(locks, r.stdout)
	}
	return locks, urls
}
