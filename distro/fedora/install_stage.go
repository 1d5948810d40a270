package fedora

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A stage is a directory within the root that shows the files to install under
// the names that package managers want.
type stage struct {
	path   string   // as we see it
	inside string   // as programs in the root see it
	lock   *os.File // held while the stage is in use
}

// stagePrefix begins the names of stages.
const stagePrefix = "samebits-install-"

// newStage makes the directory beside rpm's database, where a package manager
// may certainly read. What a killed run left there is removed first.
func newStage(root, dir string, jobs []*job) (*stage, error) {
	base, err := within(root, dir)
	if err != nil {
		return nil, err
	}
	removeStale(base)
	path, err := os.MkdirTemp(base, stagePrefix)
	if err != nil {
		return nil, err
	}
	s := &stage{path: path}
	if err := s.fill(root, jobs); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *stage) fill(root string, jobs []*job) error {
	lock, err := lockDir(s.path)
	if err != nil {
		return fmt.Errorf("lock %s: %w", s.path, err)
	}
	s.lock = lock
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(real, s.path)
	if err != nil {
		return err
	}
	s.inside = "/" + rel
	// The files are links where they can be and copies where they cannot:
	// a symbolic link into the cache leads nowhere from within another root.
	for _, j := range jobs {
		to := filepath.Join(s.path, j.file())
		if root == "/" {
			err = os.Symlink(j.blob, to)
		} else if err = os.Link(j.blob, to); err != nil {
			err = copyFile(to, j.blob)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// remove takes the stage away.
func (s *stage) remove() {
	os.RemoveAll(s.path)
	if s.lock != nil {
		s.lock.Close()
	}
}

// removeStale removes stages that no process holds.
func removeStale(base string) {
	old, _ := filepath.Glob(filepath.Join(base, stagePrefix+"*"))
	for _, path := range old {
		if lock, err := lockDir(path); err == nil {
			os.RemoveAll(path)
			lock.Close()
		}
	}
}

func lockDir(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// within returns the true path of a directory of the root. Writing below a
// path that leads out of the root would change the host.
func within(root, dir string) (string, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(real, dir))
	if err != nil {
		return "", err
	}
	if real != "/" && !strings.HasPrefix(path, real+"/") {
		return "", fmt.Errorf("/%s of %s is a link that leads out of it, to %s", dir, root, path)
	}
	return path, nil
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}
