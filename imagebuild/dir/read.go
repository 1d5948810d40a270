package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/filetime"
	"github.com/samebits/samebits/imagebuild/tree"
)

// ReadOptions are those of [Read]. The zero value reads what is there.
type ReadOptions struct {
	// Entries bounds the paths that are read; 0 is 2,000,000.
	Entries int
	// Recorded, which may be nil, is what was written as [Options.Record]. A
	// path that it has takes all but its content from there; one of a content
	// that is not the recorded one is an error.
	Recorded *tree.Tree
	// Skip, which may be nil, leaves out a path of the tree and all below it
	// before it is looked at.
	Skip func(path string) bool
}

const defaultEntries = 2_000_000

// Read reads a directory of the host into a tree, with owners, times, devices,
// hard links and all extended attributes that the caller may see (trusted.* is
// for root). Contents are hashed now and opened again when they are wanted,
// without following links; the directory must stay as it is as long as the tree
// is used, and contents that changed are errors.
func Read(ctx context.Context, path string, o ReadOptions) (*tree.Tree, error) {
	if o.Entries == 0 {
		o.Entries = defaultEntries
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("reading a directory: %w", err)
	}
	// It stays open with the contents, and is closed with the last of them.
	r := reader{ctx: ctx, root: f, fd: int(f.Fd()), options: o, links: map[fileID]string{}}
	t, err := r.read()
	runtime.KeepAlive(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the directory %s: %w", path, err)
	}
	return t, nil
}

type fileID struct{ dev, ino uint64 }

type reader struct {
	ctx     context.Context
	root    *os.File
	fd      int
	options ReadOptions
	dev     uint64
	links   map[fileID]string // the path that was met first of inodes that have several
	tree    tree.Builder
}

func (r *reader) read() (*tree.Tree, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(r.fd, &stat); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	r.dev = uint64(stat.Dev)
	if err := r.add(r.fd, ".", "", &stat); err != nil {
		return nil, &tree.PathError{Path: "", Err: err}
	}
	// A list instead of a recursion: only one directory is open at a time.
	for pending := []string{""}; len(pending) > 0; {
		dir := pending[len(pending)-1]
		subdirs, err := r.directory(dir)
		if err != nil {
			return nil, err
		}
		pending = append(pending[:len(pending)-1], subdirs...)
	}
	t, err := r.tree.Freeze(r.ctx)
	if err != nil || r.options.Recorded == nil {
		return t, err
	}
	return recorded(r.ctx, t, r.options.Recorded)
}

// directory reads what is in a directory, and returns the directories there.
func (r *reader) directory(dir string) ([]string, error) {
	if err := r.ctx.Err(); err != nil {
		return nil, err
	}
	fd, err := openBelow(r.fd, dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, &tree.PathError{Path: dir, Err: os.NewSyscallError("open", err)}
	}
	f := os.NewFile(uintptr(fd), dir)
	defer f.Close()
	var subdirs []string
	for {
		names, err := f.Readdirnames(1000)
		for _, name := range names {
			path := name
			if dir != "" {
				path = dir + "/" + name
			}
			if r.options.Skip != nil && r.options.Skip(path) {
				continue
			}
			isDir, err := r.entry(fd, name, path)
			if err != nil {
				return nil, &tree.PathError{Path: path, Err: err}
			}
			if isDir {
				subdirs = append(subdirs, path)
			}
		}
		if err == io.EOF {
			return subdirs, nil
		}
		if err != nil {
			return nil, &tree.PathError{Path: dir, Err: err}
		}
	}
}

// entry reads one name, and reports whether it is a directory.
func (r *reader) entry(dir int, name, path string) (bool, error) {
	if r.tree.Len() >= r.options.Entries {
		return false, fmt.Errorf("more than the %d paths that are allowed", r.options.Entries)
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return false, os.NewSyscallError("stat", err)
	}
	isDir := stat.Mode&unix.S_IFMT == unix.S_IFDIR
	if isDir && uint64(stat.Dev) != r.dev {
		return false, errors.New("another file system is mounted there; unmount or skip it")
	}
	if id := (fileID{uint64(stat.Dev), stat.Ino}); stat.Nlink > 1 && !isDir {
		if first, met := r.links[id]; met {
			return false, r.tree.Link(path, first)
		}
		r.links[id] = path
	}
	return isDir, r.add(dir, name, path, &stat)
}

func (r *reader) add(dir int, name, path string, stat *unix.Stat_t) error {
	modified, err := filetime.Modified(dir, name, unix.AT_SYMLINK_NOFOLLOW, stat)
	if err != nil {
		return os.NewSyscallError("stat", err)
	}
	n := tree.Inode{Mode: tree.Mode(stat.Mode), UID: stat.Uid, GID: stat.Gid, ModTime: tree.TimeOf(modified)}
	switch {
	case n.Mode.Type() == tree.Symlink:
		target := make([]byte, tree.MaxPath+1)
		size, err := unix.Readlinkat(dir, name, target)
		if err != nil {
			return os.NewSyscallError("readlink", err)
		}
		n.Target = string(target[:size])
	case n.Mode.IsDevice():
		n.Major, n.Minor = unix.Major(uint64(stat.Rdev)), unix.Minor(uint64(stat.Rdev))
	case n.Mode.IsRegular():
		n.Size, n.Content = stat.Size, file{r.root, path}
	}
	if n.Xattrs, err = xattrsOf(dir, name); err != nil {
		return err
	}
	if err := r.tree.Add(path, n); err != nil {
		return errors.Unwrap(err) // the path is told by the caller
	}
	return nil
}

// file is a content in a directory of the host, which is kept open as long as
// one of its files may be wanted.
type file struct {
	root *os.File
	path string
}

func (f file) Open() (io.ReadCloser, error) {
	// Were it a fifo now, opening it must not wait.
	fd, err := openBelow(int(f.root.Fd()), f.path, unix.O_RDONLY|unix.O_NONBLOCK)
	runtime.KeepAlive(f.root)
	if err != nil {
		return nil, os.NewSyscallError("open", err)
	}
	return opened(fd), nil
}

// opened is a descriptor without what os.File does to wait for one, which costs
// more than reading a small file.
type opened int

func (o opened) Read(p []byte) (int, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Read(int(o), p) })
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (o opened) ReadAt(p []byte, offset int64) (int, error) {
	for done := 0; done < len(p); {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pread(int(o), p[done:], offset+int64(done)) })
		if err != nil {
			return done, err
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return len(p), nil
}

func (o opened) Close() error { return os.NewSyscallError("close", unix.Close(int(o))) }

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return max(n, 0), os.NewSyscallError("read", err)
		}
	}
}

// recorded is what was read with what was recorded of it.
func recorded(ctx context.Context, t, record *tree.Tree) (*tree.Tree, error) {
	var b tree.Builder
	for n := range t.All() {
		inode := n.Inode()
		if r, found := record.Lookup(n.Path()); found {
			was := r.Inode()
			if was.Mode.IsRegular() && (was.Digest != inode.Digest || !inode.Mode.IsRegular()) {
				return nil, &tree.PathError{Path: n.Path(), Err: errors.New("its content is not the one that was recorded")}
			}
			if stored := storedType(was.Mode); stored != inode.Mode.Type() {
				return nil, &tree.PathError{Path: n.Path(), Err: fmt.Errorf("a %s, and a %s was recorded", inode.Mode.TypeName(), was.Mode.TypeName())}
			}
			if !r.IsFirst() {
				if _, found := b.Lookup(r.First().Path()); found {
					if err := b.Link(n.Path(), r.First().Path()); err != nil {
						return nil, err
					}
					continue
				}
			}
			was.Content = inode.Content
			if !was.Mode.IsRegular() {
				was.Content = nil
			}
			inode = was
		}
		if err := b.Add(n.Path(), inode); err != nil {
			return nil, err
		}
	}
	return b.Freeze(ctx)
}
