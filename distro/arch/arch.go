// Package arch knows Arch Linux and what derives from it: pacman's database of
// what is installed, its configuration, the databases of its repositories, the
// signatures of its packages, and how to install with it.
//
// Nothing that only reads runs a subprocess, and the network is reached through
// [distro.Fetcher] and [distro.Identifier] alone. A digest out of a database
// that no one signed is not passed off as signed: see Locate.
package arch

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Distro is the family of Arch Linux, a [distro.Distro].
type Distro struct{}

var _ distro.Distro = Distro{}

const (
	defaultDBPath = "var/lib/pacman"
	localState    = defaultDBPath + "/local"
	configFile    = "etc/pacman.conf"
)

// Traits returns what the family is known by.
func (Distro) Traits() distro.Traits {
	t := distro.Traits{
		Family: "arch",
		IDs: []string{
			"arch", "archarm", "manjaro", "manjaro-arm", "endeavouros", "cachyos", "garuda", "artix", "arcolinux",
			"archcraft", "blackarch", "parabola", "hyperbola", "steamos", "arch32", "archlinux",
		},
		State: []string{localState},
		Mirrors: []distro.Mirror{
			{Archive: archLinux, URL: "https://geo.mirror.pkgbuild.com"},
			// Where a package lies that has moved to another repository since.
			{Archive: archLinux, URL: "https://geo.mirror.pkgbuild.com/pool/packages/{{.Basename}}"},
			{Archive: archLinuxARM, URL: "http://mirror.archlinuxarm.org"},
			{Archive: archLinux, URL: keeperBase + "/packages/.all/{{.Basename}}", Keeper: true},
		},
	}
	for _, c := range pacman.Compressions {
		t.Suffixes = append(t.Suffixes, ".pkg.tar"+c)
	}
	return t
}

// keeperBase is the archive that has kept every package of Arch Linux since
// 2013.
const keeperBase = "https://archive.archlinux.org"

// Describe reads a package out of a file's name: name-version-arch.pkg.tar and
// an ending of compression. The detached signature beside a package is no
// package.
func (Distro) Describe(name string) (p distro.Package, ok bool) {
	base, err := url.PathUnescape(name[strings.LastIndexByte(name, '/')+1:])
	if err != nil {
		return distro.Package{}, false
	}
	p.Name, p.Version, p.Arch, ok = pacman.ParseFilename(base)
	if !ok || checkPackage(p) != nil {
		return distro.Package{}, false
	}
	return p, true
}

// checkPackage refuses an identity that could be mistaken in a lock.
func checkPackage(p distro.Package) error {
	for _, f := range []struct{ name, value, extra string }{
		{"name", p.Name, "@._+-"},
		{"version", p.Version, "._+:~^-"},
		{"architecture", p.Arch, "_-"},
	} {
		bad := func(r rune) bool {
			return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(f.extra, r))
		}
		if f.value == "" || len(f.value) > 255 || strings.ContainsFunc(f.value, bad) {
			return fmt.Errorf("the package %q has the impossible %s %q", p.Name, f.name, f.value)
		}
	}
	if strings.ContainsAny(p.Name[:1], "-.") {
		return fmt.Errorf("the package %q has an impossible name", p.Name)
	}
	return nil
}

// A System is one root with pacman's database in it, a [distro.System].
type System struct {
	// Root is the absolute path of the root directory.
	Root string
	// Files reads below Root, following links as the system itself would.
	Files *rootfs.Root
	// Config is pacman's configuration in the root.
	Config *pacman.Config

	events *distro.Events
	id     lockfile.System
	dbPath string // of pacman's databases, relative to the root
	// empty says that nothing is known of the system but that it has an empty
	// database: any lock may be installed into it.
	empty bool
	// unnamed says that no os-release tells which distribution it is.
	unnamed bool
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
	config, err := readConfig(files)
	if err != nil {
		return nil, err
	}
	s := &System{
		Root: filepath.Clean(root), Files: files, Config: config, events: events,
		dbPath: cmp.Or(strings.Trim(path.Clean("/"+config.DBPath), "/"), defaultDBPath),
	}
	if info, err := files.Stat(s.local()); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s has no package database of pacman (%s): %w", root, s.local(), fs.ErrNotExist)
	}
	release, err := distro.ReadOSRelease(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	entries, err := files.ReadDir(s.local())
	if err != nil {
		return nil, err
	}
	s.empty = len(entries) <= 1 // ALPM_DB_VERSION
	s.unnamed = word(release.ID) == ""
	s.id = lockfile.System{
		Distro:  cmp.Or(word(release.ID), "arch"),
		Version: cmp.Or(word(version(release)), "-"),
		Arch:    cmp.Or(word(s.architecture()), "-"),
	}
	return s, nil
}

// version is that of a derivative which has any. Arch Linux itself rolls; what
// its container images say is the date of the image, not a version.
func version(r distro.OSRelease) string {
	if r.ID == "arch" || r.ID == "archarm" {
		return "-"
	}
	return r.Version()
}

// local is the directory of what is installed.
func (s *System) local() string { return path.Join(s.dbPath, "local") }

// word drops from a name what could not stand in a lock.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._+~-", r) {
			return r
		}
		return -1
	}, s)
}

// ID names the system as its locks do.
func (s *System) ID() lockfile.System { return s.id }
