package arch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// makeBase makes the directories in an empty root that scripts and hooks want
// before any package brings them, with the modes that the package filesystem
// gives them.
func makeBase(root string) error {
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{
		{"dev", 0o755}, {"etc", 0o755}, {"run", 0o755}, {"var", 0o755}, {"var/log", 0o755}, {"var/cache", 0o755},
		{"tmp", 0o777 | fs.ModeSticky}, {"proc", 0o555}, {"sys", 0o555},
	} {
		path := filepath.Join(root, d.name)
		err := os.Mkdir(path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Chmod(path, d.mode) // whatever the umask
		}
		if err != nil {
			return err
		}
	}
	return nil
}
