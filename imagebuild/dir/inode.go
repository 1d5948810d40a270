package dir

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/filetime"
	"github.com/samebits/samebits/imagebuild/tree"
)

// inode makes a name that is no directory.
func (w *writer) inode(dir int, n tree.Node) error {
	inode := n.Inode()
	var err error
	switch {
	case inode.Mode.Type() == tree.Symlink:
		err = os.NewSyscallError("symlink", unix.Symlinkat(inode.Target, dir, n.Name()))
	case inode.Mode.IsRegular() || w.plain && inode.Mode.IsDevice():
		err = w.file(dir, n)
	default:
		err = unix.Mknodat(dir, n.Name(), uint32(inode.Mode.Type()|0o600), int(unix.Mkdev(inode.Major, inode.Minor)))
		if errors.Is(err, unix.EPERM) && inode.Mode.IsDevice() {
			err = errors.New("a device, which only root may make, and outside of user namespaces; or have attributes recorded")
		} else {
			err = os.NewSyscallError("mknod", err)
		}
	}
	if err != nil {
		return err
	}
	return w.attributes(dir, n)
}

// file writes a regular file, with holes where there are long runs of zeros.
func (w *writer) file(dir int, n tree.Node) error {
	fd, err := unix.Openat(dir, n.Name(), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	f := os.NewFile(uintptr(fd), n.Path())
	defer f.Close()
	inode := n.Inode()
	if inode.Mode.IsRegular() {
		if err := n.CopyTo(&holer{file: f}); err != nil {
			return err
		}
		// The size, if it ends in a hole.
		if err := f.Truncate(inode.Size); err != nil {
			return err
		}
	}
	return f.Close()
}

// holer writes to a file, and skips pieces that are zero.
type holer struct {
	file   *os.File
	offset int64
}

// hole is the smallest piece that is worth leaving out.
const hole = 32 << 10

var zeros [hole]byte

func (h *holer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		piece := rest[:min(hole, len(rest))]
		if len(piece) < hole || !bytes.Equal(piece, zeros[:]) {
			if _, err := h.file.WriteAt(piece, h.offset); err != nil {
				return 0, err
			}
		}
		h.offset += int64(len(piece))
		rest = rest[len(piece):]
	}
	return len(p), nil
}

// attributes gives a name its owner, mode, extended attributes and time, in this
// order: a change of the owner takes away set-user-ID bits and capabilities.
// With the root's node, dir is the root itself.
func (w *writer) attributes(dir int, n tree.Node) error {
	inode, name := n.Inode(), n.Name()
	if n.Path() == "" {
		name = "."
	}
	mode := uint32(inode.Mode.Bits())
	if w.plain {
		mode = mode&0o1777 | 0o600
		if inode.Mode.IsDir() {
			mode |= 0o700
		}
	} else if err := n.CheckOwner("a directory"); err != nil {
		return err
	} else if err := unix.Fchownat(dir, name, int(inode.UID), int(inode.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("chown to %d:%d: %w; run as root, or have attributes recorded", inode.UID, inode.GID, err)
	}
	if err := w.modeAndXattrs(dir, name, mode, &inode); err != nil {
		return err
	}
	return setTime(dir, name, inode.ModTime)
}

// modeAndXattrs goes by a descriptor of what was made, since the calls by name
// would follow a link that somebody put there instead.
func (w *writer) modeAndXattrs(dir int, name string, mode uint32, inode *tree.Inode) error {
	isLink := inode.Mode.Type() == tree.Symlink
	if isLink && (w.plain || len(inode.Xattrs) == 0) {
		return nil
	}
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return os.NewSyscallError("stat", err)
	}
	if got := tree.Mode(stat.Mode).Type(); got != inode.Mode.Type() && !(w.plain && got == storedType(inode.Mode)) {
		return errors.New("somebody put something else there meanwhile")
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	if !isLink {
		if err := unix.Chmod(path, mode); err != nil {
			return os.NewSyscallError("chmod", err)
		}
	}
	if w.plain {
		return nil
	}
	for _, x := range inode.Xattrs {
		if err := unix.Setxattr(path, x.Name, []byte(x.Value), 0); err != nil {
			return fmt.Errorf("setting the extended attribute %q: %w", x.Name, err)
		}
	}
	return nil
}

// setTime sets a time and sees to it that the file system took it, since those
// that cannot hold one take another.
func setTime(dir int, name string, t tree.Time) error {
	if err := filetime.Set(dir, name, t.Time(), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return os.NewSyscallError("utimensat", err)
	}
	if t.Sec >= 0 && t.Sec < 1<<31 {
		return nil
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return os.NewSyscallError("stat", err)
	}
	got, err := filetime.Modified(dir, name, unix.AT_SYMLINK_NOFOLLOW, &stat)
	if err != nil {
		return os.NewSyscallError("stat", err)
	}
	if got.Unix() != t.Sec {
		return fmt.Errorf("the file system cannot hold the time %s: %w", t.Time(), errors.ErrUnsupported)
	}
	return nil
}
