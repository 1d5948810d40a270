package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/fedora/rpm"
)

// A mirrorFormat is a family of archives that a mirror can serve.
type mirrorFormat struct {
	name string
	// knowsKeys says that it has keys of its own.
	knowsKeys bool
	open      func(formatOptions) (mirror.Format, error)
}

// formatOptions are what a format is made with.
type formatOptions struct {
	// keyrings are files; none has signatures passed on unchecked.
	keyrings []string
	// required refuses what none of these keys vouches for, also in archives
	// where keys that are not known are to be expected.
	required                  bool
	architectures, components []string
	archive                   string // as locks name it, where that is known
}

// mirrorFormats are all of them.
var mirrorFormats = []mirrorFormat{
	{"debian", false, openDebianFormat},
	{"alpine", true, openAlpineFormat},
	{"arch", false, openArchFormat},
	{"rpm", false, openRPMFormat},
}

func findFormat(name string) *mirrorFormat {
	for i := range mirrorFormats {
		if mirrorFormats[i].name == name {
			return &mirrorFormats[i]
		}
	}
	return nil
}

func formatNames() []string {
	var names []string
	for _, f := range mirrorFormats {
		names = append(names, f.name)
	}
	return names
}

// eachKeyring reads files of keys.
func eachKeyring(names []string, read func(name string, data []byte) error) error {
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read a keyring: %w", err)
		}
		if err := read(name, data); err != nil {
			return fmt.Errorf("keyring %s: %w", name, err)
		}
	}
	return nil
}

// openDebianFormat is that of apt's archives.
func openDebianFormat(o formatOptions) (mirror.Format, error) {
	d := &mirror.Debian{Architectures: o.architectures, Components: o.components}
	err := eachKeyring(o.keyrings, func(_ string, data []byte) error {
		keys, err := archive.ReadKeys(data)
		d.Keys = archive.Join(d.Keys, keys)
		return err
	})
	if err == nil && len(o.keyrings) > 0 && d.Keys == nil {
		err = errors.New("no key is in the keyrings")
	}
	return d, err
}

// openAlpineFormat is that of apk's archives. The files of keys are named as
// below /etc/apk/keys; Alpine's own keys are known without.
func openAlpineFormat(o formatOptions) (mirror.Format, error) {
	if o.required && len(o.keyrings) == 0 {
		o.archive = alpineArchive // its own keys alone may sign it
	}
	a := &mirror.Alpine{Archive: o.archive}
	files := map[string][]byte{}
	if o.archive == alpineArchive {
		files = mirror.AlpineKeys()
	}
	err := eachKeyring(o.keyrings, func(name string, data []byte) error {
		files[filepath.Base(name)] = data
		return nil
	})
	if err == nil && len(files) > 0 {
		a.Keys, err = apk.NewKeys(files)
	}
	return a, err
}

// openArchFormat is that of pacman's archives. A keyring is one of
// /usr/share/pacman/keyrings, with its lists of what is trusted and revoked
// beside it; in one without these all keys are trusted.
func openArchFormat(o formatOptions) (mirror.Format, error) {
	a := &mirror.Arch{Archive: o.archive, Required: o.required}
	if len(o.keyrings) == 0 {
		return a, nil
	}
	files := map[string][]byte{}
	trusted := false
	err := eachKeyring(o.keyrings, func(name string, data []byte) error {
		stem := strings.TrimSuffix(name, ".gpg")
		files[filepath.Base(stem)+".gpg"] = data
		for _, list := range []string{"-trusted", "-revoked"} {
			data, err := os.ReadFile(stem + list)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			files[filepath.Base(stem)+list] = data
			trusted = trusted || list == "-trusted"
		}
		return nil
	})
	if err == nil {
		a.Keys, err = trust.Load(files)
	}
	if err == nil && !trusted {
		a.Keys = a.Keys.TrustAll()
	}
	return a, err
}

// openRPMFormat is that of the archives of dnf, yum and zypper.
func openRPMFormat(o formatOptions) (mirror.Format, error) {
	f := &mirror.RPM{Archive: o.archive, Required: o.required}
	err := eachKeyring(o.keyrings, func(_ string, data []byte) error {
		keys, err := rpm.LoadKeys(data)
		if err == nil {
			f.Keys = rpm.Join(f.Keys, keys)
		}
		return err
	})
	return f, err
}

// A knownArchive is one that every mirror has, under a prefix that never
// changes.
type knownArchive struct {
	prefix, format string
	// archive is what locks call it, where the archive does not say so itself.
	archive    string
	urls       []string
	keyrings   []string // patterns of files
	components []string
	// systems are those that only have it; none for an archive that every
	// mirror has.
	systems []string
}

// alpineArchive is what locks call Alpine's own archive.
const alpineArchive = "Alpine"

var knownArchives = []knownArchive{
	{"debian", "debian", "", []string{"http://ftp.debian.org/debian"}, debianKeyrings, []string{"main"}, nil},
	{"debian-security", "debian", "", []string{"http://security.debian.org/debian-security"}, debianKeyrings, []string{"main", "updates/main"}, nil},
	{"ubuntu", "debian", "", []string{"http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"}, ubuntuKeyrings, []string{"main", "universe"}, nil},
	{"alpine", "alpine", alpineArchive, []string{"http://dl-cdn.alpinelinux.org/alpine"}, alpineKeyrings, nil, nil},
	{"archlinux", "arch", "Arch-Linux", []string{"https://geo.mirror.pkgbuild.com"}, archKeyrings, nil, nil},
	{"archlinuxarm", "arch", "Arch-Linux-ARM", []string{"http://mirror.archlinuxarm.org"}, []string{"/usr/share/pacman/keyrings/archlinuxarm.gpg"}, nil, []string{"archarm"}},
	{"fedora", "rpm", "Fedora", []string{"https://dl.fedoraproject.org/pub/fedora/linux"}, rpmKeyrings("fedora/RPM-GPG-KEY-fedora-*"), nil, nil},
	{"epel", "rpm", "EPEL", []string{"https://dl.fedoraproject.org/pub/epel"}, rpmKeyrings("epel/RPM-GPG-KEY-EPEL-*"), nil, []string{"almalinux", "centos", "rhel", "rocky"}},
	{"centos-stream", "rpm", "CentOS-Stream", []string{"https://mirror.stream.centos.org"}, rpmKeyrings("centos/RPM-GPG-KEY-centosofficial*"), nil, []string{"centos"}},
	{"rocky", "rpm", "Rocky", []string{"https://dl.rockylinux.org/pub/rocky"}, rpmKeyrings("rocky/RPM-GPG-KEY-Rocky-*"), nil, []string{"rocky"}},
	{"almalinux", "rpm", "AlmaLinux", []string{"https://repo.almalinux.org/almalinux"}, rpmKeyrings("alma/RPM-GPG-KEY-AlmaLinux*"), nil, []string{"almalinux"}},
	{"opensuse", "rpm", "openSUSE", []string{"https://download.opensuse.org"}, []string{"/usr/lib/rpm/gnupg/keys/*.asc"}, nil, []string{"opensuse-leap", "opensuse-tumbleweed"}},
}

var (
	debianKeyrings = []string{"/usr/share/keyrings/debian-archive-*.gpg", "/usr/share/keyrings/debian-archive-*.pgp", "/etc/apt/trusted.gpg.d/debian-archive-*"}
	ubuntuKeyrings = []string{"/usr/share/keyrings/ubuntu-archive-keyring.gpg", "/etc/apt/trusted.gpg.d/ubuntu-keyring-*"}
	archKeyrings   = []string{"/usr/share/keyrings/archlinux.gpg", "/usr/share/pacman/keyrings/archlinux.gpg"}
	alpineKeyrings = []string{"/usr/share/apk/keys/alpine-devel@*.rsa.pub", "/etc/apk/keys/alpine-devel@*.rsa.pub"}
)

// rpmKeyrings are where a system of rpm has the keys that lie at a place in
// the package distribution-gpg-keys, and where that has them.
func rpmKeyrings(pattern string) []string {
	return []string{"/etc/pki/rpm-gpg/" + filepath.Base(pattern), "/usr/share/distribution-gpg-keys/" + pattern}
}

// keyringFiles are the files that patterns match.
func keyringFiles(patterns []string) (names []string) {
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		names = append(names, found...)
	}
	return names
}

// of reports whether a mirror on a system has the archive without being told.
func (k knownArchive) of(system string) bool {
	return len(k.systems) == 0 || slices.Contains(k.systems, system)
}

// debianArchitecture is this machine's architecture as Debian calls it.
func debianArchitecture() string {
	names := map[string]string{"386": "i386", "arm": "armhf", "ppc64le": "ppc64el"}
	if name := names[runtime.GOARCH]; name != "" {
		return name
	}
	return runtime.GOARCH
}
