package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// namesIn are the packages of a lock, sorted.
func namesIn(l *lockfile.Lock) []string {
	var names []string
	for _, e := range l.Entries {
		names = append(names, describe(e).Name)
	}
	slices.Sort(names)
	return names
}

// skipForbidden skips where this machine has no sandbox.
func skipForbidden(t *testing.T, r result) {
	t.Helper()
	if strings.Contains(r.stderr, "forbids user namespaces") {
		t.Skip(r.stderr)
	}
}

// resolve runs "lock resolve" and returns the lock.
func resolve(t *testing.T, cache string, args ...string) *lockfile.Lock {
	t.Helper()
	r := finish(t, command(t, cache, append([]string{"lock", "resolve"}, args...)...))
	skipForbidden(t, r)
	if r.code != 0 {
		t.Fatalf("%v", r)
	}
	l := parse(t, r.stdout)
	if string(l.Format()) != r.stdout {
		t.Error("the lock is not canonical")
	}
	return l
}

// build makes a tar of a lock, and lists it.
func buildFrom(t *testing.T, cache string, l *lockfile.Lock, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "root.tar")
	cmd := command(t, cache, append([]string{"image", "build", "--lock", "-", "--output", out}, args...)...)
	cmd.Stdin = strings.NewReader(string(l.Format()))
	if r := finish(t, cmd); r.code != 0 {
		t.Fatalf("%v", r)
	}
	return must(t, "tar", "-tf", out)
}

// TestResolveDebian has the packages of Debian resolved from its mirror, and
// holds the choice to that of this machine's own apt.
func TestResolveDebian(t *testing.T) {
	needs(t, true, "apt-get", "dpkg")
	needsMirror(t)
	release, err := distro.ReadOSRelease("/")
	if err != nil || release.ID != "debian" {
		t.Skip("this machine is no Debian")
	}
	arch := strings.TrimSpace(must(t, "dpkg", "--print-architecture"))
	cache := t.TempDir()
	lock := resolve(t, cache, "--distro", "debian", "--suite", release.Codename, "--arch", arch, "systemd-sysv", "openssh-server")
	if want := "debian " + release.VersionID + " " + arch; lock.System.String() != want {
		t.Errorf("the lock is of %s, not %s", lock.System, want)
	}
	lists := t.TempDir()
	if err := os.Mkdir(filepath.Join(lists, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	options := []string{"-q", "-y", "-o", "APT::Sandbox::User=root", "-o", "Dir::State::lists=" + lists, "-o", "Dir::State::status=/dev/null",
		"-o", "Dir::State::extended_states=/dev/null", "-o", "APT::Update::Post-Invoke::=", "-o", "Dir::Cache::archives=" + t.TempDir() + "/"}
	must(t, "apt-get", append(options, "update")...)
	answer := must(t, "apt-get", append(options, "--no-install-recommends", "--print-uris", "install",
		"?and(?essential, ?not(?exact-name(apt)))", "systemd-sysv", "openssh-server")...)
	var want []string
	for line := range strings.Lines(answer) {
		uri, _, ok := strings.Cut(strings.TrimPrefix(line, "'"), "' ")
		if name, err := url.PathUnescape(path.Base(uri)); ok && err == nil && line[0] == '\'' {
			want = append(want, name)
		}
	}
	var got []string
	for _, e := range lock.Entries {
		got = append(got, e.Base())
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(got) < 60 || !slices.Equal(got, want) {
		t.Errorf("chosen were\n%s\nand apt chooses\n%s", got, want)
	}
	files := buildFrom(t, cache, lock)
	for _, name := range []string{"usr/sbin/sshd", "etc/ssh/sshd_config", "var/lib/dpkg/status"} {
		if !strings.Contains(files, name+"\n") {
			t.Errorf("the image has no %s", name)
		}
	}
}

// TestResolveForeign resolves for an architecture that cannot run here, of a
// newer Debian than this machine's.
func TestResolveForeign(t *testing.T) {
	needs(t, true, "apt-get")
	needsMirror(t)
	arch := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
	lock := resolve(t, t.TempDir(), "--distro", "debian", "--suite", "trixie", "--arch", arch, "systemd", "openssh-server")
	if want := "debian 13 " + arch; lock.System.String() != want {
		t.Errorf("the lock is of %s, not %s", lock.System, want)
	}
	names := namesIn(lock)
	for _, e := range lock.Entries {
		if a := describe(e).Arch; a != arch && a != "all" || e.Unsigned {
			t.Errorf("%s is in the lock, unsigned: %t", e.Path, e.Unsigned)
		}
	}
	for _, want := range []string{"bash", "dpkg", "libc6", "openssh-server", "systemd"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
}

// served serves a directory and counts what is asked for.
type served struct {
	url string
	mu  sync.Mutex
	log []string
}

// asked are the paths that were asked for so far.
func (s *served) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

func serveDir(t *testing.T, dir string) *served {
	t.Helper()
	s := &served{}
	files := http.FileServer(http.Dir(dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.log = append(s.log, r.URL.Path)
		s.mu.Unlock()
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// TestResolveSnapshot resolves from an archive of the form of
// snapshot.debian.org, with two states of a suite.
func TestResolveSnapshot(t *testing.T) {
	needs(t, true, "apt-get", "apt-ftparchive", "gpg", "dpkg-deb")
	needsMirror(t)
	release, err := distro.ReadOSRelease("/")
	if err != nil || release.ID != "debian" {
		t.Skip("this machine is no Debian")
	}
	cache, dir := t.TempDir(), t.TempDir()
	arch := strings.TrimSpace(must(t, "dpkg", "--print-architecture"))
	lock := resolve(t, cache, "--distro", "debian", "--suite", release.Codename, "--base", "none", "apt", "dpkg", "base-files")
	name := write(t, filepath.Join(dir, "LOCK"), string(lock.Format()))
	samebits(t, 0, cache, "lock", "fetch", name)
	pool := filepath.Join(dir, "debian")
	samebits(t, 0, cache, "cache", "export", name, pool)
	root := filepath.Join(dir, "archive")
	cmd := exec.Command("sh", "-euc", snapshotScript, "sh", root, pool, arch)
	cmd.Env = clean("GNUPGHOME="+shortDir(t), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := serveDir(t, dir)
	at := func(time string) []string {
		return []string{
			"--distro", "debian", "--suite", "old", "--arch", arch, "--snapshot", time, "--keyring", filepath.Join(root, "key.gpg"),
			"--mirror", server.url + "/archive/debian/{{.Timestamp}}", "--mirror", server.url + "/archive/debian-security/{{.Timestamp}}",
			"--base", "none", "hello",
		}
	}
	for time, want := range map[string]string{"20240101T000000Z": "hello_1.0", "20240201T000000Z": "hello_2.0"} {
		old := resolve(t, cache, at(time)...)
		if len(old.Entries) != 1 || !strings.HasPrefix(old.Entries[0].Base(), want) || old.Date.Format("20060102") != time[:8] {
			t.Errorf("%s: %s", time, old.Format())
		}
		if log := server.asked(); !slices.Contains(log, "/archive/debian/"+time+"/dists/old/InRelease") {
			t.Errorf("%s was not asked for: %v", time, log)
		}
	}
	if r := finish(t, command(t, cache, append([]string{"lock", "resolve"}, at("20230101T000000Z")...)...)); r.code != 1 || !strings.Contains(r.stderr, "has no suite old") {
		t.Errorf("a time that is not kept: %v", r)
	}
}

// shortDir is a directory whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		exec.Command("gpgconf", "--homedir", dir, "--kill", "all").Run()
		os.RemoveAll(dir)
	})
	return dir
}

// snapshotScript makes two states of an archive of the packages in a pool, as
// $1/debian/TIME: with version 1.0 of hello, then with 2.0.
const snapshotScript = `
root=$1; pool=$2; arch=$3
mkdir -p "$root"; cd "$root"
gpg -q --batch --passphrase '' --quick-gen-key 'T <t@example.invalid>' ed25519 sign 0
gpg -q --export >key.gpg
for state in 20240101:1.0 20240201:2.0; do
  day=${state%:*}; version=${state#*:}; at=$root/debian/${day}T000000Z
  mkdir -p "$at/dists/old/main/binary-$arch" build/DEBIAN
  cp -r "$pool/pool" "$at/"
  printf 'Package: hello\nVersion: %s\nArchitecture: all\nMaintainer: T <t@example.invalid>\nDescription: t\n' "$version" >build/DEBIAN/control
  dpkg-deb -Zgzip --root-owner-group -b build "$at/pool/hello_${version}_all.deb" >/dev/null
  cd "$at"
  apt-ftparchive -a "$arch" packages pool >"dists/old/main/binary-$arch/Packages"
  apt-ftparchive -o APT::FTPArchive::Release::Origin=Debian -o APT::FTPArchive::Release::Label=Debian \
    -o APT::FTPArchive::Release::Suite=old -o APT::FTPArchive::Release::Codename=old -o APT::FTPArchive::Release::Version=1.2 \
    -o APT::FTPArchive::Release::Architectures="$arch" -o APT::FTPArchive::Release::Components=main release dists/old |
    sed "s/^Date: .*/Date: $(date -u -d "$day" +'%a, %d %b %Y %H:%M:%S UTC')/" >Release
  mv Release dists/old/Release
  gpg -q --batch --clearsign -o dists/old/InRelease dists/old/Release
  cd "$root"
done
gpgconf --kill gpg-agent
`

// TestResolveAlpine resolves from the repository of a real release, as root
// and as another user, and for an architecture that cannot run here.
func TestResolveAlpine(t *testing.T) {
	needs(t, true, "setpriv")
	set := alpineSet(t)
	mirror := t.TempDir()
	for name, dir := range map[string]string{
		"v3.19/main/x86_64": set.dir, "v3.19/main/aarch64": realData(t, "alpine/rpi-3.13.4-aarch64/apks/aarch64"),
	} {
		name = filepath.Join(mirror, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(dir, name); err != nil {
			t.Fatal(err)
		}
	}
	server := serveDir(t, mirror)
	args := []string{"--distro", "alpine", "--suite", "v3.19", "--components", "main", "--mirror", server.url, "--arch", "amd64", "--base", "base", "openssh", "chrony"}
	cache := t.TempDir()
	lock := resolve(t, cache, args...)
	want := slices.Sorted(slices.Values(alpineNames))
	if got := namesIn(lock); !slices.Equal(got, want) || len(lock.Missing) > 0 {
		t.Errorf("chosen were %v, missing %v", got, lock.Missing)
	}
	if lock.System.String() != "alpine 3.19.1 x86_64" || lock.Entries[0].Archive.Name != "Alpine" {
		t.Errorf("%.400s", lock.Format())
	}
	if files := buildFrom(t, cache, lock); !strings.Contains(files, "usr/sbin/sshd") || !strings.Contains(files, "sbin/openrc") {
		t.Errorf("the image has\n%s", head(files))
	}
	t.Run("foreign", func(t *testing.T) {
		foreign := resolve(t, cache, "--distro", "alpine", "--suite", "3.19", "--components", "main", "--mirror", server.url, "--arch", "arm64", "--base", "none", "busybox", "chrony")
		if names := namesIn(foreign); !slices.Contains(names, "musl") || foreign.System.Arch != "aarch64" {
			t.Errorf("%s", foreign.Format())
		}
	})
	t.Run("unknown", func(t *testing.T) {
		r := samebits(t, 3, cache, append([]string{"lock", "resolve"}, append(args, "nothing-like-it")...)...)
		if !strings.Contains(r.stderr, "v3.19/main for x86_64 has no package nothing-like-it") || r.stdout != "" {
			t.Errorf("%v", r)
		}
	})
	t.Run("conflict", func(t *testing.T) {
		r := samebits(t, 1, cache, append([]string{"lock", "resolve"}, append(args, "musl<1")...)...)
		if !strings.Contains(r.stderr, "unable to select packages") {
			t.Errorf("%v", r)
		}
	})
	t.Run("offline", func(t *testing.T) {
		before := len(server.asked())
		if again := resolve(t, cache, append(args, "--offline")...); string(again.Format()) != string(lock.Format()) {
			t.Errorf("offline the lock is\n%s", again.Format())
		}
		for want, c := range map[string]struct {
			code int
			args []string
		}{
			"/v3.20/main/x86_64/APKINDEX.tar.gz is not kept in the cache":             {1, []string{"--suite", "v3.20"}},
			"hint: without --offline, files that the cache does not have are fetched": {3, []string{"wget"}},
			"which --no-cache leaves aside":                                           {2, []string{"--no-cache"}},
			"has no package nothing-like-it":                                          {3, []string{"nothing-like-it"}},
		} {
			if r := samebits(t, c.code, cache, append(append([]string{"lock", "resolve", "--offline"}, args...), c.args...)...); !strings.Contains(r.stderr, want) {
				t.Errorf("%v does not say that %s", r, want)
			}
		}
		if asked := server.asked(); len(asked) != before {
			t.Errorf("offline the mirror was asked for %v", asked[before:])
		}
	})
	t.Run("user", func(t *testing.T) {
		user := otherUser(t)
		home := shortDir(t)
		must(t, "chown", user, home)
		cmd := exec.Command("setpriv", append([]string{"--reuid=" + user, "--regid=" + user, "--init-groups", builtBinary(t), "lock", "resolve"}, args...)...)
		cmd.Env = clean("SAMEBITS_CACHE=" + home + "/cache")
		cmd.Dir = "/"
		r := finish(t, cmd)
		skipForbidden(t, r)
		if r.stdout != string(lock.Format()) {
			t.Errorf("another user's lock is another: %v", r)
		}
	})
}

// TestResolveArch resolves from a repository of real packages, with a key of
// its own, and holds the choice to that of the real pacman of this machine.
func TestResolveArch(t *testing.T) {
	needs(t, true, "pacman", "repo-add", "gpg")
	set := archSet(t)
	mirror := t.TempDir()
	repo := filepath.Join(mirror, "core/os/x86_64")
	cmd := exec.Command("sh", "-euc", archScript, "sh", repo, set.dir)
	cmd.Env = clean("GNUPGHOME="+shortDir(t), "LC_ALL=C.UTF-8")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	server := serveDir(t, mirror)
	cache := t.TempDir()
	args := []string{"--distro", "arch", "--components", "core", "--mirror", server.url, "--arch", "amd64", "--base", "none"}
	keyring := []string{"--keyring", filepath.Join(repo, "test.gpg")}
	lock := resolve(t, cache, slices.Concat(args, keyring, []string{"pacman", "gzip"})...)
	goal := t.TempDir()
	for _, dir := range []string{"var/lib/pacman/sync", "etc"} {
		if err := os.MkdirAll(filepath.Join(goal, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	config := write(t, filepath.Join(goal, "etc/pacman.conf"), fmt.Sprintf("[options]\nArchitecture = x86_64\nSigLevel = Never\n[core]\nServer = file://%s\n", repo))
	options := []string{"--root", goal, "--dbpath", filepath.Join(goal, "var/lib/pacman"), "--config", config, "--noconfirm"}
	must(t, "pacman", append(options, "-Sy")...)
	want := strings.Fields(must(t, "pacman", append(options, "-Sp", "--print-format", "%n", "pacman", "gzip")...))
	slices.Sort(want)
	if got := namesIn(lock); !slices.Equal(got, want) || len(lock.Missing) > 0 {
		t.Errorf("chosen were %v, pacman chooses %v, missing %v", got, want, lock.Missing)
	}
	if files := buildFrom(t, cache, lock, "--no-scripts", "--source", server.url); !strings.Contains(files, "usr/bin/pacman\n") {
		t.Errorf("the image has\n%s", head(files))
	}
	if r := samebits(t, 1, cache, slices.Concat([]string{"lock", "resolve"}, args, []string{"pacman"})...); !strings.Contains(r.stderr, "its signature is refused") {
		t.Errorf("with the built-in keys: %v", r)
	}
}

// archScript makes a repository of the packages in a directory, whose database
// is signed.
const archScript = `
repo=$1; packages=$2
mkdir -p "$repo"; cd "$repo"
ln -s "$packages"/*.pkg.tar.xz .
repo-add -q core.db.tar.gz *.pkg.tar.xz
gpg -q --batch --passphrase '' --quick-gen-key 'T <t@example.invalid>' ed25519 sign 0
gpg -q --batch --detach-sign -o core.db.sig core.db
gpg -q --export >test.gpg
gpgconf --kill gpg-agent
`
