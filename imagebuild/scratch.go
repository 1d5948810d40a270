package imagebuild

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// scratchPrefix begins the names of the directories that builds work in.
const scratchPrefix = "samebits-root-"

// unlockedFor is how old a directory without a lock must be to be of a build
// that was killed: between making and locking one passes a moment.
const unlockedFor = time.Minute

// scratch makes a directory below temp (the system's if empty) to work in,
// locked as long as lock is open, and removes those that killed builds of the
// same user left there: they may lie in memory.
func scratch(temp string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(temp, scratchPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = os.Open(dir); err != nil {
		return "", nil, errors.Join(err, os.Remove(dir))
	}
	// Where nothing can be locked, nothing is swept either.
	_ = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	sweepBeside(dir)
	return dir, lock, nil
}

// sweepBeside removes what killed builds left beside a directory. Names are
// compared and not matched as a pattern, since the path may have brackets.
func sweepBeside(dir string) {
	parent, own := filepath.Split(dir)
	entries, _ := os.ReadDir(parent) // those that could be read
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), scratchPrefix) && e.Name() != own {
			sweep(parent + e.Name())
		}
	}
}

// sweep removes what a killed build left. It is no matter if that fails.
func sweep(dir string) {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() || time.Since(info.ModTime()) < unlockedFor {
		return
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return
	}
	defer f.Close()
	var st unix.Stat_t
	if unix.Fstat(int(f.Fd()), &st) != nil || int(st.Uid) != os.Geteuid() {
		return
	}
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
		_ = os.RemoveAll(dir)
	}
}
