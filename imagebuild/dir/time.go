//go:build !386 && !arm && !mips && !mipsle

package dir

import (
	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
)

// utimes sets the times of use and of change to one.
func utimes(dir int, name string, t tree.Time) error {
	ts := unix.Timespec{Sec: t.Sec, Nsec: int64(t.Nsec)}
	return unix.UtimesNanoAt(dir, name, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW)
}

// modTime is the time of what stat was asked about.
func modTime(_ int, _ string, stat *unix.Stat_t) (tree.Time, error) {
	return tree.Time{Sec: stat.Mtim.Sec, Nsec: uint32(stat.Mtim.Nsec)}, nil
}
