package debian

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/distro/debian/snapshot/snapshottest"
	"github.com/samebits/samebits/lockfile"
)

// A bench is a root with apt's configuration and lists of a signed archive,
// and dpkg's database, that both apt and this package read.
type bench struct {
	root     string
	key      *snapshottest.Key
	dir      string // the archive
	url      string
	suites   []string
	status   strings.Builder
	warnings []string
}

func newBench(t *testing.T, architectures ...string) *bench {
	t.Helper()
	for _, tool := range []string{"apt-get", "dpkg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: %v", tool, err)
		}
	}
	b := &bench{root: t.TempDir(), dir: t.TempDir(), key: snapshottest.NewKey(t, time.Now().Add(-time.Hour), "0")}
	server := httptest.NewServer(http.FileServer(http.Dir(b.dir)))
	t.Cleanup(server.Close)
	b.url = server.URL
	for _, dir := range []string{"etc/apt/preferences.d", "etc/apt/apt.conf.d", "var/lib/apt/lists/partial", "var/lib/dpkg/info", "var/cache/apt/archives/partial", "var/log/apt"} {
		if err := os.MkdirAll(filepath.Join(b.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.write(t, "etc/os-release", "ID=debian\nVERSION_ID=12\n")
	b.write(t, "etc/apt/trusted.gpg.d/test.asc", string(b.key.Public))
	b.write(t, "var/lib/dpkg/arch", strings.Join(architectures, "\n")+"\n")
	b.write(t, "etc/apt/apt.conf", fmt.Sprintf("APT::Architecture %q;\nAPT::Architectures { %s; };\nAPT::Sandbox::User \"root\";\nAPT::Install-Recommends \"false\";\nAcquire::Languages \"none\";\n",
		architectures[0], strings.Join(architectures, "; ")))
	return b
}

func (b *bench) write(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join(b.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// install puts a package into dpkg's database.
func (b *bench) install(d snapshottest.Deb, want string) {
	fmt.Fprintf(&b.status, "Package: %s\nStatus: %s ok installed\nMaintainer: Test <test@example.invalid>\nArchitecture: %s\nVersion: %s\n%sDescription: test\n\n", d.Name, want, d.Arch, d.Version, d.Fields)
}

func (b *bench) publish(t *testing.T, s snapshottest.Suite, debs ...snapshottest.Deb) {
	t.Helper()
	s.Alias, s.Codename = s.Name, s.Name
	b.key.Publish(t, b.dir, s, time.Now().Add(-time.Minute), debs...)
	b.suites = append(b.suites, "deb "+b.url+" "+s.Name+" main\n")
}

// apt runs apt-get on the root.
func (b *bench) apt(t *testing.T, args ...string) string {
	t.Helper()
	conf := filepath.Join(b.root, "apt.conf")
	b.write(t, "apt.conf", fmt.Sprintf("Dir %q;\nDir::State::status %q;\n#include %q;\n", b.root, filepath.Join(b.root, "var/lib/dpkg/status"), filepath.Join(b.root, "etc/apt/apt.conf")))
	cmd := exec.Command("apt-get", args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+conf, "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("apt-get %q: %v\n%s%s", args, err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// ready writes what was gathered, fetches the lists and opens the root.
func (b *bench) ready(t *testing.T) *System {
	t.Helper()
	b.write(t, "etc/apt/sources.list", strings.Join(b.suites, ""))
	b.write(t, "var/lib/dpkg/status", b.status.String())
	b.apt(t, "update")
	s, err := open(b.root, &distro.Events{Warn: func(m string) { b.warnings = append(b.warnings, m) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// aptResult returns what would be installed after apt-get did verb.
func (b *bench) aptResult(t *testing.T, s *System, verb string) []string {
	t.Helper()
	return aptSet(t, s, b.apt(t, "-s", verb))
}

// aptSet reads what apt-get -s printed. The result has "name:arch version"
// with the epoch left out.
func aptSet(t *testing.T, s *System, output string) []string {
	t.Helper()
	statuses, err := s.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]string{}
	for _, st := range statuses {
		if !st.Installed() {
			continue
		}
		set[st.Package+":"+archKey(st.Arch, s)] = withoutEpoch(st.Version)
	}
	lines := bufio.NewScanner(strings.NewReader(output))
	for lines.Scan() {
		// Inst NAME[:ARCH] [OLD] (NEW SUITE [ARCH]) …
		words := strings.Fields(lines.Text())
		if len(words) < 3 || words[0] != "Inst" && words[0] != "Remv" {
			continue
		}
		name, arch, foreign := strings.Cut(words[1], ":")
		if !foreign {
			arch = s.Config.Native()
		}
		if words[0] == "Remv" {
			t.Errorf("apt would remove %s", name)
			continue
		}
		_, offer, _ := strings.Cut(lines.Text(), "(")
		version, _, _ := strings.Cut(offer, " ")
		set[name+":"+arch] = withoutEpoch(version)
	}
	return sortedSet(set)
}

func archKey(arch string, s *System) string {
	return slotOf(distro.Package{Arch: arch}, s.Config.Native()).arch
}

func sortedSet(set map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(set)) {
		out = append(out, k+" "+set[k])
	}
	return out
}

func lockResult(t *testing.T, s *System, l *distro.Located) []string {
	t.Helper()
	set := map[string]string{}
	for _, e := range l.Lock.Entries {
		p, ok := Distro{}.Describe(e.Path)
		if !ok {
			t.Fatalf("%s cannot be read", e.Path)
		}
		set[p.Name+":"+archKey(p.Arch, s)] = p.Version
	}
	for _, m := range l.Lock.Missing {
		set[m.Name+":"+archKey(m.Arch, s)] = withoutEpoch(m.Version)
	}
	return sortedSet(set)
}

// lock makes the lock of what is installed. What is not to be located any more
// is in it all the same, as it would be in a lock made in time.
func lockOf(t *testing.T, s *System) *lockfile.Lock {
	t.Helper()
	packages, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l := &lockfile.Lock{System: s.ID()}
	for _, p := range packages {
		d := snapshottest.Deb{Name: p.Name, Version: p.Version, Arch: p.Arch}
		l.Entries = append(l.Entries, lockfile.Entry{Path: d.Path(), Digest: d.Digest(), Archive: lockfile.Archive{Name: "Test"}, Comments: []string{"# about " + p.Name}})
	}
	if err := l.Sort(); err != nil {
		t.Fatal(err)
	}
	return l
}

func agree(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, x := range got {
		if !slices.Contains(want, x) {
			t.Errorf("%s: the update has %s, apt has not", what, x)
		}
	}
	for _, x := range want {
		if !slices.Contains(got, x) {
			t.Errorf("%s: apt has %s, the update has not", what, x)
		}
	}
}

// control is one package: its name, version, architecture, and fields.
func control(name, version, arch string, fields ...string) snapshottest.Deb {
	d := snapshottest.Deb{Name: name, Version: version, Arch: arch}
	for _, f := range fields {
		d.Fields += f + "\n"
	}
	return d
}

func TestUpdateAsAptDoes(t *testing.T) {
	b := newBench(t, "amd64", "i386")
	both := []string{"amd64", "i386"}
	for _, d := range []snapshottest.Deb{
		control("alternatives", "1", "amd64"), control("epoch", "1:1.0-1", "amd64"), control("newest", "2", "amd64"),
		control("experiment", "1", "amd64"), control("backport", "1.5~bpo1", "amd64"), control("pinned", "1", "amd64"),
		control("backward", "2", "amd64"), control("never", "1", "amd64"), control("broken", "1", "amd64"),
		control("libsame", "1", "amd64", "Multi-Arch: same"), control("libsame", "1", "i386", "Multi-Arch: same"),
		control("needs", "1", "amd64"), control("needed", "1", "amd64"), control("changes", "1", "all"),
		control("script", "1", "amd64"), control("interpreter", "1", "i386", "Multi-Arch: allowed"), control("tool-user", "1", "amd64"),
		control("chain", "1", "amd64"), control("gone", "1", "amd64"),
		control("libuneven", "1", "amd64", "Multi-Arch: same"), control("libuneven", "1", "i386", "Multi-Arch: same"),
		control("libodd", "1", "amd64", "Multi-Arch: same"), control("libodd", "1", "i386", "Multi-Arch: same"),
	} {
		b.install(d, "install")
	}
	b.install(control("held", "1", "amd64"), "hold")
	b.publish(t, snapshottest.Suite{Name: "stable", Origin: "Test", Label: "Test", Architectures: both},
		control("alternatives", "2", "amd64", "Depends: absent | chosen, virtual"), control("chosen", "1", "amd64"), control("chosen", "3", "amd64"),
		control("provider-a", "1", "amd64", "Provides: virtual"), control("epoch", "1:1.1-1", "amd64"), control("newest", "1", "amd64"),
		control("newest", "2", "amd64"), control("experiment", "1", "amd64"), control("backport", "1", "amd64"),
		control("pinned", "1", "amd64"), control("pinned", "2", "amd64"), control("backward", "1", "amd64"), control("backward", "2", "amd64"),
		control("never", "1", "amd64"), control("never", "2", "amd64"), control("broken", "1", "amd64"), control("broken", "2", "amd64", "Depends: absent (>= 3)"),
		control("libsame", "2", "amd64", "Multi-Arch: same"), control("libsame", "2", "i386", "Multi-Arch: same"),
		control("needs", "2", "amd64", "Pre-Depends: needed (>= 2), epoch (>= 1:1.1)"), control("needed", "2", "amd64"), control("changes", "2", "amd64"),
		control("script", "2", "amd64", "Depends: interpreter:any"), control("interpreter", "1", "i386", "Multi-Arch: allowed"),
		control("tool-user", "2", "amd64", "Depends: tool"), control("tool", "1", "i386", "Multi-Arch: foreign"),
		control("chain", "2", "amd64", "Depends: link"), control("link", "1", "amd64", "Depends: end"), control("end", "1", "all"),
		control("libuneven", "1", "amd64", "Multi-Arch: same"), control("libuneven", "2", "amd64", "Multi-Arch: same"),
		control("libodd", "1", "amd64", "Multi-Arch: same"), control("libodd", "1", "i386", "Multi-Arch: same"), control("libodd", "2", "i386", "Multi-Arch: same"),
		control("libuneven", "1", "i386", "Multi-Arch: same"), control("held", "1", "amd64"), control("held", "2", "amd64"))
	b.publish(t, snapshottest.Suite{Name: "experimental", Origin: "Test", Label: "Test", Architectures: both, Fields: map[string]string{"NotAutomatic": "yes"}},
		control("experiment", "2", "amd64"))
	b.publish(t, snapshottest.Suite{Name: "backports", Origin: "Test Backports", Label: "Test Backports", Architectures: both, Fields: map[string]string{"NotAutomatic": "yes", "ButAutomaticUpgrades": "yes"}},
		control("backport", "2~bpo1", "amd64"))
	b.write(t, "etc/apt/preferences", "Package: pinned\nPin: version 1\nPin-Priority: 990\n\nPackage: backward\nPin: version 1\nPin-Priority: 1001\n\nPackage: never\nPin: release n=stable\nPin-Priority: -1\n")
	s := b.ready(t)
	old := lockOf(t, s)
	got, err := s.Update(t.Context(), old, distro.LocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "dist-upgrade", lockResult(t, s, got), b.aptResult(t, s, "dist-upgrade"))
	if len(got.Lock.Missing) != 1 || got.Lock.Missing[0].Name != "gone" || got.Reasons[got.Lock.Missing[0]].Kind == "" {
		t.Errorf("missing %v, reasons %q", got.Lock.Missing, got.Reasons)
	}
	for _, e := range got.Lock.Entries {
		name, _, _ := strings.Cut(e.Base(), "_")
		isNew := slices.Contains([]string{"chosen", "provider-a", "tool", "link", "end"}, name)
		if e.Unsigned || e.Digest.IsZero() || (len(e.Comments) == 0) != isNew {
			t.Errorf("entry %+v", e)
		}
		if want := map[bool]string{true: "Test%20Backports", false: "Test"}[name == "backport"]; e.Archive.Name != want || e.Archive.URL == "" {
			t.Errorf("%s is of the archive %q", e.Path, e.Archive)
		}
	}
	if since := time.Since(got.Lock.Date); since < 0 || since > time.Hour {
		t.Errorf("the date is %s", got.Lock.Date)
	}
	if said := strings.Join(b.warnings, "\n"); !strings.Contains(said, "broken 2 is not taken") {
		t.Errorf("what is kept back was not told: %q", b.warnings)
	}
	again, err := s.Update(t.Context(), got.Lock, distro.LocateRequest{})
	if err != nil || !bytes.Equal(again.Lock.Format(), got.Lock.Format()) {
		t.Errorf("a second update is another one (%v):\n%s\nbefore it was\n%s", err, again.Lock.Format(), got.Lock.Format())
	}
}

// TestUpdateRemovesNothing has a case in which dist-upgrade would remove a
// package. A lock loses none: as with apt-get's plain upgrade the other package
// is kept back.
func TestUpdateRemovesNothing(t *testing.T) {
	b := newBench(t, "amd64")
	strict := control("strict", "1", "amd64", "Depends: exact (= 1)")
	b.install(strict, "install")
	b.install(control("exact", "1", "amd64"), "install")
	b.publish(t, snapshottest.Suite{Name: "stable", Origin: "Test", Architectures: []string{"amd64"}},
		strict, control("exact", "1", "amd64"), control("exact", "2", "amd64"))
	s := b.ready(t)
	got, err := s.Update(t.Context(), lockOf(t, s), distro.LocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	agree(t, "upgrade", lockResult(t, s, got), b.aptResult(t, s, "upgrade"))
	if said := strings.Join(b.warnings, "\n"); !strings.Contains(said, "exact 2 is not taken: strict 1, which stays, needs exact (= 1)") {
		t.Errorf("what is kept back was not told: %q", b.warnings)
	}
}

func TestUpdateRefuses(t *testing.T) {
	b := newBench(t, "amd64")
	b.publish(t, snapshottest.Suite{Name: "stable", Origin: "Test", Architectures: []string{"amd64"}}, control("a", "1", "amd64"))
	s := b.ready(t)
	entry := func(path string) lockfile.Entry {
		return lockfile.Entry{Path: path, Digest: lockfile.DigestOf([]byte(path))}
	}
	for name, c := range map[string]struct {
		lock lockfile.Lock
		want string
	}{
		"another architecture": {lockfile.Lock{System: lockfile.System{Distro: "debian", Version: "12", Arch: "arm64"}}, "the lock is for debian 12 arm64"},
		"another distribution": {lockfile.Lock{System: lockfile.System{Distro: "ubuntu", Version: "12", Arch: "amd64"}}, "the lock is for ubuntu"},
		"not a package":        {lockfile.Lock{Entries: []lockfile.Entry{entry("pool/README")}}, "pool/README is not named as a Debian package is"},
		"two versions":         {lockfile.Lock{Entries: []lockfile.Entry{entry("a_1_amd64.deb"), entry("a_2_amd64.deb")}}, "two versions of a"},
	} {
		if _, err := s.Update(t.Context(), &c.lock, distro.LocateRequest{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func TestUpdateQuarrels(t *testing.T) {
	for name, c := range map[string]struct {
		offered []snapshottest.Deb
		want    []string
	}{
		"breaks":           {[]snapshottest.Deb{control("a", "2", "amd64", "Breaks: b (<< 2)"), control("b", "1", "amd64")}, []string{"a 2 amd64 breaks b 1 amd64"}},
		"conflicts":        {[]snapshottest.Deb{control("a", "2", "amd64", "Conflicts: b"), control("b", "1", "amd64")}, []string{"a 2 amd64 conflicts with b 1 amd64"}},
		"by a virtual one": {[]snapshottest.Deb{control("a", "2", "amd64", "Conflicts: v", "Provides: v"), control("b", "2", "amd64", "Provides: v")}, []string{"a 2 amd64 conflicts with b 2 amd64"}},
		"not":              {[]snapshottest.Deb{control("a", "2", "amd64", "Breaks: b (<< 2)", "Conflicts: a2, v", "Provides: v"), control("b", "2", "amd64")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, "amd64")
			b.install(control("a", "1", "amd64"), "install")
			b.install(control("b", "1", "amd64"), "install")
			b.publish(t, snapshottest.Suite{Name: "stable", Origin: "Test", Architectures: []string{"amd64"}}, c.offered...)
			s := b.ready(t)
			_, err := s.Update(t.Context(), lockOf(t, s), distro.LocateRequest{})
			if (err == nil) != (c.want == nil) {
				t.Fatalf("got error %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got error %v, want %q", err, w)
				}
			}
		})
	}
}

// TestUpdateRealSystem upgrades what is installed on this machine to an
// archive in which every third source has a newer version, some of them with a
// new dependency.
func TestUpdateRealSystem(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	f, err := os.Open("/var/lib/dpkg/status")
	if err != nil {
		t.Skipf("not a Debian system: %v", err)
	}
	defer f.Close()
	paragraphs, err := deb822.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, "amd64")
	var offered []snapshottest.Deb
	sources := map[string]int{}
	for _, p := range paragraphs {
		if p.Get("Status") != "install ok installed" {
			continue
		}
		source, _, _ := strings.Cut(p.Get("Source"), " ")
		if source == "" {
			source = p.Get("Package")
		}
		d := snapshottest.Deb{Name: p.Get("Package"), Version: p.Get("Version"), Arch: p.Get("Architecture")}
		for _, name := range []string{"Source", "Depends", "Pre-Depends", "Breaks", "Conflicts", "Provides", "Multi-Arch", "Essential", "Priority"} {
			if v := p.Get(name); v != "" {
				d.Fields += name + ": " + v + "\n"
			}
		}
		b.install(d, "install")
		offered = append(offered, d)
		if _, ok := sources[source]; !ok {
			sources[source] = len(sources)
		}
		if n := sources[source]; n%3 == 0 {
			newer := d
			newer.Version += "+next1"
			newer.Fields = strings.ReplaceAll(d.Fields, "(= "+d.Version+")", "(= "+newer.Version+")")
			if n%9 == 0 && !strings.Contains(d.Fields, "\nDepends:") && !strings.HasPrefix(d.Fields, "Depends:") {
				newer.Fields += "Depends: fresh-" + source + "\n"
				offered = append(offered, control("fresh-"+source, "1", "all"))
			}
			offered = append(offered, newer)
		}
	}
	b.publish(t, snapshottest.Suite{Name: "stable", Origin: "Test", Architectures: []string{"amd64"}}, offered...)
	s := b.ready(t)
	old := lockOf(t, s)
	got, err := s.Update(t.Context(), old, distro.LocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := b.aptResult(t, s, "dist-upgrade")
	agree(t, "dist-upgrade", lockResult(t, s, got), want)
	t.Logf("%d packages locked, %d after the update, %d of them changed; kept back %q", len(old.Entries), len(want), len(got.Lock.Without(old).Entries), b.warnings)
}

// TestUpdateThisMachine compares with what apt would upgrade on this machine,
// from the lists that it has.
func TestUpdateThisMachine(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skipf("needs apt-get: %v", err)
	}
	s := realSystem(t, nil)
	packages, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old, err := s.Locate(t.Context(), distro.LocateRequest{Packages: packages})
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	got, err := s.Update(t.Context(), old.Lock, distro.LocateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d entries and %d missing became %d and %d in %s", len(old.Lock.Entries), len(old.Lock.Missing), len(got.Lock.Entries), len(got.Lock.Missing), time.Since(started))
	out, err := exec.Command("apt-get", "-s", "-o", "APT::Install-Recommends=false", "dist-upgrade").Output()
	if err != nil {
		t.Skipf("apt-get -s dist-upgrade: %v", err)
	}
	agree(t, "dist-upgrade", lockResult(t, s, got), aptSet(t, s, string(out)))
}
