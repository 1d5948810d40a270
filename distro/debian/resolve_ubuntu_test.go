package debian

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
)

// newUbuntu is a try with archives of Ubuntu's form: one for amd64, with its
// own host for security updates, and one for all other architectures.
func newUbuntu(t *testing.T, packages ...string) *resolution {
	t.Helper()
	r := newResolution(t, packages...)
	r.web.files = map[string][]byte{}
	for arch, places := range map[string][2]string{
		"amd64": {"http://archive.ubuntu.com/ubuntu/", "http://security.ubuntu.com/ubuntu/"},
		"arm64": {"http://ports.ubuntu.com/ubuntu-ports/", "http://ports.ubuntu.com/ubuntu-ports/"},
	} {
		for name, main := range map[string]string{
			"noble":          tools(arch) + field(record("bash", "5", arch, "bash"), "Essential: yes"),
			"noble-updates":  "",
			"noble-security": record("libc6", "2.41+ubuntu1", arch, "libc6 mended"),
		} {
			base, universe := places[0], ""
			switch name {
			case "noble":
				universe = record("hello", "1:2.10", arch, "hello")
			case "noble-security":
				base = places[1]
			}
			s := &suite{origin: "Ubuntu", label: "Ubuntu", codename: "noble", date: dayOne, signer: r.key,
				extra:   "Suite: " + name + "\nVersion: 24.04\nArchitectures: " + arch + "\n",
				indexes: map[string]string{"main/" + arch: main, "universe/" + arch: universe}}
			for file, data := range s.files(t) {
				r.web.files[archive.Dir(base, name)+file] = data
			}
		}
	}
	r.req.Distro, r.req.Suites = "ubuntu", []string{"noble"}
	return r
}

// Ubuntu's universe is looked at too, and its ports have an archive of their
// own; apt is that of this machine's architecture from the other.
func TestResolveUbuntu(t *testing.T) {
	r := newUbuntu(t, "hello")
	got, err := r.resolve()
	if err != nil {
		t.Fatal(err)
	}
	want := "# samebits lock v1\n#: distro ubuntu 24.04 arm64\n#: date 2026-11-01T08:00:00Z\n#: archive Ubuntu\n" +
		line("hello", "pool/main/hello_1:2.10_arm64.deb") + line("libc6", "pool/main/libc6_2.41_arm64.deb")
	if text := string(got.Lock.Format()); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	for _, want := range []string{
		"var/lib/apt/lists/ports.ubuntu.com_ubuntu-ports_dists_noble_universe_binary-arm64_Packages",
		"var/lib/apt/lists/ports.ubuntu.com_ubuntu-ports_dists_noble-security_main_binary-arm64_Packages",
	} {
		if _, ok := r.files[want]; !ok {
			t.Errorf("apt lacks %s", want)
		}
	}
	if laid := r.shop.Laid[0].System.String(); laid != "ubuntu 24.04 amd64" {
		t.Errorf("apt is of %s", laid)
	}
	if tail := strings.Join(r.args[slices.Index(r.args, "--")+1:], " "); tail != "hello bash dpkg" {
		t.Errorf("apt was asked for %s", tail)
	}
	if len(r.warnings) > 0 {
		t.Errorf("%q", r.warnings)
	}
}

func TestResolveUbuntuSaysWhatThereIs(t *testing.T) {
	r := newUbuntu(t, "hello")
	r.req.Suites = []string{"nobel"}
	if _, err := r.resolve(); err == nil || !strings.Contains(err.Error(), "has no suite nobel; those of ubuntu are such as jammy, noble") {
		t.Errorf("a suite that is none: %v", err)
	}
	r = newUbuntu(t, "hello")
	r.req.Components = []string{"main"}
	var unknown *distro.UnknownPackageError
	if _, err := r.resolve(); !errors.As(err, &unknown) {
		t.Errorf("a package of universe without universe: %v", err)
	}
}
