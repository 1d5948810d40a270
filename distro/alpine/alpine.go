// Package alpine knows Alpine Linux and what else is made of apk's packages:
// apk's database, its repositories and their signed indexes, and how to
// install with apk, also where there is none yet.
//
// Nothing that only reads runs a subprocess, and the network is reached
// through [distro.Fetcher] alone. An index whose signature is not by a key
// that the root trusts is not used, whatever it says.
package alpine

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Distro is the family of Alpine, a [distro.Distro].
type Distro struct{}

var _ distro.Distro = Distro{}

// Where apk keeps the list of what is installed: since apk 3 it may lie below
// /usr.
const (
	installedFile    = "lib/apk/db/installed"
	usrInstalledFile = "usr/lib/apk/db/installed"
)

const suffix = ".apk"

// knownArchive is the name of Alpine's own archive in locks.
const knownArchive = "Alpine"

// Traits returns what the family is known by. Alpine has no archive that keeps
// what its branches have dropped.
func (Distro) Traits() distro.Traits {
	return distro.Traits{
		Family:   "alpine",
		IDs:      []string{"alpine", "postmarketos", "wolfi", "chainguard", "alpaquita", "chimera", "adelie"},
		State:    []string{installedFile, usrInstalledFile},
		Suffixes: []string{suffix},
		Mirrors:  []distro.Mirror{{Archive: knownArchive, URL: "https://dl-cdn.alpinelinux.org/alpine"}},
	}
}

// Describe reads a package out of a path: arch/name-version.apk. Files of
// apk's cache have the beginning of the package's identity before the ending.
// The architecture is empty where no directory tells it.
func (Distro) Describe(name string) (p distro.Package, ok bool) {
	dir, base := path.Split(name)
	p.Name, p.Version, _, ok = splitName(base)
	if !ok {
		return distro.Package{}, false
	}
	if dir != "" {
		if arch := path.Base(dir); isArch(arch) {
			p.Arch = arch
		}
	}
	return p, true
}

// splitName takes the name of a package file apart. hash is of files of apk's
// cache, where eight hexadecimal digits of the identity follow the version.
func splitName(base string) (name, version, hash string, ok bool) {
	stem, found := strings.CutSuffix(base, suffix)
	if !found || len(stem) > 255 {
		return "", "", "", false
	}
	if i := len(stem) - 9; i > 0 && stem[i] == '.' && isHex(stem[i+1:]) && strings.Contains(stem[:i], "-r") {
		stem, hash = stem[:i], stem[i+1:]
	}
	// The version begins at the second hyphen from the end: 1.2.3-r0.
	i := strings.LastIndex(stem, "-r")
	if i <= 0 {
		return "", "", "", false
	}
	j := strings.LastIndexByte(stem[:i], '-')
	if j <= 0 {
		return "", "", "", false
	}
	name, version = stem[:j], stem[j+1:]
	return name, version, hash, isName(name) && isVersion(version)
}

func isHex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }

// isName reports whether s can be the name of a package.
func isName(s string) bool { return isWord(s, "+-._") && !strings.HasPrefix(s, "-") }

// isVersion reports whether s can be a version: a digit begins it.
func isVersion(s string) bool {
	return isWord(s, "+-._~") && s[0] >= '0' && s[0] <= '9'
}

// architectures are those that distributions of the family have. A directory
// of another name tells no architecture.
var architectures = []string{
	"aarch64", "armel", "armhf", "armv7", "i586", "i686", "loongarch64", "mips", "mips64", "mips64el", "mipsel", "noarch",
	"pmmx", "ppc", "ppc64", "ppc64le", "riscv32", "riscv64", "s390x", "x86", "x86_64",
}

func isArch(s string) bool { return slices.Contains(architectures, s) }

func isWord(s, extra string) bool {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(extra, r))
	}
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, bad)
}

// A System is one root with apk's database in it, a [distro.System].
type System struct {
	// Root is the absolute path of the root directory.
	Root string
	// Files reads below Root, following links as the system itself would.
	Files *rootfs.Root
	// Repositories are those of apk's configuration, in its order.
	Repositories []apk.Repository

	events *distro.Events
	id     lockfile.System
	// release says that the root tells what it is. One that is being made
	// does not yet.
	release bool
}

// Open reads the identity and the configuration of the system below root.
func (Distro) Open(root string, events *distro.Events) (distro.System, error) {
	s, err := open(root, events)
	if err != nil {
		return nil, err // not a nil *System in a System that is not nil
	}
	return s, nil
}

// open is Open with the type of its own.
func open(root string, events *distro.Events) (*System, error) {
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("the root %q is not an absolute path", root)
	}
	files, err := rootfs.Open(root)
	if err != nil {
		return nil, err
	}
	s := &System{Root: filepath.Clean(root), Files: files, events: events}
	if _, err := s.stateFile(); err != nil {
		return nil, err
	}
	release, err := distro.ReadOSRelease(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s.release = release.ID != ""
	arch, err := s.readArch()
	if err != nil {
		return nil, err
	}
	s.id = lockfile.System{
		Distro:  cmp.Or(word(release.ID), "alpine"),
		Version: cmp.Or(word(release.Version()), "-"),
		Arch:    arch,
	}
	if s.Repositories, err = readRepositories(files, arch); err != nil {
		return nil, err
	}
	return s, nil
}

// stateFile returns the path of apk's database below the root.
func (s *System) stateFile() (string, error) {
	for _, name := range []string{installedFile, usrInstalledFile} {
		if _, err := s.Files.Stat(name); err == nil {
			return name, nil
		}
	}
	return "", fmt.Errorf("%s has no package database of apk (%s): %w", s.Root, installedFile, fs.ErrNotExist)
}

// maxSmall bounds the small files of apk's configuration.
const maxSmall = 1 << 20

// readArch returns the architecture of the root: the first that etc/apk/arch
// names, else that of the installed packages.
func (s *System) readArch() (string, error) {
	data, err := s.Files.ReadFile("etc/apk/arch", maxSmall)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if fields := strings.Fields(string(data)); len(fields) > 0 {
		if !isWord(fields[0], "_-") {
			return "", fmt.Errorf("%s names the impossible architecture %q", s.Files.Join("etc/apk/arch"), fields[0])
		}
		return fields[0], nil
	}
	records, err := s.database()
	if err != nil {
		return "", err
	}
	for _, r := range records {
		if r.Arch != "noarch" && isWord(r.Arch, "_-") {
			return r.Arch, nil
		}
	}
	return "-", nil
}

// readRepositories reads etc/apk/repositories and the lists beside it, which
// apk 3 has.
func readRepositories(files *rootfs.Root, arch string) ([]apk.Repository, error) {
	names := []string{"etc/apk/repositories"}
	for _, dir := range []string{"etc/apk/repositories.d", "lib/apk/repositories.d"} {
		entries, err := files.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".list") && !strings.HasPrefix(e.Name(), ".") {
				names = append(names, dir+"/"+e.Name())
			}
		}
	}
	parser := apk.NewRepositoryParser(arch)
	var out []apk.Repository
	for _, name := range names {
		data, err := files.ReadFile(name, maxSmall)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		repos, err := parser.Parse(files.Join(name), data)
		if err != nil {
			return nil, err
		}
		for _, r := range repos {
			same := func(o apk.Repository) bool { return o.Tag == r.Tag && o.Index(arch) == r.Index(arch) }
			if !slices.ContainsFunc(out, same) {
				out = append(out, r)
			}
		}
	}
	return out, nil
}

// word drops from a name of os-release what could not stand in a lock.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if isWord(string(r), "._+~-") {
			return r
		}
		return -1
	}, s)
}

// ID names the system as its locks do.
func (s *System) ID() lockfile.System { return s.id }
