//go:build 386 || arm || mips || mipsle

package filetime

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Set sets the times of use and of change of what name is in the open directory
// dir. Flags are those of utimensat(2), and errors the kernel's.
func Set(dir int, name string, t time.Time, flags int) error {
	if ts, err := unix.TimeToTimespec(t); err == nil {
		return unix.UtimesNanoAt(dir, name, []unix.Timespec{ts, ts}, flags)
	}
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	ts := [4]int64{t.Unix(), int64(t.Nanosecond()), t.Unix(), int64(t.Nanosecond())}
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT_TIME64, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&ts)), uintptr(flags), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Modified is the time of change of what stat was asked about by a name in the
// open directory dir, with flags of fstatat(2). Errors are the kernel's.
func Modified(dir int, name string, flags int, _ *unix.Stat_t) (time.Time, error) {
	var x unix.Statx_t
	if err := unix.Statx(dir, name, flags, unix.STATX_MTIME, &x); err != nil {
		return time.Time{}, err
	}
	return time.Unix(x.Mtime.Sec, int64(x.Mtime.Nsec)), nil
}
