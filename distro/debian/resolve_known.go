package debian

import (
	"embed"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

//go:embed keys/*.gpg
var builtInKeys embed.FS

// What is known of the distributions whose keys are built in. Others of the
// family are resolved from a mirror and a keyring that the user names.
type knownDistro struct {
	id string
	// keyrings are files of builtInKeys; past are for snapshots only.
	keyrings, past []string
	// main and security are the places of its archives, as the family's traits
	// have them; ports is for other architectures than those of primary.
	main, security, ports string
	primary               []string // all of them where it is empty
	// snapshots are the same at an archive of snapshots.
	mainSnapshot, securitySnapshot string
	components                     []string
	// suites are some that there are, as examples.
	suites []string
	// rolling are suites that have no suites of updates.
	rolling []string
}

var knownDistros = []knownDistro{
	{
		id:       "debian",
		keyrings: []string{"debian-archive-keyring.gpg"}, past: []string{"debian-archive-removed-keys.gpg"},
		main: "http://ftp.debian.org/debian", security: "http://security.debian.org/debian-security",
		mainSnapshot:     "http://snapshot.debian.org/archive/debian/{{.Timestamp}}",
		securitySnapshot: "http://snapshot.debian.org/archive/debian-security/{{.Timestamp}}",
		components:       []string{"main"},
		suites:           []string{"bookworm", "trixie", "sid"},
		rolling:          []string{"sid", "unstable", "experimental", "rc-buggy"},
	},
	{
		id:       "ubuntu",
		keyrings: []string{"ubuntu-archive-keyring.gpg"},
		main:     "http://archive.ubuntu.com/ubuntu", security: "http://security.ubuntu.com/ubuntu",
		ports: "http://ports.ubuntu.com/ubuntu-ports", primary: []string{"amd64", "i386"},
		mainSnapshot: "https://snapshot.ubuntu.com/ubuntu/{{.Timestamp}}", securitySnapshot: "https://snapshot.ubuntu.com/ubuntu/{{.Timestamp}}",
		components: []string{"main", "universe"},
		suites:     []string{"jammy", "noble"},
	},
}

// isSecurity reports whether a suite is one of security updates, which have an
// archive of their own.
func isSecurity(suite string) bool {
	return strings.HasSuffix(suite, "-security") || strings.HasSuffix(suite, "/updates")
}

// companions are the suites that belong to one: what an installed system has
// in its sources too.
func (k *knownDistro) companions(codename string) []string {
	if codename == "" || strings.ContainsAny(codename, "-/") || slices.Contains(k.rolling, codename) {
		return nil
	}
	security := codename + "-security"
	if k.id == "debian" && slices.Contains([]string{"wheezy", "jessie", "stretch", "buster"}, codename) {
		security = codename + "/updates"
	}
	return []string{codename + "-updates", security}
}

// mirrors lists where a suite may be had, the best first. near are mirrors of
// the system that samebits runs in: one stands in for an archive whose path it
// has.
func (k *knownDistro) mirrors(suite, arch string, near []distro.Mirror, snapshot bool) []string {
	place, kept := k.main, k.mainSnapshot
	if isSecurity(suite) {
		place, kept = k.security, k.securitySnapshot
	}
	if k.ports != "" && !slices.Contains(k.primary, arch) {
		place = k.ports
	}
	if snapshot {
		return []string{kept}
	}
	var out []string
	for _, n := range near {
		if lastElement(n.URL) == lastElement(place) {
			out = append(out, strings.TrimRight(n.URL, "/"))
		}
	}
	return append(out, place)
}

func lastElement(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return path.Base(strings.TrimRight(u.Path, "/"))
}

// debianArch is the family's word for an architecture in any usual spelling.
func debianArch(name string) string {
	switch name {
	case "x86_64", "x86-64", "x64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "386", "i486", "i586", "i686", "x86":
		return "i386"
	case "arm", "armv7", "armv7l", "armv7h":
		return "armhf"
	case "ppc64le":
		return "ppc64el"
	case "mips64le":
		return "mips64el"
	case "loongarch64":
		return "loong64"
	}
	return name
}

// knownAs returns what is known of a distribution, or nil.
func knownAs(id string) *knownDistro {
	i := slices.IndexFunc(knownDistros, func(k knownDistro) bool { return k.id == id })
	if i < 0 {
		return nil
	}
	return &knownDistros[i]
}

var _ distro.Resolver = Distro{}
