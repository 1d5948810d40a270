package arch

import (
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// newStage makes a stage beside pacman's databases that shows the files to
// install to pacman, and is to hold its configuration for one transaction.
func newStage(root, dbPath string, jobs []*job) (*chroot.Stage, error) {
	s, err := chroot.NewStage(root, dbPath, nil)
	if err != nil {
		return nil, err
	}
	if err := fillStage(s, jobs); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

func fillStage(s *chroot.Stage, jobs []*job) error {
	// pacman may read packages as another user than root.
	if err := os.Chmod(s.Path, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(s.Path, "gnupg"), 0o755); err != nil {
		return err
	}
	for _, j := range jobs {
		if err := s.Show(j.file(), j.blob); err != nil {
			return err
		}
	}
	return nil
}
