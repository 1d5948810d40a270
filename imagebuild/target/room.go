package target

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A RoomError says that contents would take more room than they may.
type RoomError struct{ Bytes int64 }

// Error names the bound.
func (e *RoomError) Error() string {
	return fmt.Sprintf("all contents would take more than the %d bytes that there is room for", e.Bytes)
}

// room bounds what contents take. What is replaced is not given back.
type room struct {
	bytes int64 // 0 for no bound
	taken atomic.Int64
}

// blockBytes is what a file system gives at least.
const blockBytes = 4096

// take takes room for a content of so many bytes, before any is written.
func (r *room) take(size int64) error {
	taken := r.taken.Add(min(size, 1<<62) + -size&(blockBytes-1))
	if r.bytes > 0 && (taken > r.bytes || taken < 0) {
		return &RoomError{r.bytes}
	}
	return nil
}

// Bound has Put fail with a [*RoomError] instead of writing more than so many
// bytes of contents.
func (d *Dir) Bound(bytes int64) { d.room.bytes = bytes }

// Bound has Keep fail with a [*RoomError] instead of writing more than so many
// bytes.
func (s *Spool) Bound(bytes int64) { s.bound = bytes }

// Room is what contents may take in a directory whose file system is not to be
// filled, in bytes: seven eighths of what is free.
func Room(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("ask how much room there is in %s: %w", dir, err)
	}
	return max(int64(st.Bavail)*int64(st.Bsize)/8*7, 1), nil
}
