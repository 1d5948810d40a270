package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
)

// Dir is a root in a directory: a [distro.Target].
type Dir struct {
	path  string
	fd    int       // of the directory itself
	began time.Time // by the clock of the file system
	temp  atomic.Uint64

	mu      sync.Mutex
	parents map[string]*parent     // directories that are open
	times   map[uint64]time.Time   // by inode: what Put gave
	devices map[string]distro.File // by path: what is not on disk
	fresh   []fresh                // contents that nobody has hashed
	digests map[uint64]hashed      // by inode
	room    room
}

// maxParents is how many directories are kept open.
const maxParents = 256

// New returns a Dir of an existing directory, which should be empty, and gives
// it the mode and the owner of a root.
func New(dir string) (*Dir, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(dir, 0, 0)); err != nil {
		unix.Close(fd)
		return nil, err
	}
	began, err := clock(dir)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &Dir{path: dir, fd: fd, began: began, parents: map[string]*parent{}, times: map[uint64]time.Time{}, devices: map[string]distro.File{}, digests: map[uint64]hashed{}}, nil
}

// clock is the time that the file system gives to what changes now.
func clock(dir string) (time.Time, error) {
	var st unix.Stat_t
	if err := errors.Join(os.Chmod(dir, 0o755), unix.Stat(dir, &st)); err != nil {
		return time.Time{}, err
	}
	return time.Unix(st.Ctim.Unix()), nil
}

// Path is where the root is.
func (d *Dir) Path() string { return d.path }

// Close lets go of the directory; the root stays.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget()
	return unix.Close(d.fd)
}

// Devices are the device nodes of the root, by path.
func (d *Dir) Devices() map[string]distro.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make(map[string]distro.File, len(d.devices))
	for name, f := range d.devices {
		out[name] = f
	}
	return out
}

// isAsPut reports whether the file with this inode number has the time that Put
// gave to it.
func (d *Dir) isAsPut(inode uint64, has time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	t, ok := d.times[inode]
	return ok && t.Equal(has)
}

// A parent is a directory that is kept open while anyone uses it.
type parent struct {
	fd    int
	users int
	gone  bool // from the map
}

// checkName refuses what is no path below a root.
func checkName(name string) error {
	if path.Clean(name) != name || name == "." || name[0] == '/' || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return &fs.PathError{Op: "look up", Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// in opens the directory that name is in and returns what name is called there.
func (d *Dir) in(name string) (*parent, string, error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	dir, base := path.Split(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.parents[dir]
	if p == nil {
		fd, err := d.open(dir, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return nil, "", err
		}
		if len(d.parents) >= maxParents {
			d.forget()
		}
		p = &parent{fd: fd}
		d.parents[dir] = p
	}
	p.users++
	return p, base, nil
}

func (d *Dir) done(p *parent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.users--
	if p.gone && p.users == 0 {
		unix.Close(p.fd)
	}
}

// forget lets go of all open directories; d.mu is held. It is called when a
// name may lead elsewhere from now on.
func (d *Dir) forget() {
	for name, p := range d.parents {
		p.gone = true
		if p.users == 0 {
			unix.Close(p.fd)
		}
		delete(d.parents, name)
	}
}

// open looks name up within the root.
func (d *Dir) open(name string, flags int) (int, error) {
	name = strings.TrimSuffix(name, "/")
	if name == "" {
		name = "."
	}
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for range 1000 {
		fd, err := unix.Openat2(d.fd, name, &how)
		if err == unix.EAGAIN || err == unix.EINTR {
			continue // something was renamed meanwhile
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
	return -1, &fs.PathError{Op: "open", Path: name, Err: unix.EAGAIN}
}

// Put implements [distro.Target].
func (d *Dir) Put(f distro.File, content io.Reader) error {
	if err := d.put(f, content); err != nil {
		return fmt.Errorf("unpack %s: %w", printable(f.Path), err)
	}
	return nil
}

func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, name)
}

func (d *Dir) put(f distro.File, content io.Reader) error {
	if f.Mode&^0o7777 != 0 {
		return fmt.Errorf("mode %o has more than twelve bits", f.Mode)
	}
	p, base, err := d.in(f.Path)
	if err != nil {
		return err
	}
	defer d.done(p)
	d.mu.Lock()
	delete(d.devices, f.Path)
	d.mu.Unlock()
	switch f.Type {
	case distro.Directory:
		return d.putDir(p, base, f)
	case distro.CharDev, distro.BlockDev:
		return d.putDevice(p, base, f)
	}
	// A new name is made in place; one that is there is replaced by renaming.
	err = d.create(p.fd, base, f, content)
	if err != unix.EEXIST {
		return err
	}
	temp := fmt.Sprintf(".samebits-%d", d.temp.Add(1))
	if err := d.create(p.fd, temp, f, content); err != nil {
		return errors.Join(err, ignoreAbsent(unix.Unlinkat(p.fd, temp, 0)))
	}
	return d.replace(p.fd, temp, base)
}

func ignoreAbsent(err error) error {
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// replace renames temp over base.
func (d *Dir) replace(dir int, temp, base string) error {
	var old unix.Stat_t
	if unix.Fstatat(dir, base, &old, unix.AT_SYMLINK_NOFOLLOW) == nil && old.Mode&unix.S_IFMT == unix.S_IFLNK {
		d.mu.Lock()
		d.forget()
		d.mu.Unlock()
	}
	err := unix.Renameat(dir, temp, dir, base)
	if err == nil {
		// Renaming one hard link to another does nothing but leave both.
		err = ignoreAbsent(unix.Unlinkat(dir, temp, 0))
	}
	if err != nil {
		return errors.Join(err, ignoreAbsent(unix.Unlinkat(dir, temp, 0)))
	}
	return nil
}

// create makes an entry that is neither a directory nor a device. It returns
// EEXIST itself where the name is taken.
func (d *Dir) create(dir int, base string, f distro.File, content io.Reader) error {
	switch f.Type {
	case distro.Regular:
		return d.createRegular(dir, base, f, content)
	case distro.Hard:
		return d.link(dir, base, f.Link)
	case distro.Symlink:
		if err := unix.Symlinkat(f.Link, dir, base); err != nil {
			return err
		}
	case distro.Fifo:
		if err := unix.Mkfifoat(dir, base, 0o600); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%q is no type of file", f.Type)
	}
	return d.dress(dir, base, f)
}

func (d *Dir) createRegular(dir int, base string, f distro.File, content io.Reader) (err error) {
	if err := d.room.take(f.Size); err != nil {
		return err
	}
	fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	out := plain{fd, base}
	defer func() { err = errors.Join(err, out.Close()) }()
	if content == nil {
		content = strings.NewReader("")
	}
	if err := out.copyTo(content, f.Size); err != nil {
		return err
	}
	st, err := d.dressOpen(fd, f)
	if err == nil && f.Size > 0 {
		d.hashLater(fresh{f.Path, st.Ctim, f.Origin})
	}
	return err
}

// link makes another name of a file that is there already.
func (d *Dir) link(dir int, base, target string) error {
	p, name, err := d.in(target)
	if err != nil {
		return err
	}
	defer d.done(p)
	return unix.Linkat(p.fd, name, dir, base, 0)
}

// putDir makes a directory, or gives one that is there new attributes.
func (d *Dir) putDir(p *parent, base string, f distro.File) error {
	err := unix.Mkdirat(p.fd, base, 0o700)
	if err == unix.EEXIST {
		var old unix.Stat_t
		if err := unix.Fstatat(p.fd, base, &old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return err
		}
		if old.Mode&unix.S_IFMT != unix.S_IFDIR {
			return unix.ENOTDIR
		}
	} else if err != nil {
		return err
	}
	return d.dress(p.fd, base, f)
}

// putDevice remembers a device node. What has its name on disk goes.
func (d *Dir) putDevice(p *parent, base string, f distro.File) error {
	if err := unix.Unlinkat(p.fd, base, 0); err != nil && err != unix.ENOENT {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.devices[f.Path] = f
	return nil
}

// ReadDir implements [distro.Target].
func (d *Dir) ReadDir(name string) ([]string, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	for device := range d.devices {
		if path.Dir(device) == path.Clean(name) {
			names = append(names, path.Base(device))
		}
	}
	d.mu.Unlock()
	slices.Sort(names)
	return names, nil
}

// Read implements [distro.Target].
func (d *Dir) Read(name string) (io.ReadCloser, error) {
	fd, err := d.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Remove implements [distro.Target].
func (d *Dir) Remove(name string) error {
	p, base, err := d.in(name)
	if err != nil {
		return err
	}
	defer d.done(p)
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, ok := d.devices[name]; ok {
		delete(d.devices, name)
		return nil
	}
	err = unix.Unlinkat(p.fd, base, 0)
	if err == unix.EISDIR {
		err = unix.Unlinkat(p.fd, base, unix.AT_REMOVEDIR)
	}
	if err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	d.forget()
	return nil
}
