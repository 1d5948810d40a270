//go:build !386 && !arm && !mips && !mipsle

package filetime

import (
	"time"

	"golang.org/x/sys/unix"
)

// Set sets the times of use and of change of what name is in the open directory
// dir. Flags are those of utimensat(2), and errors the kernel's.
func Set(dir int, name string, t time.Time, flags int) error {
	ts := unix.Timespec{Sec: t.Unix(), Nsec: int64(t.Nanosecond())}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{ts, ts}, flags)
}

// Modified is the time of change of what stat was asked about by a name in the
// open directory dir, with flags of fstatat(2). Errors are the kernel's.
func Modified(_ int, _ string, _ int, stat *unix.Stat_t) (time.Time, error) {
	return time.Unix(stat.Mtim.Unix()), nil
}
