// Package fedora knows Fedora, RHEL and what derives from it, openSUSE and
// other systems of rpm: the database of rpm, the repositories of dnf (and of
// zypper, where they are written alike), and how to install with rpm.
//
// Nothing that only reads runs a subprocess, and the network is reached through
// [distro.Fetcher] and [distro.Identifier] alone. A hash that no signed index
// tells is locked without a mark only after the package's own signature was
// verified over its bytes; see docs/decisions/0009.
package fedora

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Distro is the family of rpm, a [distro.Distro].
type Distro struct{}

var _ distro.Distro = Distro{}

// Traits returns what the family is known by.
func (Distro) Traits() distro.Traits {
	return distro.Traits{
		Family: "fedora",
		IDs: []string{
			"fedora", "rhel", "centos", "rocky", "almalinux", "ol", "amzn", "scientific", "eurolinux", "cloudlinux",
			"miraclelinux", "virtuozzo", "openEuler", "anolis", "azurelinux", "mariner", "photon", "nobara",
			"ultramarine", "mageia", "openmandriva", "suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed",
			"opensuse-microos", "sles", "sled", "sl-micro",
		},
		State:    rpmdb.Paths(),
		Suffixes: []string{".rpm"},
		Mirrors:  mirrors,
	}
}

// Describe reads a package out of a file's name: name-version-release.arch.rpm.
// The epoch is not in it.
func (Distro) Describe(path string) (p distro.Package, ok bool) {
	n, ok := rpm.ParseFilename(path[strings.LastIndexByte(path, '/')+1:])
	if !ok {
		return distro.Package{}, false
	}
	return distro.Package{Name: n.Name, Version: n.EVR(), Arch: n.Arch}, true
}

// A System is one root with rpm's database in it, a [distro.System].
type System struct {
	// Root is the absolute path of the root directory.
	Root string
	// Files reads below Root, following links as the system itself would.
	Files *rootfs.Root

	events *distro.Events
	id     lockfile.System
	place  rpmdb.Place
	config *config
	// created says that Create began the system, which may have no database.
	created bool

	mu     sync.Mutex
	loaded []*rpmdb.Package // what Open or the last installation found
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
	place, err := rpmdb.Find(files)
	if err != nil {
		return nil, err
	}
	release, err := distro.ReadOSRelease(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	s := &System{Root: filepath.Clean(root), Files: files, events: events, place: place}
	all, err := s.packages(context.Background())
	if err != nil {
		return nil, err
	}
	s.id = lockfile.System{
		Distro:  cmp.Or(word(release.ID), "fedora"),
		Version: cmp.Or(word(release.Version()), "-"),
		Arch:    cmp.Or(nativeArch(all), "-"),
	}
	if s.config, err = loadConfig(files, all, s.id, events); err != nil {
		return nil, err
	}
	return s, nil
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

// nativeArch is the architecture that most packages are of: rpm writes it down
// nowhere, and the machine that runs this may be another.
func nativeArch(all []*rpmdb.Package) string {
	count := map[string]int{}
	best := ""
	for _, p := range all {
		if p.IsKey() || p.Arch == "noarch" {
			continue
		}
		count[p.Arch]++
		if n := cmp.Compare(count[p.Arch], count[best]); n > 0 || n == 0 && p.Arch < best {
			best = p.Arch
		}
	}
	return best
}

// ID names the system as its locks do.
func (s *System) ID() lockfile.System { return s.id }
