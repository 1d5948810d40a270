package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Memory is a root that is on no file system: a [distro.Target] whose entries
// are in memory and whose contents are in a [tree.Store]. Nothing can run in
// it; all else is as in a [Dir].
type Memory struct {
	storing sync.Mutex
	store   tree.Store

	mu   sync.Mutex
	root *entry
	dirs map[string]*entry // directories that were looked up, by name
}

// ErrWantsDisk says that only a file system knows what becomes of an entry.
var ErrWantsDisk = errors.New("only a file system can tell what becomes of it")

// An entry is a name in a root. Hard links share an inode.
type entry struct {
	inode    *tree.Inode
	parent   *entry            // nil of the root
	children map[string]*entry // nil of all but directories
	// stirred says that something came into or went out of the directory since
	// it was given its time.
	stirred bool
}

// maxName is how long a name may be, as in Linux.
const maxName = 255

// maxLinks is how many symbolic links a path may lead through, as in Linux.
const maxLinks = 40

// NewMemory returns an empty root whose contents go into the store.
func NewMemory(store tree.Store) *Memory {
	root := tree.Root
	return &Memory{
		store: store, dirs: map[string]*entry{},
		root: &entry{inode: &root, children: map[string]*entry{}, stirred: true},
	}
}

// MemoryOf returns a root that holds what a tree does. New contents go into the
// store.
func MemoryOf(t *tree.Tree, store tree.Store) *Memory {
	m := NewMemory(store)
	inodes := make([]*tree.Inode, t.NumInodes())
	entries := make([]*entry, t.Len())
	for n := range t.All() {
		if inodes[n.InodeIndex()] == nil {
			in := n.Inode()
			inodes[n.InodeIndex()] = &in
		}
		e := &entry{inode: inodes[n.InodeIndex()]}
		if n.Mode().IsDir() {
			e.children = map[string]*entry{}
		}
		entries[n.Index()] = e
		if n.Index() > 0 {
			e.parent = entries[n.Parent().Index()]
			e.parent.children[n.Name()] = e
		}
	}
	m.root = entries[0]
	return m
}

// walk looks a path up within the root. m.mu is held.
func (m *Memory) walk(name string, follow bool) (*entry, error) {
	at, rest, links := m.root, name, 0
	if strings.ContainsRune(name, 0) {
		return nil, &fs.PathError{Op: "look up", Path: name, Err: fs.ErrInvalid}
	}
	for rest != "" {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if at.children == nil {
			return nil, &fs.PathError{Op: "look up", Path: name, Err: unix.ENOTDIR}
		}
		switch part {
		case "", ".":
			continue
		case "..":
			if at.parent != nil {
				at = at.parent
			}
			continue
		}
		next := at.children[part]
		if len(part) > maxName {
			return nil, &fs.PathError{Op: "look up", Path: name, Err: unix.ENAMETOOLONG}
		}
		if next == nil {
			return nil, &fs.PathError{Op: "look up", Path: name, Err: fs.ErrNotExist}
		}
		if next.inode.Mode.Type() != tree.Symlink || rest == "" && !follow {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return nil, &fs.PathError{Op: "look up", Path: name, Err: unix.ELOOP}
		}
		if next.inode.Target[0] == '/' {
			at = m.root
		}
		rest = strings.TrimSuffix(next.inode.Target+"/"+rest, "/")
	}
	return at, nil
}

// in finds the directory that name is in, and what name is called there.
func (m *Memory) in(name string) (*entry, string, error) {
	if err := checkName(name); err != nil {
		return nil, "", err
	}
	dir, base := path.Split(name)
	e := m.dirs[dir]
	if e == nil {
		var err error
		if e, err = m.walk(dir, true); err != nil {
			return nil, "", err
		}
	}
	switch {
	case e.children == nil:
		return nil, "", &fs.PathError{Op: "look up", Path: name, Err: unix.ENOTDIR}
	case len(base) > maxName:
		return nil, "", &fs.PathError{Op: "look up", Path: name, Err: unix.ENAMETOOLONG}
	}
	m.dirs[dir] = e
	return e, base, nil
}

// Put implements [distro.Target].
func (m *Memory) Put(f distro.File, content io.Reader) error {
	if err := m.put(f, content); err != nil {
		return fmt.Errorf("unpack %s: %w", printable(f.Path), err)
	}
	return nil
}

// types are those of a tree for those of packages.
var types = map[distro.FileType]tree.Mode{
	distro.Regular: tree.Regular, distro.Directory: tree.Directory, distro.Symlink: tree.Symlink,
	distro.CharDev: tree.CharDev, distro.BlockDev: tree.BlockDev, distro.Fifo: tree.Fifo,
}

func (m *Memory) put(f distro.File, content io.Reader) error {
	in, err := m.inode(f, content)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.in(f.Path)
	if err != nil {
		return err
	}
	if f.Type == distro.Hard {
		if in, err = m.linked(f.Link); err != nil {
			return err
		}
	}
	old := dir.children[base]
	switch {
	case f.Type == distro.Directory && old != nil && old.children == nil:
		return unix.ENOTDIR
	case f.Type == distro.Directory && old != nil:
		in.Xattrs = joinXattrs(old.inode.Xattrs, in.Xattrs)
		old.inode, old.stirred = in, false
		return nil
	case old != nil && old.children != nil:
		return unix.EISDIR
	case old != nil && old.inode.Mode.Type() == tree.Symlink:
		clear(m.dirs) // names may lead elsewhere from now on
	}
	e := &entry{inode: in, parent: dir}
	if f.Type == distro.Directory {
		e.children = map[string]*entry{}
	}
	dir.children[base], dir.stirred = e, true
	return nil
}

// inode makes what a package says an inode, and keeps its content; nil of a
// hard link.
func (m *Memory) inode(f distro.File, content io.Reader) (*tree.Inode, error) {
	if f.Mode&^0o7777 != 0 {
		return nil, fmt.Errorf("mode %o has more than twelve bits", f.Mode)
	}
	if f.Type == distro.Hard {
		return nil, nil
	}
	kind, ok := types[f.Type]
	if !ok {
		return nil, fmt.Errorf("%q is no type of file", f.Type)
	}
	in := &tree.Inode{Mode: kind | tree.Mode(f.Mode), UID: f.UID, GID: f.GID, ModTime: tree.TimeOf(f.ModTime)}
	for _, name := range slices.Sorted(maps.Keys(f.Xattrs)) {
		// Setting an access control list changes the mode, and what a file
		// system takes of others is for it to say.
		if name != "security.capability" {
			return nil, fmt.Errorf("the attribute %s: %w", name, ErrWantsDisk)
		}
		in.Xattrs = append(in.Xattrs, tree.Xattr{Name: name, Value: f.Xattrs[name]})
	}
	switch f.Type {
	case distro.Symlink:
		in.Target = f.Link
	case distro.CharDev, distro.BlockDev:
		in.Major, in.Minor = f.Major, f.Minor
	case distro.Regular:
		return in, m.keep(in, f, content)
	}
	return in, checkInode(f)
}

// checkInode refuses what no file system could hold.
func checkInode(f distro.File) error {
	if f.Type == distro.Symlink && (f.Link == "" || len(f.Link) > tree.MaxPath || strings.ContainsRune(f.Link, 0)) {
		return unix.EINVAL
	}
	return nil
}

// keep takes the content of a file.
func (m *Memory) keep(in *tree.Inode, f distro.File, content io.Reader) error {
	if content == nil {
		content = strings.NewReader("")
	}
	m.storing.Lock()
	defer m.storing.Unlock()
	var err error
	in.Content, in.Size, in.Digest, err = m.store.Keep(io.LimitReader(content, f.Size+1))
	if err != nil {
		return err
	}
	if in.Size != f.Size {
		return fmt.Errorf("it has not the %d bytes that it should have", f.Size)
	}
	if f.Origin != (distro.Origin{}) {
		in.Content = originated{in.Content, f.Origin}
	}
	return nil
}

// linked is the inode that a hard link is another name of.
func (m *Memory) linked(name string) (*tree.Inode, error) {
	dir, base, err := m.in(name)
	if err != nil {
		return nil, err
	}
	e := dir.children[base]
	switch {
	case e == nil:
		return nil, &fs.PathError{Op: "link", Path: name, Err: fs.ErrNotExist}
	case e.children != nil:
		return nil, unix.EPERM
	}
	return e.inode, nil
}

// joinXattrs are the attributes of a directory that is given further ones.
func joinXattrs(old, more []tree.Xattr) []tree.Xattr {
	out := slices.Clone(more)
	for _, x := range old {
		if !slices.ContainsFunc(more, func(y tree.Xattr) bool { return y.Name == x.Name }) {
			out = append(out, x)
		}
	}
	return out
}

// Stat implements [distro.Target]. Extended attributes are not told.
func (m *Memory) Stat(name string) (distro.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.in(name)
	if err != nil {
		return distro.File{}, err
	}
	e := dir.children[base]
	if e == nil {
		return distro.File{}, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
	}
	f := distro.File{
		Path: name, Mode: uint32(e.inode.Mode.Bits()), UID: e.inode.UID, GID: e.inode.GID, ModTime: e.inode.ModTime.Time(),
		Size: e.inode.Size, Link: e.inode.Target, Major: e.inode.Major, Minor: e.inode.Minor,
	}
	for kind, mode := range types {
		if mode == e.inode.Mode.Type() {
			f.Type = kind
		}
	}
	return f, nil
}

// Read implements [distro.Target].
func (m *Memory) Read(name string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.walk(name, true)
	if err != nil {
		return nil, err
	}
	if !e.inode.Mode.IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	if e.inode.Content == nil {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return e.inode.Content.Open()
}

// ReadDir implements [distro.Target].
func (m *Memory) ReadDir(name string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.walk(name, true)
	if err != nil {
		return nil, err
	}
	if e.children == nil {
		return nil, &fs.PathError{Op: "read", Path: name, Err: unix.ENOTDIR}
	}
	return slices.Sorted(maps.Keys(e.children)), nil
}

// Remove implements [distro.Target].
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.in(name)
	if err != nil {
		return err
	}
	e := dir.children[base]
	switch {
	case e == nil:
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	case len(e.children) > 0:
		return &fs.PathError{Op: "remove", Path: name, Err: unix.ENOTEMPTY}
	}
	delete(dir.children, base)
	dir.stirred = true
	clear(m.dirs)
	return nil
}
