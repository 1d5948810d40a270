// Package chroot has what every package manager needs to install into a root
// that is not the running system's: mounts that packages' scripts expect, a
// place within the root where the files to install lie under the names that
// package managers want, and programs that run to their end without a terminal
// on which to ask.
//
// The package refuses to know any package manager, to mount anything where
// others could see it, and to write where a link leads out of the root.
package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Mounts says what is mounted in a root besides /proc and a read-only /sys.
type Mounts struct {
	// Run is for package managers whose scripts want an empty /run.
	Run bool
	// KeepDev leaves a /dev alone that has devices: packages may have brought
	// it, and what else is there must not get lost below one that is mounted.
	KeepDev bool
}

// In calls fn with the directory that programs have to change their root to, ""
// for "/", where nothing needs to be done. In another root, fn runs with what
// packages' scripts want mounted, a /dev with nothing of the host's hardware
// among it. All of it is in a mount namespace that ends with fn, however it
// ends. Where no such namespace can be had, warn is told and fn runs all the
// same.
//
// The namespace is that of the goroutine's thread: programs that fn starts
// itself are in it, those of other goroutines are not.
func In(root string, mounts Mounts, warn func(string), fn func(chroot string) error) error {
	if root == "/" {
		return fn("")
	}
	return onOwnThread(func() error {
		if err := mountAll(root, mounts); err != nil {
			warn(fmt.Sprintf("%v; the packages' scripts run without /proc, /sys and /dev of their own", err))
		}
		return fn(root)
	})
}

// onOwnThread calls fn on a thread that nothing else uses and that ends with
// it. A mount namespace belongs to a thread, and programs that it starts
// inherit it.
func onOwnThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		// Never unlocked, so that the thread ends with the goroutine.
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The first thread lives as long as the process; while we have
			// it, others are given to those who ask.
			defer runtime.UnlockOSThread()
			done <- onOwnThread(fn)
			return
		}
		done <- fn()
	}()
	return <-done
}

// mountAll mounts what a root needs, in a namespace of the calling thread.
func mountAll(root string, mounts Mounts) error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("no mount namespace can be had (%w)", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("the mounts cannot be made private (%w)", err)
	}
	const safe = unix.MS_NOSUID | unix.MS_NOEXEC
	var errs []error
	for _, m := range []struct {
		dir, kind, options string
		flags              uintptr
		skip               bool
	}{
		{"proc", "proc", "", safe | unix.MS_NODEV, false},
		{"sys", "sysfs", "", safe | unix.MS_NODEV | unix.MS_RDONLY, false},
		{"run", "tmpfs", "mode=755", unix.MS_NOSUID | unix.MS_NODEV, !mounts.Run},
		{"dev", "tmpfs", "mode=755,size=1m", safe, false},
	} {
		if m.skip {
			continue
		}
		dir, err := Within(root, m.dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && m.dir == "dev" && mounts.KeepDev && hasDevices(dir) {
			continue // a root without it has packages that do without it
		}
		if err == nil {
			err = unix.Mount(m.kind, dir, m.kind, m.flags, m.options)
		}
		if err == nil && m.dir == "dev" {
			err = fillDev(dir)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("mount /%s in %s: %w", m.dir, root, err))
		}
	}
	return errors.Join(errs...)
}

// hasDevices reports whether programs can run with a /dev as it is.
func hasDevices(dev string) bool {
	info, err := os.Lstat(filepath.Join(dev, "null"))
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// fillDev makes the devices that every program may expect.
func fillDev(dev string) error {
	for _, n := range []struct {
		name         string
		major, minor uint32
	}{{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}} {
		path := filepath.Join(dev, n.name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(n.major, n.minor))); err != nil {
			return &fs.PathError{Op: "mknod", Path: path, Err: err}
		}
		if err := os.Chmod(path, 0o666); err != nil { // whatever the umask
			return err
		}
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	for _, m := range []struct{ name, kind, options string }{
		{"pts", "devpts", "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"shm", "tmpfs", "mode=1777"},
	} {
		path := filepath.Join(dev, m.name)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, path, m.kind, unix.MS_NOSUID|unix.MS_NOEXEC, m.options); err != nil {
			return &fs.PathError{Op: "mount", Path: path, Err: err}
		}
	}
	return nil
}

// Within returns the true path of a directory of the root, which must be
// there. Writing below a path that leads out of the root would change the
// host, so that is an error.
func Within(root, dir string) (string, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(real, dir))
	if err != nil {
		return "", err
	}
	if real != "/" && path != real && !strings.HasPrefix(path, real+"/") {
		return "", fmt.Errorf("/%s of %s is a link that leads out of it, to %s", strings.TrimPrefix(dir, "/"), root, path)
	}
	return path, nil
}
