package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Locks are those of flock(2): they belong to an open file and not to a
// process, so they also keep goroutines apart, and the kernel gives them up
// when their process dies.

// tryFlock takes a lock without waiting. It returns false where another has it.
func tryFlock(f *os.File, how int) (bool, error) {
	for {
		switch err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		default:
			return false, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
	}
}

// flock takes a lock and waits for it until ctx is done. It asks again and
// again, since a blocked flock(2) could not be called off.
func flock(ctx context.Context, f *os.File, how int) error {
	const longest = 50 * time.Millisecond
	for wait := time.Millisecond; ; wait = min(2*wait, longest) {
		ok, err := tryFlock(f, how)
		if ok || err != nil {
			return err
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("wait for %s, which another process has locked: %w", f.Name(), err)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// inPlace reports whether the name of the open file still leads to it. A file
// may be renamed or removed while another process waits for its lock.
func inPlace(f *os.File) (bool, error) {
	var opened, named unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &opened); err != nil {
		return false, &os.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	switch err := unix.Lstat(f.Name(), &named); {
	case errors.Is(err, unix.ENOENT):
		return false, nil
	case err != nil:
		return false, &os.PathError{Op: "lstat", Path: f.Name(), Err: err}
	}
	return opened.Dev == named.Dev && opened.Ino == named.Ino, nil
}
