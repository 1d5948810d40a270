package arch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// Create makes a system without packages of an empty directory, for the
// installation of a lock of the given system by this machine's pacman. It
// refuses a directory that has anything in it.
func (d Distro) Create(root string, system lockfile.System, events *distro.Events) (distro.System, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	if len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty: %s is in it", root, entries[0].Name())
	}
	for _, name := range []string{"var", "var/lib", defaultDBPath, localState} {
		dir := filepath.Join(root, name)
		if err := errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755)); err != nil { // whatever the umask
			return nil, err
		}
	}
	// The version of the layout is what pacman has had since 4.2.
	if err := os.WriteFile(filepath.Join(root, localState, "ALPM_DB_VERSION"), []byte("9\n"), 0o644); err != nil {
		return nil, err
	}
	s, err := open(root, events)
	if err != nil {
		return nil, err
	}
	if !system.IsZero() {
		s.id = system
	}
	return s, nil
}
