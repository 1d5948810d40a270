package debian

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/distrotest"
)

const (
	mainURL     = "http://ftp.debian.org/debian/"
	securityURL = "http://security.debian.org/debian-security/"
)

// tools are what apt is made of.
func tools(arch string) string {
	return field(record("apt", "3.0", arch, "apt"), "Depends: libapt (>= 3), adduser, gpgv | sqv, libc6 | nothing") +
		record("libapt", "2.9", arch, "old") +
		field(record("libapt-real", "3.0", arch, "libapt"), "Provides: libapt (= 3.0)") +
		field(record("dpkg", "1.22", arch, "dpkg"), "Pre-Depends: tar, libc6", "Essential: yes") +
		record("base-files", "13", arch, "base-files") + record("libc6", "2.41", arch, "libc6") + record("tar", "1.35", arch, "tar") +
		record("adduser", "3", "all", "adduser")
}

// field puts more fields into a stanza.
func field(stanza string, more ...string) string {
	return strings.TrimSuffix(stanza, "\n") + strings.Join(more, "\n") + "\n\n"
}

// A resolution is a try of Resolve with an archive of Debian's form.
type resolution struct {
	req      distro.ResolveRequest
	key      *openpgp.Entity
	web      *web
	shop     *distrotest.Workshop
	args     []string          // of apt
	files    map[string][]byte // that apt had
	warnings []string
}

func newResolution(t *testing.T, packages ...string) *resolution {
	t.Helper()
	r := &resolution{key: newKey(t), web: &web{files: map[string][]byte{}}}
	var keyring bytes.Buffer
	if err := r.key.Serialize(&keyring); err != nil {
		t.Fatal(err)
	}
	r.shop = &distrotest.Workshop{Answer: func(files map[string][]byte, s distro.Step) (string, error) {
		r.args, r.files = s.Args, files
		return "Inst hello (1:2.10 Debian:13/trixie [arm64])\nInst libc6 (2.41 Debian:13/trixie [arm64])\nConf hello (1:2.10 Debian:13/trixie [arm64])\n", nil
	}}
	r.req = distro.ResolveRequest{
		Distro: "debian", Suites: []string{"trixie"}, Arch: "arm64", Host: "amd64", Packages: packages,
		Keyrings: map[string][]byte{"t.gpg": keyring.Bytes()}, Dir: t.TempDir(), Now: time.Now(),
		Fetcher: r.web, Workshop: r.shop, Events: &distro.Events{Warn: func(m string) { r.warnings = append(r.warnings, m) }},
	}
	r.publish(t, mainURL, "trixie", "Codename: trixie\nVersion: 13.1\n", tools("amd64"),
		tools("arm64")+record("hello", "1:2.10", "arm64", "hello")+field(record("bash", "5", "arm64", "bash"), "Essential: yes", "Priority: required")+
			field(record("init", "1", "arm64", "init"), "Priority: important")+field(record("mawk", "1", "arm64", "mawk"), "Provides: awk", "Priority: required"))
	r.publish(t, mainURL, "trixie-updates", "", "", "")
	r.publish(t, securityURL, "trixie-security", "", "", record("libc6", "2.41+deb13u1", "arm64", "libc6 mended"))
	return r
}

// publish puts a suite for two architectures on the web.
func (r *resolution) publish(t *testing.T, base, name, extra, amd64, arm64 string) {
	t.Helper()
	s := &suite{origin: "Debian", label: "Debian", codename: name, date: dayOne, signer: r.key,
		extra:   extra + "Architectures: all amd64 arm64\nNo-Support-for-Architecture-all: Packages\n",
		indexes: map[string]string{"main/amd64": amd64, "main/arm64": arm64}}
	if strings.Contains(base, "security") {
		s.label = "Debian-Security"
	}
	for file, data := range s.files(t) {
		r.web.files[archive.Dir(base, name)+file] = data
	}
}

func (r *resolution) resolve() (*distro.Located, error) {
	return Distro{}.Resolve(context.Background(), r.req)
}

func TestResolve(t *testing.T) {
	r := newResolution(t, "hello")
	got, err := r.resolve()
	if err != nil {
		t.Fatal(err)
	}
	want := "# samebits lock v1\n#: distro debian 13 arm64\n#: date 2026-11-01T08:00:00Z\n#: archive Debian\n" +
		line("hello", "pool/main/hello_1:2.10_arm64.deb") + line("libc6", "pool/main/libc6_2.41_arm64.deb")
	if text := string(got.Lock.Format()); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if len(r.warnings) > 0 || r.shop.Open != 0 {
		t.Errorf("warnings %q, %d roots left open", r.warnings, r.shop.Open)
	}
	// What is essential is asked for by name.
	if tail := strings.Join(r.args[slices.Index(r.args, "--")+1:], " "); tail != "hello bash dpkg" {
		t.Errorf("apt was asked for %s", tail)
	}
	if !slices.Contains(r.args, "APT::Install-Recommends=false") {
		t.Errorf("%q", r.args)
	}
}

func TestResolveGivesAptTheIndexesOfTheGoal(t *testing.T) {
	r := newResolution(t, "hello")
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	lists := slices.Sorted(maps.Keys(r.files))
	for _, want := range []string{
		"var/lib/apt/lists/ftp.debian.org_debian_dists_trixie_InRelease",
		"var/lib/apt/lists/ftp.debian.org_debian_dists_trixie_main_binary-arm64_Packages",
		"var/lib/apt/lists/security.debian.org_debian-security_dists_trixie-security_main_binary-arm64_Packages",
		"var/lib/dpkg/status",
	} {
		if !slices.Contains(lists, want) {
			t.Errorf("apt lacks %s", want)
		}
	}
	for _, name := range lists {
		if strings.Contains(name, "amd64") {
			t.Errorf("apt has %s", name)
		}
	}
	if status := r.files["var/lib/dpkg/status"]; len(status) != 0 {
		t.Errorf("the system is not empty: %q", status)
	}
	if conf := string(r.files["etc/apt/apt.conf"]); !strings.Contains(conf, `APT::Architecture "arm64"`) {
		t.Errorf("apt's configuration: %s", conf)
	}
	sources := "deb [arch=arm64 trusted=yes] http://ftp.debian.org/debian/ trixie main\n" +
		"deb [arch=arm64 trusted=yes] http://ftp.debian.org/debian/ trixie-updates main\n" +
		"deb [arch=arm64 trusted=yes] http://security.debian.org/debian-security/ trixie-security main\n"
	if got := string(r.files["etc/apt/sources.list"]); got != sources {
		t.Errorf("sources\n%s", got)
	}
}

// The package manager runs here, whatever it resolves for.
func TestResolveRunsTheHostsApt(t *testing.T) {
	r := newResolution(t, "hello")
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range r.shop.Laid[0].Entries {
		names = append(names, e.Base())
	}
	want := "apt_3.0_amd64.deb base-files_13_amd64.deb dpkg_1.22_amd64.deb libapt-real_3.0_amd64.deb libc6_2.41_amd64.deb"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("apt was made of %s", got)
	}
}

func TestResolveBases(t *testing.T) {
	for base, want := range map[string]string{
		"none": "hello", "": "hello bash dpkg", "essential": "hello bash dpkg",
		"required": "hello bash dpkg mawk", "important": "hello bash dpkg init mawk", "standard": "hello bash dpkg init mawk",
	} {
		r := newResolution(t, "hello")
		r.req.Base, r.req.Recommends = base, true
		if _, err := r.resolve(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.args[slices.Index(r.args, "--")+1:], " "); got != want {
			t.Errorf("%q: apt was asked for %q, not %q", base, got, want)
		}
		if !slices.Contains(r.args, "APT::Install-Recommends=true") {
			t.Errorf("%q", r.args)
		}
	}
}

func TestResolveArguments(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*distro.ResolveRequest)
		want   string
	}{
		"no suite":        {func(r *distro.ResolveRequest) { r.Suites = nil }, "name the suite"},
		"bad suite":       {func(r *distro.ResolveRequest) { r.Suites = []string{"../x"} }, "no suite"},
		"bad arch":        {func(r *distro.ResolveRequest) { r.Arch = "ARM 64" }, "no architecture"},
		"bad base":        {func(r *distro.ResolveRequest) { r.Base = "big" }, "there are none, essential"},
		"bad component":   {func(r *distro.ResolveRequest) { r.Components = []string{"../main"} }, "no component"},
		"not there":       {func(r *distro.ResolveRequest) { r.Components = []string{"main", "extra"} }, "no component extra"},
		"another suite":   {func(r *distro.ResolveRequest) { r.Packages = []string{"hello/sid"} }, "hello/sid names a suite that is not among trixie, trixie-updates"},
		"an option":       {func(r *distro.ResolveRequest) { r.Packages = []string{"-o=x"} }, "no package"},
		"another arch":    {func(r *distro.ResolveRequest) { r.Packages = []string{"hello:i386"} }, "another architecture"},
		"nothing":         {func(r *distro.ResolveRequest) { r.Packages, r.Base = nil, "none" }, "nothing is asked for"},
		"no mirror":       {func(r *distro.ResolveRequest) { r.Distro = "kali" }, "--mirror"},
		"no keys":         {func(r *distro.ResolveRequest) { r.Distro, r.Mirrors, r.Keyrings = "kali", []string{mainURL}, nil }, "--keyring"},
		"no time":         {func(r *distro.ResolveRequest) { r.Mirrors = []string{"http://x/{{.Timestamp}}/"} }, "--snapshot"},
		"no place for it": {func(r *distro.ResolveRequest) { r.Mirrors, r.Snapshot = []string{"http://x/"}, dayOne }, "Timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResolution(t, "hello")
			c.change(&r.req)
			_, err := r.resolve()
			var bad *distro.RequestError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestResolveUnknownPackages(t *testing.T) {
	r := newResolution(t, "hello", "nothing", "nowhere=1.0", "awk")
	_, err := r.resolve()
	var unknown *distro.UnknownPackageError
	if !errors.As(err, &unknown) || !slices.Equal(unknown.Names, []string{"nothing", "nowhere"}) {
		t.Fatal(err)
	}
	for _, want := range []string{"trixie", "arm64", "nothing, nowhere", "--components"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
	if len(r.shop.Laid) > 0 {
		t.Error("apt was asked all the same")
	}
}

// A version or a suite that is there goes to apt; one that is not is told with
// those that are.
func TestResolveVersions(t *testing.T) {
	for _, name := range []string{"hello=1:2.10", "hello/trixie", "hello/trixie-security"} {
		r := newResolution(t, name)
		if _, err := r.resolve(); err != nil || !slices.Contains(r.args, name) {
			t.Errorf("%s: %v, apt was asked for %q", name, err, r.args)
		}
	}
	r := newResolution(t, "hello=2.10")
	_, err := r.resolve()
	var unknown *distro.UnknownPackageError
	if !errors.As(err, &unknown) || !strings.Contains(err.Error(), "has no package hello=2.10; there is 1:2.10;") {
		t.Error(err)
	}
}

func TestResolveTellsWhatAptSays(t *testing.T) {
	r := newResolution(t, "hello")
	r.shop.Answer = func(map[string][]byte, distro.Step) (string, error) {
		return "The following packages have unmet dependencies:\n hello : Conflicts: \xffbash\n", errors.New("exit code 100")
	}
	_, err := r.resolve()
	if err == nil || !strings.Contains(err.Error(), "hello : Conflicts: bash") || !strings.Contains(err.Error(), "exit code 100") {
		t.Error(err)
	}
	if r.shop.Open != 0 {
		t.Error("its root is left open")
	}
	r.shop.Answer = func(map[string][]byte, distro.Step) (string, error) {
		return "Inst hello (9 Debian:13/trixie [arm64])\n", nil
	}
	r.req.Dir = t.TempDir()
	if _, err := r.resolve(); err == nil || !strings.Contains(err.Error(), "hello 9 arm64") {
		t.Errorf("what no index has: %v", err)
	}
}

func TestResolveWhatNobodySigned(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, r *resolution)
		want   string
	}{
		"another key":   {func(t *testing.T, r *resolution) { r.key = newKey(t); r.publish(t, mainURL, "trixie", "", "", "") }, "--keyring"},
		"built-in keys": {func(_ *testing.T, r *resolution) { r.req.Keyrings = nil }, "not among those built in"},
		"changed": {func(_ *testing.T, r *resolution) {
			name := mainURL + "dists/trixie/main/binary-arm64/Packages"
			r.web.files[name] = bytes.Replace(r.web.files[name], []byte("2.10"), []byte("2.11"), 1)
			r.web.files[name+".gz"] = compress(t, ".gz", string(r.web.files[name]))
		}, "not the digest"},
		"changed within": {func(_ *testing.T, r *resolution) {
			name := mainURL + "dists/trixie/InRelease"
			r.web.files[name] = bytes.Replace(r.web.files[name], []byte("13.1"), []byte("13.2"), 1)
		}, "not what was signed"},
		"expired": {func(t *testing.T, r *resolution) {
			r.publish(t, mainURL, "trixie", "Valid-Until: Wed, 01 Jan 2020 08:30:00 UTC\n", tools("amd64"), tools("arm64"))
		}, "valid until"},
		"no suite":     {func(_ *testing.T, r *resolution) { r.req.Suites = []string{"trixy"} }, "has no suite trixy; those of debian are such as bookworm, trixie, sid"},
		"no such arch": {func(_ *testing.T, r *resolution) { r.req.Arch = "s390x" }, "no packages for s390x, but for amd64, arm64"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResolution(t, "hello")
			c.change(t, r)
			if _, err := r.resolve(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if len(r.shop.Laid) > 0 {
				t.Error("apt was asked all the same")
			}
		})
	}
}

// A key that has expired since then vouches for a snapshot, and for nothing
// else.
func TestResolveJudgesKeysAtTheirTime(t *testing.T) {
	now := (&resolving{ResolveRequest: distro.ResolveRequest{Now: dayOne}}).at()
	past := (&resolving{ResolveRequest: distro.ResolveRequest{Now: dayOne, Snapshot: dayOne}}).at()
	if !now.Equal(dayOne) || !past.IsZero() {
		t.Errorf("keys are judged as of %v, for a snapshot as of %v", now, past)
	}
}

// Indexes of an earlier run are as good as they were then.
func TestResolveWithoutClock(t *testing.T) {
	r := newResolution(t, "hello")
	r.req.Now = time.Time{}
	r.publish(t, mainURL, "trixie", "Valid-Until: Wed, 01 Jan 2020 08:30:00 UTC\n", tools("amd64"), tools("arm64")+record("hello", "1:2.10", "arm64", "hello"))
	if _, err := r.resolve(); err != nil {
		t.Error(err)
	}
}

func TestResolveAtSnapshot(t *testing.T) {
	r := newResolution(t, "hello")
	r.web.files = map[string][]byte{}
	const main, security = "http://snapshot.debian.org/archive/debian/20261101T080500Z/", "http://snapshot.debian.org/archive/debian-security/20261101T080500Z/"
	// What had expired was good then.
	r.publish(t, main, "trixie", "Codename: trixie\nValid-Until: Wed, 01 Jan 2020 08:10:00 UTC\n", tools("amd64"), tools("arm64")+record("hello", "1:2.10", "arm64", "hello"))
	r.publish(t, main, "trixie-updates", "", "", "")
	r.publish(t, security, "trixie-security", "", "", "")
	r.req.Snapshot, r.req.Near = dayOne.Add(5*time.Minute), []distro.Mirror{{URL: mainURL}}
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	r.req.Dir, r.req.Mirrors = t.TempDir(), []string{"http://snapshot.debian.org/archive/debian/{{.Timestamp}}", "http://snapshot.debian.org/archive/debian-security/{{.Timestamp}}"}
	if _, err := r.resolve(); err != nil {
		t.Errorf("from a mirror with a place for the time: %v", err)
	}
	r.req.Dir, r.req.Snapshot = t.TempDir(), dayOne.Add(-time.Minute)
	for name, data := range maps.Clone(r.web.files) {
		r.web.files[strings.Replace(name, "080500", "075900", 1)] = data
	}
	if _, err := r.resolve(); err == nil || !strings.Contains(err.Error(), "after the time of the snapshot") {
		t.Errorf("what is newer than its snapshot: %v", err)
	}
}

func TestResolveCompanions(t *testing.T) {
	r := newResolution(t, "hello")
	r.req.OnlySuites = true
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	for _, u := range r.web.asked {
		if strings.Contains(u, "trixie-") {
			t.Errorf("asked for %s", u)
		}
	}
	// A mirror of the user's need not have them all, but that is told.
	r = newResolution(t, "hello")
	r.req.Mirrors = []string{"http://ftp.debian.org/debian"}
	if _, err := r.resolve(); err != nil || len(r.warnings) != 2 || !strings.Contains(r.warnings[0], "trixie-security") {
		t.Errorf("%v, warnings %q", err, r.warnings)
	}
	for _, c := range []struct{ id, codename, want string }{
		{"debian", "trixie", "trixie-updates trixie-security"}, {"debian", "buster", "buster-updates buster/updates"},
		{"debian", "sid", ""}, {"debian", "trixie-backports", ""}, {"ubuntu", "noble", "noble-updates noble-security"},
	} {
		if got := strings.Join(knownAs(c.id).companions(c.codename), " "); got != c.want {
			t.Errorf("%s %s: %s", c.id, c.codename, got)
		}
	}
}

func TestResolveMirrors(t *testing.T) {
	var near []distro.Mirror
	for _, u := range []string{"http://mirror.example/debian/", "http://mirror.example/debian-security", "http://other.example/tool", "file:/debian", "http://mirror.example/ubuntu"} {
		near = append(near, distro.Mirror{URL: u})
	}
	for _, c := range []struct{ id, suite, arch, want string }{
		{"debian", "trixie", "amd64", "http://mirror.example/debian http://ftp.debian.org/debian"},
		{"debian", "trixie-security", "amd64", "http://mirror.example/debian-security http://security.debian.org/debian-security"},
		{"ubuntu", "noble", "amd64", "http://mirror.example/ubuntu http://archive.ubuntu.com/ubuntu"},
		{"ubuntu", "noble-security", "arm64", "http://ports.ubuntu.com/ubuntu-ports"},
	} {
		if got := strings.Join(knownAs(c.id).mirrors(c.suite, c.arch, near, false), " "); got != c.want {
			t.Errorf("%s %s: %s", c.suite, c.arch, got)
		}
	}
}
