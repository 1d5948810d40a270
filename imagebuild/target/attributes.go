package target

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/filetime"
)

// dressOpen gives an open regular file its owner, mode, attributes and time, in
// the order in which one does not undo the other, and returns its state then.
func (d *Dir) dressOpen(fd int, f distro.File) (st unix.Stat_t, err error) {
	if err := unix.Fchown(fd, int(f.UID), int(f.GID)); err != nil {
		return st, ownerError(f, err)
	}
	if err := unix.Fchmod(fd, f.Mode); err != nil {
		return st, err
	}
	for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
		if err := unix.Fsetxattr(fd, name, []byte(f.Xattrs[name]), 0); err != nil {
			return st, fmt.Errorf("set %s: %w", name, err)
		}
	}
	if err := filetime.Set(fd, "", f.ModTime, unix.AT_EMPTY_PATH); err != nil {
		return st, err
	}
	if err := unix.Fstat(fd, &st); err != nil {
		return st, err
	}
	return st, d.remember(fd, "", unix.AT_EMPTY_PATH, &st)
}

// dress does the same for what need not be opened.
func (d *Dir) dress(dir int, base string, f distro.File) error {
	if err := unix.Fchownat(dir, base, int(f.UID), int(f.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return ownerError(f, err)
	}
	if f.Type != distro.Symlink {
		// The entry was made just now or found to be a directory, and nothing
		// else writes here, so no link is followed.
		if err := unix.Fchmodat(dir, base, f.Mode, 0); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
		// There is no lsetxattrat; /proc's names of open directories serve.
		if err := unix.Lsetxattr(fmt.Sprintf("/proc/self/fd/%d/%s", dir, base), name, []byte(f.Xattrs[name]), 0); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	return d.stamp(dir, base, f.ModTime)
}

// stamp gives what is not opened its time.
func (d *Dir) stamp(dir int, base string, t time.Time) error {
	if err := filetime.Set(dir, base, t, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	return d.remember(dir, base, unix.AT_SYMLINK_NOFOLLOW, &st)
}

func ownerError(f distro.File, err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
		return fmt.Errorf("give it to %d:%d: %w; the ids of the user namespace do not reach so far", f.UID, f.GID, err)
	}
	return err
}

// remember notes the time that the file system kept of what it was told.
func (d *Dir) remember(dir int, name string, flags int, st *unix.Stat_t) error {
	kept, err := filetime.Modified(dir, name, flags, st)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.times[st.Ino] = kept
	return nil
}

// Stat implements [distro.Target]. Extended attributes are not read.
func (d *Dir) Stat(name string) (distro.File, error) {
	p, base, err := d.in(name)
	if err != nil {
		return distro.File{}, err
	}
	defer d.done(p)
	d.mu.Lock()
	device, ok := d.devices[name]
	d.mu.Unlock()
	if ok {
		return device, nil
	}
	var st unix.Stat_t
	if err := unix.Fstatat(p.fd, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return distro.File{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	modified, err := filetime.Modified(p.fd, base, unix.AT_SYMLINK_NOFOLLOW, &st)
	if err != nil {
		return distro.File{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	f := distro.File{Path: path.Clean(name), Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, ModTime: modified}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		f.Type, f.Size = distro.Regular, st.Size
	case unix.S_IFDIR:
		f.Type = distro.Directory
	case unix.S_IFIFO:
		f.Type = distro.Fifo
	case unix.S_IFLNK:
		f.Type = distro.Symlink
		buf := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(p.fd, base, buf)
		if err != nil {
			return distro.File{}, &os.PathError{Op: "readlink", Path: name, Err: err}
		}
		f.Link = string(buf[:n])
	default:
		return distro.File{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrInvalid}
	}
	return f, nil
}
