package rootfs

import (
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// open resolves name within the root and returns a descriptor.
func (r *Root) open(name string, flags int) (int, error) {
	name = path.Clean("/" + name)[1:]
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{
		Flags:   uint64(flags | unix.O_CLOEXEC),
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	conn, err := r.dir.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	ctlErr := conn.Control(func(dir uintptr) {
		for range 100 {
			// EAGAIN: something was renamed meanwhile, so the kernel could
			// not be sure that the path stays within the root.
			fd, err = unix.Openat2(int(dir), name, &how)
			if err != unix.EAGAIN && err != unix.EINTR {
				break
			}
		}
		// Old kernels have no openat2, and some sandboxes refuse it.
		if err == unix.ENOSYS || err == unix.EPERM {
			fd, err = walk(int(dir), name, flags)
		}
	})
	if ctlErr != nil {
		return -1, ctlErr
	}
	return fd, err
}

const maxLinks = 40 // as the kernel

// walk resolves name component by component. It holds a descriptor of every
// directory on the way, so that ".." leads where it should even while the
// tree is renamed, and never above dir.
func walk(dir int, name string, flags int) (int, error) {
	var stack []int
	defer func() {
		for _, fd := range stack {
			unix.Close(fd)
		}
	}()
	top := func() int {
		if len(stack) == 0 {
			return dir
		}
		return stack[len(stack)-1]
	}
	pop := func(n int) {
		for _, fd := range stack[n:] {
			unix.Close(fd)
		}
		stack = stack[:n]
	}
	todo := strings.Split(name, "/")
	links := 0
	for len(todo) > 0 {
		c := todo[0]
		todo = todo[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			pop(max(len(stack)-1, 0))
			continue
		}
		target, err := readlink(top(), c)
		switch {
		case err == nil:
			if links++; links > maxLinks {
				return -1, unix.ELOOP
			}
			if strings.HasPrefix(target, "/") {
				pop(0)
			}
			todo = append(strings.Split(target, "/"), todo...)
			continue
		case err != unix.EINVAL:
			return -1, err
		}
		if len(todo) == 0 {
			return openat(top(), c, flags|unix.O_NOFOLLOW)
		}
		fd, err := openat(top(), c, unix.O_PATH|unix.O_NOFOLLOW|unix.O_DIRECTORY)
		if err != nil {
			return -1, err
		}
		stack = append(stack, fd)
	}
	return openat(top(), ".", flags)
}

func openat(dir int, name string, flags int) (int, error) {
	return unix.Openat(dir, name, flags|unix.O_CLOEXEC, 0)
}

// readlink returns EINVAL for what is there and is not a link.
func readlink(dir int, name string) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}
