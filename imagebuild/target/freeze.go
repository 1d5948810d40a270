package target

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/filetime"
	"github.com/samebits/samebits/imagebuild/tree"
)

// maxXattrs bounds the names, and each value, of one file's attributes. It is
// what Linux allows.
const maxXattrs = 64 << 10

// Freeze reads the root into a tree. What was made or changed while the root
// was, by the clock of its file system, has the time of the epoch, and so has
// every directory that has anything in it; all else keeps its time, be it a
// package's or one that a script gave. Contents are opened where they lie, so the root must stay as it is as
// long as the tree is used. Sockets are left out, as nobody listens any more.
func (d *Dir) Freeze(ctx context.Context, epoch time.Time) (*tree.Tree, error) {
	ended, err := clock(d.path)
	if err != nil {
		return nil, err
	}
	r := &reader{dir: d, ctx: ctx, epoch: epoch, ended: ended, inodes: map[uint64]string{}}
	if err := r.directory(""); err != nil {
		return nil, fmt.Errorf("read the assembled root: %w", err)
	}
	for name, f := range d.Devices() {
		if err := r.device(name, f); err != nil {
			return nil, err
		}
	}
	return r.builder.Freeze(ctx)
}

// A reader is one run of Freeze.
type reader struct {
	dir     *Dir
	ctx     context.Context
	epoch   time.Time
	ended   time.Time
	builder tree.Builder
	inodes  map[uint64]string // of files with several names: the first met
}

// openPlain opens a path of the root without following any link.
func (d *Dir) openPlain(name string, flags int) (int, error) {
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS}
	for {
		fd, err := unix.Openat2(d.fd, name, &how)
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}

// directory reads a directory and all that is in it.
func (r *reader) directory(name string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	fd, err := r.dir.openPlain(name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	node, err := r.inode(&st, fmt.Sprintf("/proc/self/fd/%d", fd), true)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		node.ModTime = tree.TimeOf(r.epoch)
	}
	if err := r.builder.Set(name, node); err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := r.entry(fd, path.Join(name, n), n); err != nil {
			return err
		}
	}
	return nil
}

// entry reads what is called base in an open directory.
func (r *reader) entry(dir int, name, base string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	kind := tree.Mode(st.Mode).Type()
	switch kind {
	case tree.Directory:
		return r.directory(name)
	case tree.Socket:
		return nil
	}
	if st.Nlink > 1 {
		if first, ok := r.inodes[st.Ino]; ok {
			return r.builder.Link(name, first)
		}
		r.inodes[st.Ino] = name
	}
	node, err := r.inode(&st, fmt.Sprintf("/proc/self/fd/%d/%s", dir, base), false)
	if err != nil {
		return &fs.PathError{Op: "read", Path: name, Err: err}
	}
	switch kind {
	case tree.Regular:
		known := r.dir.known(&st)
		node.Size, node.Content, node.Digest = st.Size, onDisk{r.dir, name, known.origin}, known.digest
	case tree.Symlink:
		buf := make([]byte, tree.MaxPath+1)
		n, err := unix.Readlinkat(dir, base, buf)
		if err != nil {
			return &fs.PathError{Op: "readlink", Path: name, Err: err}
		}
		node.Target, node.Mode = string(buf[:n]), tree.Symlink|0o777
	}
	return r.builder.Add(name, node)
}

// inode makes an inode of what lstat says.
func (r *reader) inode(st *unix.Stat_t, proc string, follow bool) (tree.Inode, error) {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if follow {
		flags = 0
	}
	modified, err := filetime.Modified(unix.AT_FDCWD, proc, flags, st)
	if err != nil {
		return tree.Inode{}, err
	}
	node := tree.Inode{
		Mode: tree.Mode(st.Mode), UID: st.Uid, GID: st.Gid, ModTime: r.time(st.Ino, modified),
		Major: unix.Major(uint64(st.Rdev)), Minor: unix.Minor(uint64(st.Rdev)),
	}
	node.Xattrs, err = xattrs(proc, follow)
	return node, err
}

// time is the time of a file in the tree. A file that was put with a time of
// these very moments, as it may be where the clock is wrong, is still known.
func (r *reader) time(ino uint64, t time.Time) tree.Time {
	if t.Before(r.dir.began) || t.After(r.ended) || r.dir.isAsPut(ino, t) {
		return tree.TimeOf(t)
	}
	return tree.TimeOf(r.epoch)
}

// xattrs reads the attributes of a file, but for those that say where it lies:
// labels of the host's security modules.
func xattrs(proc string, follow bool) ([]tree.Xattr, error) {
	list, get := unix.Llistxattr, unix.Lgetxattr
	if follow {
		list, get = unix.Listxattr, unix.Getxattr
	}
	n, err := list(proc, nil)
	if n == 0 || err == unix.ENOTSUP {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, maxXattrs)
	if n, err = list(proc, buf); err != nil {
		return nil, err
	}
	var out []tree.Xattr
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if name == "security.selinux" || strings.HasPrefix(name, "trusted.") || strings.HasPrefix(name, "user.overlay.") {
			continue
		}
		value := make([]byte, maxXattrs)
		n, err := get(proc, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, tree.Xattr{Name: name, Value: string(value[:n])})
	}
	slices.SortFunc(out, func(a, b tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// device adds a node that is not on disk, at the path that its directory has
// in the root.
func (r *reader) device(name string, f distro.File) error {
	dir, err := r.dir.realDir(path.Dir(name))
	if err != nil {
		return fmt.Errorf("place the device %s: %w", printable(name), err)
	}
	kind := tree.CharDev
	if f.Type == distro.BlockDev {
		kind = tree.BlockDev
	}
	return r.builder.Add(path.Join(dir, path.Base(name)), tree.Inode{
		Mode: kind | tree.Mode(f.Mode), UID: f.UID, GID: f.GID, ModTime: tree.TimeOf(f.ModTime), Major: f.Major, Minor: f.Minor,
	})
}

// realDir is the path of a directory without links.
func (d *Dir) realDir(name string) (string, error) {
	fd, err := d.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	at, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", err
	}
	root, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", d.fd))
	if err != nil {
		return "", err
	}
	if at == root {
		return "", nil
	}
	rel, ok := strings.CutPrefix(at, root+"/")
	if !ok {
		return "", fs.ErrInvalid
	}
	return rel, nil
}

// onDisk is the content of a regular file of the root.
type onDisk struct {
	dir    *Dir
	name   string
	origin distro.Origin
}

// Origin implements [Originated].
func (c onDisk) Origin() distro.Origin { return c.origin }

func (c onDisk) Open() (io.ReadCloser, error) {
	fd, err := c.dir.openPlain(c.name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	return plain{fd, c.name}, nil
}
