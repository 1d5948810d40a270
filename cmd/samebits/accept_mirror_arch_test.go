package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// A pacmanClient is a root of its own for the real pacman.
type pacmanClient struct{ root, gpg, proxy string }

// newPacman makes one that takes a repository from a server. gpg is the home
// of the keys that it trusts, empty for one that checks no signatures.
func newPacman(t *testing.T, server, gpg string, repositories ...string) pacmanClient {
	t.Helper()
	c := pacmanClient{root: t.TempDir(), gpg: gpg}
	level := "Never"
	if gpg != "" {
		level = "Required"
	}
	conf := "[options]\nArchitecture = x86_64\nSigLevel = " + level + "\nCacheDir = " + c.root + "/cache\n"
	for _, r := range repositories {
		conf += "[" + r + "]\nServer = " + server + "\n"
	}
	write(t, c.root+"/pacman.conf", conf)
	if err := os.MkdirAll(c.root+"/var/lib/pacman", 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs pacman and returns all that it said.
func (c pacmanClient) run(args ...string) (string, error) {
	options := []string{"--config", c.root + "/pacman.conf", "--root", c.root, "--dbpath", c.root + "/var/lib/pacman",
		"--logfile", c.root + "/log", "--noconfirm", "--noprogressbar", "--color", "never"}
	if c.gpg != "" {
		options = append(options, "--gpgdir", c.gpg)
	}
	cmd := exec.Command("pacman", append(options, args...)...)
	cmd.Env = clean("LC_ALL=C", "http_proxy="+c.proxy)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c pacmanClient) must(t *testing.T, args ...string) {
	t.Helper()
	if out, err := c.run(args...); err != nil || strings.Contains(out, "error:") {
		t.Errorf("pacman %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// databaseOf reads name, file and signature of the packages of a database.
func databaseOf(t *testing.T, data []byte) (packages []struct{ name, file, sha256 string }, signatures map[string][]byte) {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	signatures = map[string][]byte{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return packages, signatures
		}
		text, _ := io.ReadAll(tr)
		if err != nil || !strings.HasSuffix(h.Name, "/desc") {
			continue
		}
		field := func(name string) string {
			_, rest, _ := strings.Cut(string(text), "%"+name+"%\n")
			value, _, _ := strings.Cut(rest, "\n")
			return value
		}
		packages = append(packages, struct{ name, file, sha256 string }{field("NAME"), field("FILENAME"), field("SHA256SUM")})
		if signatures[field("FILENAME")], err = base64.StdEncoding.DecodeString(field("PGPSIG")); err != nil {
			t.Fatal(err)
		}
	}
}

// The databases, packages and signatures of Arch Linux of December 2017 are
// mirrored for the real pacman. Three packages are not those that the database
// names.
func TestAcceptMirrorArch(t *testing.T) {
	needs(t, true, "pacman")
	t.Parallel() // they wait for most of the time
	sync := realData(t, "arch/2017-12-x86_64/sync")
	pool := filesBelow(t, realData(t, "arch/2017-12-x86_64/pkg"), "")
	keyring := realData(t, "arch/2017-12-x86_64/keyring/usr/share/pacman/keyrings/archlinux.gpg")
	files := map[string][]byte{}
	var good, bad []string
	for _, repo := range []string{"core", "extra"} {
		dir := "archlinux/" + repo + "/os/x86_64/"
		files[dir+repo+".db"] = []byte(read(t, filepath.Join(sync, repo+".db")))
		packages, signatures := databaseOf(t, files[dir+repo+".db"])
		for _, p := range packages {
			data, ok := pool[p.file]
			if !ok {
				continue
			}
			files[dir+p.file], files[dir+p.file+".sig"] = data, signatures[p.file]
			if lockfile.DigestOf(data).String() == p.sha256 {
				good = append(good, p.name)
			} else {
				bad = append(bad, p.name)
			}
		}
	}
	if len(good) < 60 || len(bad) != 3 {
		t.Fatalf("%d packages are as the databases say, %d not", len(good), len(bad))
	}
	up := newUpstreamServer(t, files)
	m := serveMirror(t, "{prefix: archlinux, format: arch, urls: ['"+up.URL+"/archlinux'], keys: ['"+keyring+"']}")
	server := m.url + "/archlinux/$repo/os/$arch"
	download := func(int) {
		newPacman(t, server, "", "core", "extra").must(t, append([]string{"-Sywdd"}, good...)...)
	}
	took := atOnce(6, download)
	t.Logf("6 clients, cold: %v, %d files asked upstream", took, up.once(t))
	t.Logf("6 clients, hot: %v", atOnce(6, download))
	proxied := newPacman(t, up.URL+"/archlinux/$repo/os/$arch", "", "core", "extra")
	proxied.proxy = m.url
	proxied.must(t, append([]string{"-Sywdd"}, good...)...)
	up.once(t)
	if seen := m.history("bash"); len(seen) != 1 || seen[0].Digest != lockfile.DigestOf(files["archlinux/"+seen[0].Path]) || seen[0].Version != "4.4.012-2" {
		t.Errorf("what a packager signed is not in the history: %+v", seen)
	}
	for _, name := range bad {
		c := newPacman(t, server, "", "core", "extra")
		if out, err := c.run("-Sywdd", name); err == nil {
			t.Errorf("%s was downloaded, though it is another:\n%s", name, out)
		}
	}
	for name, data := range pool {
		if p := strings.SplitN(name, "-", 2)[0]; (p == "glibc" || p == "perl") && m.stored(data) {
			t.Errorf("%s is kept", name)
		}
	}
	stamp := m.freeze()
	up.become(nil, nil)
	frozen := newPacman(t, m.url+"/snapshot/"+stamp+"/archlinux/$repo/os/$arch", "", "core", "extra")
	frozen.must(t, append([]string{"-Sywdd"}, good...)...)
}

// An archRepository is one that repo-add makes and signs.
type archRepository struct {
	t         *testing.T
	dir, home string
}

func newArchRepository(t *testing.T) archRepository {
	t.Helper()
	r := archRepository{t, t.TempDir(), t.TempDir()}
	if err := os.Chmod(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	r.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "T <t@example.org>", "ed25519", "sign", "0")
	t.Cleanup(func() { r.run("gpgconf", "--kill", "all") })
	return r
}

func (r archRepository) run(args ...string) []byte {
	r.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = r.dir, clean("GNUPGHOME="+r.home, "LC_ALL=C", "SOURCE_DATE_EPOCH=1700000000")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%v: %v\n%s%s", args, err, out, errs.Bytes())
	}
	return out
}

// publish makes packages of a version, all that the repository has, and
// returns its files.
func (r archRepository) publish(version string, names ...string) map[string][]byte {
	r.t.Helper()
	old, _ := filepath.Glob(r.dir + "/*")
	for _, name := range old {
		os.RemoveAll(name)
	}
	var files []string
	for _, name := range names {
		write(r.t, r.dir+"/.PKGINFO", fmt.Sprintf("pkgname = %s\npkgbase = %[1]s\npkgver = %s\npkgdesc = t\nurl = https://example.org\nbuilddate = 1700000000\npackager = T <t@example.org>\nsize = 10\narch = any\nlicense = MIT\n", name, version))
		write(r.t, r.dir+"/usr/share/"+name, strings.Repeat(name+version, 30_000))
		file := name + "-" + version + "-any.pkg.tar.zst"
		r.run("tar", "--force-local", "--zstd", "-cf", file, ".PKGINFO", "usr/share/"+name)
		r.run("gpg", "--batch", "--quiet", "--detach-sign", file)
		files = append(files, file)
	}
	r.run(append([]string{"repo-add", "--quiet", "--sign", "team.db.tar.gz"}, files...)...)
	out := map[string][]byte{}
	for name, data := range filesBelow(r.t, r.dir, "") {
		name = strings.TrimSuffix(strings.Replace(name, ".tar.gz", "", 1), ".old")
		if !strings.HasPrefix(name, "usr/") && !strings.HasPrefix(name, ".") {
			out["team/x86_64/"+name] = data
		}
	}
	return out
}

// trusting makes a home of keys in which the repository's key is trusted.
func (r archRepository) trusting() string {
	r.t.Helper()
	home := r.t.TempDir()
	keys := write(r.t, r.dir+"/keys", string(r.run("gpg", "--batch", "--export")))
	fingerprint, _, _ := strings.Cut(strings.SplitAfter(string(r.run("gpg", "--batch", "--with-colons", "-k")), "\nfpr:::::::::")[1], ":")
	owner := write(r.t, r.dir+"/owner", fingerprint+":6:\n")
	for _, args := range [][]string{{"--import", keys}, {"--import-ownertrust", owner}} {
		must(r.t, "gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--no-permission-warning"}, args...)...)
	}
	r.t.Cleanup(func() { must(r.t, "gpgconf", "--homedir", home, "--kill", "all") })
	return home
}

// Upstream replaces database and signature at any moment, also between the two
// for which one client asks: each client of the mirror sees one state.
func TestAcceptMirrorArchThatChanges(t *testing.T) {
	needs(t, true, "pacman", "repo-add", "gpg", "tar", "zstd")
	t.Parallel() // they wait for most of the time
	r := newArchRepository(t)
	names := []string{"one", "two", "three"}
	var states []map[string][]byte
	for _, version := range []string{"1-1", "1:2-1", "1:3-1"} {
		states = append(states, r.publish(version, names...))
	}
	keyring := write(t, t.TempDir()+"/team.gpg", string(r.run("gpg", "--batch", "--export")))
	home := r.trusting()
	up := newUpstreamServer(t, nil)
	m := serveMirror(t, "{prefix: team, format: arch, urls: ['"+up.URL+"'], keys: ['"+keyring+"']}")
	server := m.url + "/team/$repo/$arch"
	var asked atomic.Int64
	up.become(nil, func(w http.ResponseWriter, req *http.Request, _ []byte) bool {
		// Another state with each third request for a database; packages of
		// all of them are there.
		n := asked.Load()
		if strings.Contains(req.URL.Path, ".db") {
			n = asked.Add(1)
		}
		for i := range states {
			if data, ok := states[(int(n/3)+i)%len(states)][strings.TrimPrefix(req.URL.Path, "/")]; ok {
				_, _ = w.Write(data)
				return true
			}
		}
		return false
	})
	first := newPacman(t, server, home, "team")
	first.must(t, "-Sy", "one", "two", "three")
	m.whileRefreshing(func() {
		atOnce(4, func(int) {
			for range 10 {
				newPacman(t, server, home, "team").must(t, "-Syw", "one", "two", "three")
			}
		})
	})
	if n := asked.Load(); n < 60 {
		t.Errorf("upstream changed only %d times", n/3)
	}

	// A state that stays, and then one that nobody signed.
	up.become(states[0], nil)
	const db = "team/x86_64/team.db"
	m.eventually("/team/"+db, states[0][db])
	stamp := m.freeze()
	lie := map[string][]byte{db: states[1][db], db + ".sig": states[2][db+".sig"]}
	up.become(lie, nil)
	m.eventuallyStale("/team/"+db, states[0][db], "does not match the data")
	up.become(map[string][]byte{db: states[1][db][:100]}, nil)
	m.eventuallyStale("/team/"+db, states[0][db], "cannot be read")
	up.become(nil, nil)
	newPacman(t, m.url+"/snapshot/"+stamp+"/team/$repo/$arch", home, "team").must(t, "-Sy", "one", "two", "three")
}
