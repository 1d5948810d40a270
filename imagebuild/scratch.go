package imagebuild

import (
	"errors"
	"os"
	"path/filepath"
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
	others, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), scratchPrefix+"*"))
	for _, other := range others {
		if other != dir {
			sweep(other)
		}
	}
	return dir, lock, nil
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
