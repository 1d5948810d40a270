package fedora

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro"
)

// Names of archives that are generally known. Repositories of rpm do not say
// who they are; that they are of one of these is told by where they are.
const (
	archiveFedora   = "Fedora"
	archiveEPEL     = "EPEL"
	archiveCentOS   = "CentOS-Stream"
	archiveRocky    = "Rocky"
	archiveAlma     = "AlmaLinux"
	archiveOpenSUSE = "openSUSE"
	// archiveKoji is Fedora's build system, which keeps what the archive has
	// dropped.
	archiveKoji = "Fedora-Koji"
)

// mirrors are the places of known archives.
var mirrors = []distro.Mirror{
	{Archive: archiveFedora, URL: "https://dl.fedoraproject.org/pub/fedora/linux"},
	{Archive: archiveFedora, URL: "https://dl.fedoraproject.org/pub/fedora-secondary"},
	{Archive: archiveEPEL, URL: "https://dl.fedoraproject.org/pub/epel"},
	{Archive: archiveCentOS, URL: "https://mirror.stream.centos.org"},
	{Archive: archiveRocky, URL: "https://dl.rockylinux.org/pub/rocky"},
	{Archive: archiveAlma, URL: "https://repo.almalinux.org/almalinux"},
	{Archive: archiveOpenSUSE, URL: "https://download.opensuse.org"},
	{Archive: archiveFedora, URL: "https://dl.fedoraproject.org/pub/archive/fedora/linux", Keeper: true},
	{Archive: archiveEPEL, URL: "https://dl.fedoraproject.org/pub/archive/epel", Keeper: true},
	{Archive: archiveRocky, URL: "https://dl.rockylinux.org/vault/rocky", Keeper: true},
	{Archive: archiveAlma, URL: "https://vault.almalinux.org", Keeper: true},
	{Archive: archiveKoji, URL: "https://kojipkgs.fedoraproject.org", Keeper: true},
}

// A layout says of which archive a repository is, and below which path of it.
type layout struct {
	archive string
	// at matches where the repository is, as reference spells it.
	at *regexp.Regexp
	// path is the repository's path below the archive's root, with $1 and so
	// on for what at matched.
	path string
}

// layouts are tried in their order. References of mirror lists are spelled
// host?repo=…&arch=…, base URLs host/path. They are made when they are first
// wanted, as most runs want none.
var layouts = sync.OnceValue(func() []layout {
	return []layout{
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=fedora-(\d+)&arch=(\w+)$`), "releases/$1/Everything/$2/os"},
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=fedora-modular-(\d+)&arch=(\w+)$`), "releases/$1/Modular/$2/os"},
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=updates-released-f(\d+)&arch=(\w+)$`), "updates/$1/Everything/$2"},
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=updates-released-modular-f(\d+)&arch=(\w+)$`), "updates/$1/Modular/$2"},
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=updates-testing-f(\d+)&arch=(\w+)$`), "updates/testing/$1/Everything/$2"},
		{archiveFedora, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=rawhide&arch=(\w+)$`), "development/rawhide/Everything/$1/os"},
		{archiveEPEL, regexp.MustCompile(`^mirrors\.fedoraproject\.org\?repo=epel-(\d+)&arch=(\w+)$`), "$1/Everything/$2"},
		{archiveCentOS, regexp.MustCompile(`^mirrors\.centos\.org\?repo=centos-baseos-(\d+-stream)&arch=(\w+)$`), "$1/BaseOS/$2/os"},
		{archiveCentOS, regexp.MustCompile(`^mirrors\.centos\.org\?repo=centos-appstream-(\d+-stream)&arch=(\w+)$`), "$1/AppStream/$2/os"},
		{archiveCentOS, regexp.MustCompile(`^mirrors\.centos\.org\?repo=centos-crb-(\d+-stream)&arch=(\w+)$`), "$1/CRB/$2/os"},
		{archiveCentOS, regexp.MustCompile(`^mirrors\.centos\.org\?repo=centos-extras-sig-extras-common-(\d+-stream)&arch=(\w+)$`), "SIGs/$1/extras/$2/extras-common"},
		{archiveRocky, regexp.MustCompile(`^mirrors\.rockylinux\.org\?repo=(\w+)-([\d.]+)&arch=(\w+)$`), "$2/$1/$3/os"},
		{archiveAlma, regexp.MustCompile(`^mirrors\.almalinux\.org\?repo=baseos-([\d.]+)&arch=(\w+)$`), "$1/BaseOS/$2/os"},
		{archiveAlma, regexp.MustCompile(`^mirrors\.almalinux\.org\?repo=appstream-([\d.]+)&arch=(\w+)$`), "$1/AppStream/$2/os"},
		{archiveAlma, regexp.MustCompile(`^mirrors\.almalinux\.org\?repo=crb-([\d.]+)&arch=(\w+)$`), "$1/CRB/$2/os"},
		{archiveAlma, regexp.MustCompile(`^mirrors\.almalinux\.org\?repo=extras-([\d.]+)&arch=(\w+)$`), "$1/extras/$2/os"},
		{archiveFedora, regexp.MustCompile(`/(?:linux|fedora|fedora-secondary)/((?:releases|development)/\w+/\w+/\w+/os)$`), "$1"},
		{archiveFedora, regexp.MustCompile(`/(?:linux|fedora|fedora-secondary)/(updates/(?:testing/)?\d+/\w+/\w+)$`), "$1"},
		{archiveEPEL, regexp.MustCompile(`/epel/(\d+/\w+/\w+)$`), "$1"},
		{archiveCentOS, regexp.MustCompile(`/(\d+-stream/\w+/\w+/os)$`), "$1"},
		{archiveRocky, regexp.MustCompile(`/rocky/([\d.]+/\w+/\w+/os)$`), "$1"},
		{archiveAlma, regexp.MustCompile(`/almalinux/([\d.]+/\w+/\w+/os)$`), "$1"},
		{archiveOpenSUSE, regexp.MustCompile(`/((?:distribution/leap|update/leap)/[\d.]+/[\w/-]+)$`), "$1"},
		{archiveOpenSUSE, regexp.MustCompile(`/((?:tumbleweed|update/tumbleweed)(?:/repo/[\w-]+)?)$`), "$1"},
	}
})

// knownArchive tells of which archive the repository behind a URL is: that of
// a metalink or a mirror list, or its base. arch is the repository's, for
// mirror lists that do not have it.
func knownArchive(rawURL, arch string) (archive, below string, ok bool) {
	ref := reference(rawURL, arch)
	for _, l := range layouts() {
		if m := l.at.FindStringSubmatchIndex(ref); m != nil {
			return l.archive, string(l.at.ExpandString(nil, l.path, ref, m)), true
		}
	}
	return "", "", false
}

// reference spells a URL in the one way that layouts match.
func reference(rawURL, arch string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	q := u.Query()
	if repo := q.Get("repo"); repo != "" {
		if a := q.Get("arch"); a != "" {
			arch = a
		}
		return u.Host + "?repo=" + repo + "&arch=" + arch
	}
	if rest, ok := strings.CutPrefix(u.Path, "/mirrorlist/"); ok { // of AlmaLinux
		if release, repo, ok := strings.Cut(strings.TrimSuffix(rest, "/"), "/"); ok {
			return u.Host + "?repo=" + repo + "-" + release + "&arch=" + arch
		}
	}
	return u.Host + strings.TrimSuffix(path.Clean("/"+u.Path), "/")
}

// join appends a path to a base URL, escaped as a path has to be.
func join(base, name string) string {
	return strings.TrimSuffix(base, "/") + "/" + (&url.URL{Path: name}).EscapedPath()
}
