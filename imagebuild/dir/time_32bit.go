//go:build 386 || arm || mips || mipsle

package dir

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
)

// utimes sets the times of use and of change to one. The system call that all
// kernels have for that ends in 2038 here; Linux 5.1 has another.
func utimes(dir int, name string, t tree.Time) error {
	if ts, err := unix.TimeToTimespec(t.Time()); err == nil {
		return unix.UtimesNanoAt(dir, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
	}
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	ts := [4]int64{t.Sec, int64(t.Nsec), t.Sec, int64(t.Nsec)}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT_TIME64, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&ts)), unix.AT_SYMLINK_NOFOLLOW, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// modTime is the time of what stat was asked about, which fills in a wrong one
// for all that is after 2038.
func modTime(dir int, name string, _ *unix.Stat_t) (tree.Time, error) {
	var x unix.Statx_t
	if err := unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MTIME, &x); err != nil {
		return tree.Time{}, os.NewSyscallError("statx", err)
	}
	return tree.Time{Sec: x.Mtime.Sec, Nsec: x.Mtime.Nsec}, nil
}
