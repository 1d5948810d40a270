package fedora

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
)

// metalink writes a metalink for the repository, as MirrorManager would.
func (w *world) metalink(t *testing.T, name string, mirrors ...string) {
	t.Helper()
	repomd, err := os.ReadFile(filepath.Join(w.repo, "repodata/repomd.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var urls strings.Builder
	for i, m := range mirrors {
		fmt.Fprintf(&urls, "<url protocol=\"http\" preference=\"%d\">%s/repodata/repomd.xml</url>", 100-i, m)
	}
	put(t, name, fmt.Sprintf(`<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml">
<size>%d</size><verification><hash type="sha256">%x</hash></verification>
<resources maxconnections="1">%s</resources></file></files></metalink>`, len(repomd), sha256.Sum256(repomd), urls.String()))
}

// TestMetalink has a first mirror that serves other metadata than the metalink
// tells of.
func TestMetalink(t *testing.T) {
	w := newWorld(t)
	top := strings.TrimSuffix(w.repo, repoPath)
	bad := filepath.Join(top, "bad/linux/releases/35/Everything/x86_64/os")
	run(t, "cp", "-r", filepath.Dir(filepath.Join(w.repo, "x"))+"/.", mkdir(t, bad))
	appendTo(t, filepath.Join(bad, "repodata/repomd.xml"), "<!-- changed -->")
	w.metalink(t, filepath.Join(top, "metalink"), w.server.URL+"/bad/linux/releases/35/Everything/x86_64/os", w.base())
	repoFile := filepath.Join(w.root, "etc/yum.repos.d/fedora.repo")
	put(t, repoFile, "[fedora]\nmetalink="+w.server.URL+"/metalink?repo=fedora-$releasever&arch=$basearch\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/key\n")
	got, warned := w.locate(t, w.online())
	// The metalink is not Fedora's own, so its repository is known by its name
	// and by the first of its mirrors.
	want := strings.ReplaceAll(allOfFedora, "Fedora releases/35/Everything/x86_64/os/", "fedora "+w.server.URL+"/bad/linux/releases/35/Everything/x86_64/os ")
	if summary(got) != want || warned != "" {
		t.Errorf("%s%s", summary(got), warned)
	}
	w.checkDigests(t, got.Lock)

	w.metalink(t, filepath.Join(top, "metalink"), w.server.URL+"/bad/linux/releases/35/Everything/x86_64/os")
	got, warned = w.locate(t, w.online())
	if len(got.Lock.Entries) > 0 || !strings.Contains(warned, "fedora is not used") {
		t.Errorf("only a bad mirror: %s%s", summary(got), warned)
	}

	put(t, filepath.Join(top, "mirrors"), "# mirrors\n"+w.base()+"/\n")
	put(t, repoFile, "[fedora]\nmirrorlist="+w.server.URL+"/mirrors\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/key\n")
	got, warned = w.locate(t, w.online())
	if len(got.Lock.Entries) != 3 || warned != "" {
		t.Errorf("a list of mirrors: %s%s", summary(got), warned)
	}
}

func mkdir(t *testing.T, dir string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOwnRepository is one that nobody knows: it is named by its id and
// carries its URL, without the password.
func TestOwnRepository(t *testing.T) {
	w := newWorld(t)
	put(t, filepath.Join(w.root, "etc/dnf/vars/where"), "mine\n")
	mine := httptest.NewServer(http.StripPrefix("/mine/35/x86_64", http.FileServer(http.Dir(w.repo))))
	t.Cleanup(mine.Close)
	os.Remove(filepath.Join(w.root, "etc/yum.repos.d/fedora.repo"))
	host := strings.TrimPrefix(mine.URL, "http://")
	w.configure(t, w.root, "my.own", "http://user:secret@"+host+"/$where/$releasever/$basearch/")
	got, warned := w.locate(t, w.online())
	want := strings.ReplaceAll(allOfFedora, "Fedora releases/35/Everything/x86_64/os/", "my.own http://"+host+"/mine/35/x86_64 ")
	if summary(got) != want || warned != "" {
		t.Errorf("%s%s", summary(got), warned)
	}
	s, _ := openSystem(t, w.root)
	if m := s.Access().Mirrors; len(m) != 1 || m[0] != (distro.Mirror{Archive: "my.own", URL: "http://user:secret@" + host + "/mine/35/x86_64"}) {
		t.Errorf("mirrors: %v", m)
	}
}

// TestKeysOfRPM trusts keys that rpm has imported, where the configuration
// names none, and none but these.
func TestKeysOfRPM(t *testing.T) {
	w := newWorld(t)
	put(t, filepath.Join(w.root, "etc/yum.repos.d/fedora.repo"), "[fedora]\nbaseurl="+w.base()+"\ngpgcheck=1\n")
	got, _ := w.locate(t, w.online())
	if s := summary(got); len(got.Lock.Entries) > 0 || !strings.Contains(s, "not trusted") {
		t.Errorf("without a key: %s", s)
	}
	key := filepath.Join(t.TempDir(), "key")
	put(t, key, w.key)
	run(t, "rpm", "--root", w.root, "--dbpath", "/var/lib/rpm", "--import", key)
	w.cache = &distrotest.Fetcher{Dir: t.TempDir()}
	got, warned := w.locate(t, w.online())
	if summary(got) != allOfFedora || warned != "" {
		t.Errorf("with the key imported: %s%s", summary(got), warned)
	}
}

// TestUncheckedRepository is one of which the configuration says that nothing
// in it is signed.
func TestUncheckedRepository(t *testing.T) {
	w := newWorld(t, "gpgcheck=0")
	got, warned := w.locate(t, w.online())
	if want := strings.ReplaceAll(allOfFedora, ".rpm\n", ".rpm unsigned\n"); summary(got) != want || warned != "" {
		t.Errorf("%s%s", summary(got), warned)
	}
	for _, u := range w.cache.Asked() {
		if strings.HasSuffix(u, ".rpm") {
			t.Errorf("%s was fetched for nothing", u)
		}
	}
}

// TestCachesOnDisk has the metadata of one repository in several caches.
func TestCachesOnDisk(t *testing.T) {
	w := newWorld(t)
	dnf4 := w.makecache(t, w.root)
	dnf5 := filepath.Join(w.root, "var/cache/libdnf5/fedora-fedcba9876543210")
	if err := os.MkdirAll(filepath.Dir(dnf5), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dnf4, dnf5); err != nil {
		t.Fatal(err)
	}
	// That of a repository whose name begins alike.
	put(t, filepath.Join(w.root, "var/cache/dnf/fedora-modular-0123456789abcdef/repodata/repomd.xml"), "<repomd/>")
	got, _ := w.locate(t, distro.LocateRequest{})
	if len(got.Lock.Entries) != 3 {
		t.Errorf("in dnf 5's cache: %s", summary(got))
	}
	// A newer one that cannot be read does not keep an older one from use.
	w.makecache(t, w.root)
	primary, err := filepath.Glob(filepath.Join(dnf4, "repodata/*primary.xml.gz"))
	if err != nil || len(primary) != 1 {
		t.Fatal(primary, err)
	}
	for _, f := range primary {
		os.Remove(f)
	}
	appendTo(t, filepath.Join(dnf4, "repodata/repomd.xml"), "")
	if got, _ = w.locate(t, distro.LocateRequest{}); len(got.Lock.Entries) != 3 {
		t.Errorf("beside a damaged one: %s", summary(got))
	}
	os.RemoveAll(dnf5)
	got, warned := w.locate(t, distro.LocateRequest{})
	if len(got.Lock.Entries) > 0 || !strings.Contains(warned, "fedora is not used") {
		t.Errorf("a damaged one alone: %s%s", summary(got), warned)
	}
	got, warned = w.locate(t, w.online())
	if summary(got) != allOfFedora || !strings.Contains(warned, "on disk is not used") {
		t.Errorf("a damaged one and the network: %s%s", summary(got), warned)
	}
}

// TestFresh fetches metadata though there is some on disk, and makes do with
// that where nothing can be fetched.
func TestFresh(t *testing.T) {
	w := newWorld(t)
	w.makecache(t, w.root)
	req := w.online()
	req.Fresh = true
	got, warned := w.locate(t, req)
	if summary(got) != allOfFedora || warned != "" || !strings.Contains(strings.Join(w.cache.Asked(), "\n"), "repomd.xml") {
		t.Errorf("%s%s", summary(got), warned)
	}
	w.server.Close()
	w.cache = &distrotest.Fetcher{Dir: t.TempDir()}
	req.Fetcher, req.Identifier = w.cache, w.cache
	got, warned = w.locate(t, req)
	if len(got.Lock.Entries) != 3 || !got.Lock.Entries[0].Unsigned || !strings.Contains(warned, "what is on disk is used") {
		t.Errorf("with the server gone: %s%s", summary(got), warned)
	}
}

func TestOfRepo(t *testing.T) {
	for dir, want := range map[string]bool{
		"fedora": true, "fedora-0123456789abcdef": true, "fedora-modular-0123456789abcdef": false,
		"fedora-modular": false, "fedora-0123456789abcdeg": false, "updates": false, "fedora-": false,
	} {
		if got := ofRepo(dir, "fedora"); got != want {
			t.Errorf("%s: %t", dir, got)
		}
	}
}
