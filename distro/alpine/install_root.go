package alpine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
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
		parent, err := within(s.Root, filepath.Dir(dir))
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

// inRoot calls fn, in which programs may run in the root. In another root than
// that of this system, fn runs with what packages' scripts want mounted there:
// /proc, /sys and, where the root has no devices of its own, a /dev with the
// harmless ones. All of it is in a mount namespace that ends with fn, however
// it ends.
func inRoot(root string, events *distro.Events, fn func() error) error {
	if root == "/" {
		return fn()
	}
	return onOwnThread(func() error {
		if err := mountAll(root); err != nil {
			events.Warning(fmt.Sprintf("%v; the packages' scripts run without /proc, /sys and /dev of their own", err))
		}
		return fn()
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
func mountAll(root string) error {
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
	}{
		{"proc", "proc", "", safe | unix.MS_NODEV},
		{"sys", "sysfs", "", safe | unix.MS_NODEV | unix.MS_RDONLY},
		{"dev", "tmpfs", "mode=755,size=1m", safe},
	} {
		dir, err := within(root, m.dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && m.dir == "dev" && hasDevices(dir) {
			continue
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

// hasDevices reports whether programs can run with a /dev as it is. Packages
// may have directories there, which must not get lost in one that is mounted
// over it.
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
	return nil
}
