// Package debian knows Debian, Ubuntu and what derives from them: dpkg's
// database, apt's configuration and indexes, and how to install with either.
//
// Nothing that only reads runs a subprocess, and the network is reached through
// [distro.Fetcher] alone.
package debian

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Distro is the family of Debian, a [distro.Distro].
type Distro struct{}

var _ distro.Distro = Distro{}

// Traits returns what the family is known by.
func (Distro) Traits() distro.Traits {
	return distro.Traits{
		Family: "debian",
		IDs: []string{
			"debian", "ubuntu", "raspbian", "devuan", "linuxmint", "pop", "kali", "elementary", "neon", "zorin",
			"deepin", "pureos", "parrot", "mx", "proxmox", "tails",
		},
		State:    []string{statusFile, statusDir},
		Suffixes: []string{".deb", ".udeb", ".ddeb"},
		Mirrors: []distro.Mirror{
			{Archive: "Debian", URL: "http://ftp.debian.org/debian"},
			{Archive: "Debian/Debian-Security", URL: "http://security.debian.org/debian-security"},
			{Archive: "Debian%20Backports", URL: "http://ftp.debian.org/debian"},
			{Archive: "Ubuntu", URL: "http://archive.ubuntu.com/ubuntu"},
			{Archive: "Ubuntu", URL: "http://security.ubuntu.com/ubuntu"},
			{Archive: "Ubuntu", URL: "http://ports.ubuntu.com/ubuntu-ports"},
			{Archive: "Debian", URL: "http://snapshot.debian.org/archive/debian/{{.Timestamp}}/{{.Path}}", Keeper: true},
			{Archive: "Debian%20Backports", URL: "http://snapshot.debian.org/archive/debian/{{.Timestamp}}/{{.Path}}", Keeper: true},
			{Archive: "Debian/Debian-Security", URL: "http://snapshot.debian.org/archive/debian-security/{{.Timestamp}}/{{.Path}}", Keeper: true},
			{Archive: "Ubuntu", URL: "https://snapshot.ubuntu.com/ubuntu/{{.Timestamp}}/{{.Path}}", Keeper: true},
			{Archive: "Ubuntu", URL: "http://old-releases.ubuntu.com/ubuntu", Keeper: true},
			{Archive: "Ubuntu", URL: "https://launchpad.net/ubuntu/+archive/primary/+files/{{.Basename}}", Keeper: true},
		},
	}
}

// Describe reads a package out of a file's name: name_version_arch.deb. The
// epoch is there only where the name has it, as "1%3a2.0" or "1:2.0".
func (d Distro) Describe(path string) (p distro.Package, ok bool) {
	base := path[strings.LastIndexByte(path, '/')+1:]
	ext := filepath.Ext(base)
	switch ext {
	case ".deb", ".udeb", ".ddeb":
	default:
		return distro.Package{}, false
	}
	parts := strings.Split(strings.TrimSuffix(base, ext), "_")
	if len(parts) != 3 {
		return distro.Package{}, false
	}
	version, err := url.PathUnescape(parts[1])
	if err != nil {
		return distro.Package{}, false
	}
	st := Status{Package: parts[0], Version: version, Arch: parts[2]}
	if st.check() != nil {
		return distro.Package{}, false
	}
	return st.ID(), true
}

// A System is one root with dpkg's database in it, a [distro.System].
type System struct {
	// Root is the absolute path of the root directory.
	Root string
	// Files reads below Root, following links as the system itself would.
	Files *rootfs.Root
	// Config is apt's configuration of the root.
	Config *apt.Config

	events *distro.Events
	id     lockfile.System
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
	if !hasState(files) {
		return nil, fmt.Errorf("%s has no package database of dpkg (%s): %w", root, statusFile, fs.ErrNotExist)
	}
	config, err := apt.Load(files, events)
	if err != nil {
		return nil, err
	}
	release, err := distro.ReadOSRelease(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return &System{
		Root: filepath.Clean(root), Files: files, Config: config, events: events,
		id: lockfile.System{
			Distro:  cmp.Or(word(release.ID), "debian"),
			Version: cmp.Or(word(release.Version()), "-"),
			Arch:    cmp.Or(config.Native(), "-"),
		},
	}, nil
}

// word drops from a name of os-release what could not stand in a lock.
func word(s string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._+~-", r) {
			return r
		}
		return -1
	}, s)
}

func hasState(files *rootfs.Root) bool {
	if _, err := files.Stat(statusFile); err == nil {
		return true
	}
	_, err := files.Stat(statusDir)
	return err == nil
}

// ID names the system as its locks do.
func (s *System) ID() lockfile.System { return s.id }

// Access tells what apt's configuration says of the network.
func (s *System) Access() distro.Access {
	access := distro.Access{Proxy: s.Config.Proxy, Login: s.Config.Login}
	seen := map[string]bool{}
	for _, r := range s.Config.Repositories {
		for _, uri := range r.Mirrors {
			if !r.Source && !seen[uri] {
				seen[uri] = true
				access.Mirrors = append(access.Mirrors, distro.Mirror{URL: strings.TrimSuffix(uri, "/")})
			}
		}
	}
	return access
}
