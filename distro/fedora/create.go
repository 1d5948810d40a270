package fedora

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Create begins a system without packages in an empty directory, for the
// installation of a lock of the given system by this machine's rpm, which
// makes the database with the first package. It refuses a directory that has
// anything in it.
func (Distro) Create(root string, system lockfile.System, events *distro.Events) (distro.System, error) {
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("the root %q is not an absolute path", root)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: %s is in it", root, entries[0].Name())
	}
	files, err := rootfs.Open(root)
	if err != nil {
		return nil, err
	}
	place := rpmdb.Place{Dir: databaseDir(system), Backend: "sqlite"}
	if err := os.MkdirAll(filepath.Join(root, place.Dir), 0o755); err != nil {
		return nil, err
	}
	s := &System{Root: filepath.Clean(root), Files: files, events: events, id: system, place: place, created: true, loaded: []*rpmdb.Package{}}
	if s.config, err = loadConfig(files, nil, system, events); err != nil {
		return nil, err
	}
	return s, nil
}

// databaseDir is where systems of the lock's kind have rpm's database: in /usr
// since Fedora 36 and in openSUSE.
func databaseDir(system lockfile.System) string {
	version, err := strconv.Atoi(system.Version)
	if strings.HasPrefix(system.Distro, "opensuse") || system.Distro == "fedora" && (err != nil || version >= 36) {
		return "usr/lib/sysimage/rpm"
	}
	return "var/lib/rpm"
}
