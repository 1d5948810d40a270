package dir

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
)

// openBelow opens a path of a tree below a directory, following no link.
func openBelow(root int, path string, flags int) (int, error) {
	if path == "" {
		path = "."
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC | unix.O_NOFOLLOW),
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	}
	for range 100 {
		fd, err := unix.Openat2(root, path, &how)
		switch err {
		case unix.EAGAIN, unix.EINTR: // something was renamed meanwhile
			continue
		case unix.ENOSYS, unix.EPERM: // an old kernel, or a sandbox
			return walkBelow(root, path, flags)
		}
		return fd, err
	}
	return -1, unix.EAGAIN
}

// walkBelow is openBelow name by name.
func walkBelow(root int, path string, flags int) (int, error) {
	names := strings.Split(path, "/")
	dir := root
	for i, name := range names {
		how := unix.O_PATH | unix.O_DIRECTORY
		if i == len(names)-1 {
			how = flags
		}
		fd, err := unix.Openat(dir, name, how|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if dir != root {
			unix.Close(dir)
		}
		if err != nil {
			return -1, err
		}
		dir = fd
	}
	return dir, nil
}

// link is a path that leads to a name in an open directory, for calls that have
// no form with a descriptor. /proc must be there.
func link(dir int, name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, name) }

// xattrsOf are those of a name in an open directory, which is not followed.
func xattrsOf(dir int, name string) ([]tree.Xattr, error) {
	path := link(dir, name)
	list, err := grow(256, func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	if err != nil {
		if errors.Is(err, unix.ENOTSUP) {
			return nil, nil
		}
		return nil, os.NewSyscallError("listxattr", err)
	}
	var all []tree.Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value, err := grow(128, func(b []byte) (int, error) { return unix.Lgetxattr(path, name, b) })
		if err != nil {
			return nil, fmt.Errorf("getxattr %q: %w", name, err)
		}
		all = append(all, tree.Xattr{Name: name, Value: string(value)})
	}
	return all, nil
}

// grow calls with larger buffers until one is large enough.
func grow(size int, call func([]byte) (int, error)) ([]byte, error) {
	for {
		b := make([]byte, size)
		n, err := call(b)
		if err == unix.ERANGE && size < 1<<20 {
			size *= 8
			continue
		}
		if err != nil {
			return nil, err
		}
		return b[:n], nil
	}
}
