package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// generate locks this machine without the network, and skips the test where
// this is no machine with apt and its lists. Some packages of a real machine
// are in no index any more.
func generate(t *testing.T, args ...string) result {
	t.Helper()
	needs(t, false, "dpkg-query", "apt-cache", "apt-get")
	if lists, _ := filepath.Glob("/var/lib/apt/lists/*Release"); len(lists) == 0 {
		t.Skip("needs apt's lists of this machine")
	}
	r := samebits(t, 0, t.TempDir(), append([]string{"lock", "generate", "--offline", "--allow-missing"}, args...)...)
	if r.stdout == "" && len(args) == 0 {
		t.Fatalf("no lock: %v", r)
	}
	return r
}

// installed is what dpkg says is installed: name, version, architecture.
func installed(t *testing.T, options ...string) []lockfile.Missing {
	t.Helper()
	out := must(t, "dpkg-query", append(options, "-W", "-f=${db:Status-Status} ${Package} ${Version} ${Architecture}\n")...)
	var list []lockfile.Missing
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) == 4 && f[0] == "installed" {
			list = append(list, lockfile.Missing{Name: f[1], Version: f[2], Arch: f[3]})
		}
	}
	return list
}

// fileName is how archives name the file of a package.
func fileName(p lockfile.Missing) string {
	version := p.Version
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	return p.Name + "_" + version + "_" + p.Arch + ".deb"
}

// byFile is the entries of a lock by the names of their files; archives have
// files whose name has the epoch too, or lacks something else.
func byFile(t *testing.T, l *lockfile.Lock) map[string]lockfile.Entry {
	t.Helper()
	out := map[string]lockfile.Entry{}
	for _, e := range l.Entries {
		if old, ok := out[e.Base()]; ok {
			t.Errorf("%s and %s are one package", old.Path, e.Path)
		}
		out[e.Base()] = e
	}
	return out
}

// known is what apt knows of the file of one version of a package.
type known struct {
	sha256, path string
	size         int64
}

// askApt asks apt for the files of exact versions. There may be several of one
// version, and none of one that is in no index.
func askApt(t *testing.T, packages []lockfile.Missing) map[lockfile.Missing][]known {
	t.Helper()
	args := []string{"show"}
	for _, p := range packages {
		arch := ":" + p.Arch
		if p.Arch == "all" {
			arch = ""
		}
		args = append(args, p.Name+arch+"="+p.Version)
	}
	cmd := exec.Command("apt-cache", args...)
	cmd.Env = clean("LC_ALL=C.UTF-8")
	r := finish(t, cmd) // exits with 100 where a package is in no index at all
	out := map[lockfile.Missing][]known{}
	for stanza := range strings.SplitSeq(r.stdout, "\n\n") {
		field := map[string]string{}
		for line := range strings.Lines(stanza) {
			if k, v, ok := strings.Cut(line, ": "); ok {
				field[k] = strings.TrimSpace(v)
			}
		}
		if field["SHA256"] == "" {
			continue // what dpkg's status says of it
		}
		p := lockfile.Missing{Name: field["Package"], Version: field["Version"], Arch: field["Architecture"]}
		size, _ := strconv.ParseInt(field["Size"], 10, 64)
		out[p] = append(out[p], known{field["SHA256"], field["Filename"], size})
	}
	return out
}

// Every installed package is in the lock at the installed version, or missing.
// What is missing is what apt cannot locate either.
func TestAcceptEveryPackage(t *testing.T) {
	t.Parallel()
	l := parse(t, generate(t).stdout)
	entries := byFile(t, l)
	packages := installed(t)
	for _, p := range packages {
		_, located := entries[fileName(p)]
		if missing := slices.Contains(l.Missing, p); located == missing {
			t.Errorf("%s %s %s: located %v, missing %v", p.Name, p.Version, p.Arch, located, missing)
		}
	}
	if got := len(l.Entries) + len(l.Missing); got != len(packages) {
		t.Errorf("%d entries and %d missing are %d, but %d packages are installed", len(l.Entries), len(l.Missing), got, len(packages))
	}
	t.Logf("%d installed, %d located, %d missing", len(packages), len(l.Entries), len(l.Missing))
	for p, files := range askApt(t, l.Missing) {
		if slices.Contains(l.Missing, p) {
			t.Errorf("%v is missing, but apt has it as %v", p, files)
		}
	}
}

// sample picks located packages at random, with their lines.
func sample(t *testing.T, r *rand.Rand, n int) ([]lockfile.Missing, map[string]lockfile.Entry) {
	t.Helper()
	entries := byFile(t, parse(t, generate(t).stdout))
	located := slices.DeleteFunc(installed(t), func(p lockfile.Missing) bool {
		_, ok := entries[fileName(p)]
		return !ok
	})
	r.Shuffle(len(located), func(i, j int) { located[i], located[j] = located[j], located[i] })
	return located[:min(n, len(located))], entries
}

// The hash of a line is that of the file that apt has for the installed
// version: of 50 as apt's indexes say, of some as apt downloads it.
func TestAcceptHashes(t *testing.T) {
	t.Parallel()
	r := random(t)
	picked, entries := sample(t, r, 50)
	answers := askApt(t, picked)
	for _, p := range picked {
		e := entries[fileName(p)]
		if !slices.ContainsFunc(answers[p], func(k known) bool { return k.sha256 == e.Digest.String() && k.path == e.Path }) {
			t.Errorf("%s %s %s: the lock has %s  %s, apt %v", p.Name, p.Version, p.Arch, e.Digest, e.Path, answers[p])
		}
	}
	needsMirror(t)
	slices.SortFunc(picked, func(a, b lockfile.Missing) int { return int(answers[a][0].size - answers[b][0].size) })
	for _, p := range picked[:min(4, len(picked))] {
		got := download(t, p)
		if want := entries[fileName(p)].Digest.String(); got != want {
			t.Errorf("%s %s %s: the lock has %s, apt downloads %s", p.Name, p.Version, p.Arch, want, got)
		}
	}
}

// download has apt fetch the file of a package and returns its SHA-256.
func download(t *testing.T, p lockfile.Missing) string {
	t.Helper()
	cmd := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", p.Name+":"+p.Arch+"="+p.Version)
	cmd.Dir, cmd.Env = t.TempDir(), clean("LC_ALL=C.UTF-8")
	if r := finish(t, cmd); r.code != 0 {
		t.Fatal(r)
	}
	files, _ := filepath.Glob(filepath.Join(cmd.Dir, "*.deb"))
	if len(files) != 1 {
		t.Fatalf("apt downloaded %v", files)
	}
	h := sha256.Sum256([]byte(read(t, files[0])))
	return hex.EncodeToString(h[:])
}

// needsMirror skips a test where apt cannot fetch anything.
func needsMirror(t *testing.T) {
	t.Helper()
	needs(t, false, "apt-get")
	cmd := exec.Command("apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Retries=0", "download", "hostname")
	cmd.Dir, cmd.Env = t.TempDir(), clean("LC_ALL=C.UTF-8")
	if r := finish(t, cmd); r.code != 0 {
		t.Skipf("needs a mirror that apt can reach: %v", r)
	}
}

var call = regexp.MustCompile(`\b(execve|execveat|connect)\(.*`)

// traced runs samebits under strace and returns the calls that start programs
// or connections.
func traced(t *testing.T, cmd *exec.Cmd) (result, []string) {
	t.Helper()
	needs(t, false, "strace")
	log := filepath.Join(t.TempDir(), "log")
	wrapped := exec.Command("strace", append([]string{"-f", "-qq", "-e", "trace=execve,execveat,connect", "-e", "signal=none", "-o", log}, cmd.Args...)...)
	wrapped.Env, wrapped.Dir = cmd.Env, cmd.Dir
	r := finish(t, wrapped)
	return r, call.FindAllString(read(t, log), -1)
}

func TestAcceptNoSubprocess(t *testing.T) {
	t.Parallel()
	want := generate(t)
	r, calls := traced(t, command(t, t.TempDir(), "lock", "generate", "--offline", "--allow-missing"))
	if r.code != 0 || r.stdout != want.stdout {
		t.Errorf("under strace it is another lock: %v", r)
	}
	if len(calls) != 1 || !strings.HasPrefix(calls[0], "execve(") {
		t.Errorf("programs and connections: %q", calls)
	}
}

// What a first lock has is left out of the second.
func TestAcceptSince(t *testing.T) {
	t.Parallel()
	text := generate(t).stdout
	r := random(t)
	var kept, dropped []string
	for line := range strings.Lines(text) {
		isMissing := strings.HasPrefix(line, "#: missing ")
		switch {
		case strings.HasPrefix(line, "#") && !isMissing:
			kept = append(kept, line)
		case r.IntN(3) > 0:
			kept = append(kept, line)
		default:
			dropped = append(dropped, line)
		}
	}
	old := write(t, filepath.Join(t.TempDir(), "old"), strings.Join(kept, ""))
	var got []string
	since := generate(t, "--since", old)
	for line := range strings.Lines(since.stdout) {
		if !strings.HasPrefix(line, "#") || strings.HasPrefix(line, "#: missing ") {
			got = append(got, line)
		}
	}
	if !slices.Equal(got, dropped) {
		t.Errorf("%d lines were not in the old lock, %d are in the new one: %v", len(dropped), len(got), since)
	}
	all := write(t, filepath.Join(t.TempDir(), "all"), text)
	if l := parse(t, generate(t, "--since", all, "-o", "-").stdout); len(l.Entries)+len(l.Missing) > 0 {
		t.Errorf("since a lock of everything: %d entries, %d missing", len(l.Entries), len(l.Missing))
	}
}

// The lock is the same for any user, umask, locale, time zone and number of
// CPUs.
func TestAcceptSameBytes(t *testing.T) {
	t.Parallel()
	want := generate(t).stdout
	dir := t.TempDir()
	script := `umask 077; exec "$0" lock generate --offline --allow-missing -o "$1"`
	cmd := exec.Command("sh", "-c", script, builtBinary(t), filepath.Join(dir, "lock"))
	cmd.Env = []string{"LC_ALL=tr_TR.UTF-8", "LANG=ar_EG", "TZ=Asia/Kathmandu", "GOMAXPROCS=1", "SAMEBITS_CACHE=" + dir}
	if r := finish(t, cmd); r.code != 0 || r.stdout != "" {
		t.Fatal(r)
	}
	if got := read(t, filepath.Join(dir, "lock")); got != want {
		t.Errorf("another lock with another umask and locale:\n%s", head(got))
	}
	if os.Geteuid() != 0 || !has("setpriv") {
		t.Skip("to be another user needs root and setpriv")
	}
	cmd = exec.Command("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", builtBinary(t), "lock", "generate", "--offline", "--allow-missing")
	cmd.Env = []string{}
	if r := finish(t, cmd); r.code != 0 || r.stdout != want {
		t.Errorf("another lock for another user: %v", r)
	}
}

// copyOfMachine is what a lock of this machine is made from, without lists.
func copyOfMachine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"/etc/os-release", "/etc/apt", "/usr/share/keyrings", "/var/lib/dpkg/status", "/var/lib/dpkg/arch"} {
		if _, err := os.Stat(name); err != nil {
			continue // one architecture needs no list of them
		}
		to := filepath.Join(root, filepath.Dir(name))
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		must(t, "cp", "-rL", name, to)
	}
	return root
}

// A root without lists, or with old ones, is given fresh indexes without being
// touched, and its lock is that of one whose lists apt fetched.
func TestAcceptFreshIndexes(t *testing.T) {
	needsMirror(t)
	t.Parallel()
	with, without := copyOfMachine(t), copyOfMachine(t)
	lists := filepath.Join(with, "var/lib/apt/lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "-o", "Dir::State::lists="+lists, "-o", "APT::Update::Post-Invoke::=", "update")
	args := []string{"lock", "generate", "--no-snapshot", "--allow-missing", "--root"}
	cache := t.TempDir()
	fromLists := samebits(t, 0, cache, append(args, with, "--offline")...)
	if n := len(blobSizes(t, cache)); n > 0 {
		t.Errorf("%d files in the cache for what is on the disk", n)
	}
	before := listing(t, without)
	fresh := samebits(t, 0, cache, append(args, without, "--update")...)
	if after := listing(t, without); after != before {
		t.Errorf("the root has changed from\n%s\nto\n%s", head(before), head(after))
	}
	if fresh.stdout != fromLists.stdout {
		a, b := parse(t, fromLists.stdout), parse(t, fresh.stdout)
		if !a.Date.Equal(b.Date) {
			t.Skipf("the archive has changed meanwhile: %s, %s", a.Date, b.Date)
		}
		t.Errorf("from lists on disk: %v\nfrom fresh indexes: %v", fromLists, fresh)
	}
	// They need not be asked for: a root without lists has no other way.
	if implied := samebits(t, 0, cache, append(args, without)...); implied.stdout != fresh.stdout {
		t.Errorf("without --update: %v\nwith it: %v", implied, fresh)
	}
}

// sha256sum accepts what a lock becomes.
func TestAcceptPool(t *testing.T) {
	needsMirror(t)
	needs(t, false, "sha256sum")
	t.Parallel()
	picked, _ := sample(t, random(t), 50)
	answers := askApt(t, picked)
	slices.SortFunc(picked, func(a, b lockfile.Missing) int { return int(answers[a][0].size - answers[b][0].size) })
	dir, cache := t.TempDir(), t.TempDir()
	lock := filepath.Join(dir, "lock")
	args := []string{"--no-deps", "-o", lock}
	for _, p := range picked[:min(12, len(picked))] {
		args = append(args, p.Name+":"+p.Arch)
	}
	generate(t, args...)
	if l := parse(t, read(t, lock)); len(l.Entries) != len(args)-3 {
		t.Fatalf("%d entries for %v", len(l.Entries), args)
	}
	samebits(t, 0, cache, "lock", "fetch", "--no-snapshot", lock)
	pool := filepath.Join(dir, "pool")
	samebits(t, 0, cache, "cache", "export", "--layout", "pool", lock, pool)
	for _, sums := range []string{lock, "SHA256SUMS"} {
		cmd := exec.Command("sha256sum", "-c", "--strict", sums)
		cmd.Dir = pool
		if r := finish(t, cmd); r.code != 0 || strings.Count(r.stdout, ": OK\n") != len(args)-3 || r.stderr != "" {
			t.Errorf("%s: %v", sums, r)
		}
	}
	// That it says no is worth knowing too.
	for _, e := range parse(t, read(t, lock)).Entries[:1] {
		name := filepath.Join(pool, e.Path)
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
		write(t, name, fmt.Sprint("not what it was: ", e.Path))
	}
	cmd := exec.Command("sha256sum", "-c", "--strict", "--status", lock)
	cmd.Dir = pool
	if r := finish(t, cmd); r.code != 1 {
		t.Errorf("a changed file passes: %v", r)
	}
}
