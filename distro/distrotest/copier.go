package distrotest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
)

// A Copier is an assembler that copies a root that the distribution's own
// package manager has made, whatever the lock says, so that what is assembled
// can be held against that after both are normalised by the same rules.
type Copier struct {
	distro.Assembler
	// From is the root's directory.
	From string
	// Without are paths in it that are left out.
	Without []string
}

// Assemble copies the root. Sockets and block devices are an error.
func (c Copier) Assemble(_ context.Context, a distro.Assembly) error {
	seen := map[uint64]string{} // paths by inode
	return filepath.WalkDir(c.From, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(c.From, path)
		if err != nil || name == "." || slices.Contains(c.Without, name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		f := distro.File{Path: name, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Size: st.Size, ModTime: info.ModTime(), Xattrs: Xattrs(path)}
		var content []byte
		switch info.Mode().Type() {
		case 0:
			f.Type = distro.Regular
			if first, ok := seen[st.Ino]; ok {
				f.Type, f.Link = distro.Hard, first
			}
			seen[st.Ino] = name
			content, err = os.ReadFile(path)
		case fs.ModeDir:
			f.Type = distro.Directory
		case fs.ModeSymlink:
			f.Type = distro.Symlink
			f.Link, err = os.Readlink(path)
		case fs.ModeDevice | fs.ModeCharDevice:
			f.Type, f.Major, f.Minor = distro.CharDev, unix.Major(st.Rdev), unix.Minor(st.Rdev)
		case fs.ModeNamedPipe:
			f.Type = distro.Fifo
		default:
			err = fmt.Errorf("%s is of the type %s, which packages do not have", path, info.Mode().Type())
		}
		if err != nil {
			return err
		}
		return a.Root.Put(f, bytes.NewReader(content))
	})
}

// Xattrs returns those extended attributes of a file that packages set, and
// those that tests set, as they are stored. Links are not followed.
func Xattrs(path string) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"security.capability", "user.test", "user.o-ther", "system.posix_acl_access", "system.posix_acl_default"} {
		value := make([]byte, 256)
		if n, err := unix.Lgetxattr(path, name, value); err == nil {
			out[name] = string(value[:n])
		}
	}
	return out
}
