package chroot

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A Stage is a directory within a root in which the files to install lie for
// the time of one transaction.
type Stage struct {
	Path   string // as we see it
	Inside string // as programs in the root see it

	root string
	lock *os.File // held while the stage is in use
}

// StagePrefix begins the names of stages.
const StagePrefix = "samebits-install-"

// NewStage makes a stage in the directory dir of the root, which must be there
// and not lead out of the root. Only its owner may look into it.
//
// Stages that killed runs left in dir are removed first. Where mend is not
// nil, it is called for each of them before, and may undo what else such a run
// left; its error is returned, and the stage stays for a later run.
func NewStage(root, dir string, mend func(path string) error) (*Stage, error) {
	base, err := Within(root, dir)
	if err != nil {
		return nil, err
	}
	if err := removeStale(base, mend); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(base, StagePrefix)
	if err != nil {
		return nil, err
	}
	s := &Stage{Path: path, root: root}
	if err := s.open(); err != nil {
		s.Remove()
		return nil, err
	}
	return s, nil
}

func (s *Stage) open() error {
	lock, err := lockDir(s.Path)
	if err != nil {
		return fmt.Errorf("lock %s: %w", s.Path, err)
	}
	s.lock = lock
	real, err := filepath.EvalSymlinks(s.root)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(real, s.Path)
	if err != nil {
		return err
	}
	s.Inside = "/" + rel
	return nil
}

// Show has a file in the stage under the name: as a symbolic link where
// programs see the same paths as we do, else as [Stage.Put]. A symbolic link
// out of another root leads nowhere.
func (s *Stage) Show(name, file string) error {
	if s.root == "/" {
		return os.Symlink(file, filepath.Join(s.Path, name))
	}
	return s.Put(name, file)
}

// Put has a file in the stage under the name, whose folder must be there: as a
// second name of the same file where that can be, else as a copy.
func (s *Stage) Put(name, file string) error {
	to := filepath.Join(s.Path, name)
	if os.Link(file, to) == nil {
		return nil
	}
	return copyFile(to, file)
}

// Remove takes the stage away.
func (s *Stage) Remove() {
	os.RemoveAll(s.Path)
	if s.lock != nil {
		s.lock.Close()
	}
}

// removeStale removes stages that no process holds.
func removeStale(base string, mend func(path string) error) error {
	entries, err := os.ReadDir(base)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), StagePrefix) {
			continue
		}
		path := filepath.Join(base, e.Name())
		lock, err := lockDir(path)
		if err != nil {
			continue
		}
		if mend != nil {
			err = mend(path)
		}
		if err == nil {
			os.RemoveAll(path) // else a later run does it
		}
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
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
