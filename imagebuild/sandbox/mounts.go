package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// devices are those of the host that everyone may use.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// links of /dev that programs expect.
var links = []struct{ name, target string }{
	{"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
}

// hostDevices are mounts of the host's devices that are nowhere yet, and proc
// one of the namespace's processes: the kernel gives it only to who still sees
// the host's.
var (
	hostDevices []int
	proc        int
)

// newMount makes a mount of a type that is nowhere yet.
func newMount(fstype string, attributes int) (int, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attributes)
}

// enterRoot makes the root "/" and lets go of the host's. Until then nothing
// below the root is looked up by name, so no link in it can lead outside.
func enterRoot(o order) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("part the mounts from the host's: %w", err)
	}
	for _, d := range devices {
		fd, err := unix.OpenTree(unix.AT_FDCWD, "/dev/"+d, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return fmt.Errorf("take /dev/%s: %w", d, err)
		}
		hostDevices = append(hostDevices, fd)
	}
	var err error
	if proc, err = newMount("proc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV); err != nil {
		return fmt.Errorf("make a /proc: %w; in a container, allow it, as with docker run --security-opt systempaths=unconfined", err)
	}
	if err := unix.Mount(o.Root, o.Root, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount %s: %w", o.Root, err)
	}
	if err := unix.Chdir(o.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("make %s the root: %w", o.Root, err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let go of the host's files: %w", err)
	}
	return unix.Chdir("/")
}

// surround mounts what programs expect besides their files.
func surround(o order) error {
	const safe = unix.MS_NOSUID | unix.MS_NOEXEC
	for _, m := range []struct {
		fstype, target string
		flags          uintptr
		data           string
	}{
		{"proc", "/proc", 0, ""},
		{"tmpfs", "/sys", safe | unix.MS_NODEV | unix.MS_RDONLY, "mode=0555,size=4k"},
		{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777,size=1g"},
		{"tmpfs", "/dev", safe, "mode=0755,size=64k"},
	} {
		info, err := os.Lstat(m.target)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return fmt.Errorf("the root's %s is not a directory", m.target)
		}
		if m.fstype == "proc" {
			err = unix.MoveMount(proc, "", unix.AT_FDCWD, m.target, unix.MOVE_MOUNT_F_EMPTY_PATH)
		} else {
			err = unix.Mount("samebits", m.target, m.fstype, m.flags, m.data)
		}
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	if err := fillDev(); err != nil {
		return err
	}
	return hide(o)
}

func fillDev() error {
	for i, d := range devices {
		target := "/dev/" + d
		f, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL, 0o666)
		if err != nil {
			return err
		}
		f.Close()
		if err := unix.MoveMount(hostDevices[i], "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
			return fmt.Errorf("mount %s: %w", target, err)
		}
		unix.Close(hostDevices[i])
	}
	for _, l := range links {
		if err := os.Symlink(l.target, "/dev/"+l.name); err != nil {
			return err
		}
	}
	for _, m := range []struct{ fstype, target, data string }{
		{"devpts", "/dev/pts", "newinstance,ptmxmode=0666,mode=0620"},
		{"tmpfs", "/dev/shm", "mode=1777,size=256m"},
	} {
		if err := os.Mkdir(m.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("samebits", m.target, m.fstype, unix.MS_NOSUID|unix.MS_NOEXEC, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	return nil
}

// hidden are files of /proc that tell of the host and are none of a script's
// business.
var hidden = []string{
	"/proc/cmdline", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore", "/proc/keys",
	"/proc/latency_stats", "/proc/loadavg", "/proc/modules", "/proc/partitions", "/proc/diskstats",
	"/proc/sched_debug", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/uptime",
}

// hide covers what tells of the host, and sets what is the namespace's own.
func hide(o order) error {
	// No further user namespaces, in which the capabilities would come back.
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		return fmt.Errorf("forbid namespaces: %w", err)
	}
	// Kernels since 6.14 count pids for each namespace; watch does it for others.
	_ = os.WriteFile("/proc/sys/kernel/pid_max", fmt.Appendf(nil, "%d", max(o.Processes*4, 4096)), 0)
	for _, name := range hidden {
		err := unix.Mount("/dev/null", name, "", unix.MS_BIND, "")
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("hide %s: %w", name, err)
		}
	}
	for _, name := range []string{"/proc/sys", "/proc/bus", "/proc/fs", "/proc/irq"} {
		err := unix.Mount(name, name, "", unix.MS_BIND, "")
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err == nil {
			err = unix.Mount("", name, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_NODEV, "")
		}
		if err != nil {
			return fmt.Errorf("write-protect %s: %w", name, err)
		}
	}
	return nil
}
