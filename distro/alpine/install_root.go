package alpine

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// prepareRoot makes the directories of apk's without which it does not work.
// Roots that were made for images sometimes lack them.
func (s *System) prepareRoot() error {
	for _, dir := range []string{"var", "var/cache", "var/cache/apk"} {
		if _, err := s.Files.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		parent, err := chroot.Within(s.Root, filepath.Dir(dir))
		if err != nil {
			return err
		}
		path := filepath.Join(parent, filepath.Base(dir))
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o755)); err != nil {
			return err
		}
	}
	return nil
}
