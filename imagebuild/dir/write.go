package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Options are those of [Write].
type Options struct {
	// Record, if not nil, takes what an ordinary user's directory cannot hold,
	// as a manifest of the whole tree. Then owners, extended attributes,
	// set-user-ID bits and set-group-ID bits are not kept, files and directories
	// can be read and changed by their owner, devices are empty files. Without a
	// Record all is kept, for which one has to be root.
	Record io.Writer
}

// Write writes the tree into the directory at path, which must be empty, or not
// there in a directory that is. After an error, what was written stays.
func Write(ctx context.Context, path string, t *tree.Tree, o Options) error {
	fail := func(err error) error { return fmt.Errorf("writing the directory %s: %w", path, err) }
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fail(err)
	}
	root, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	if names, err := root.Readdirnames(1); err == nil {
		return fail(fmt.Errorf("it has %q in it already, and must be empty", names[0]))
	} else if err != io.EOF {
		return fail(err)
	}
	w := writer{ctx: ctx, root: int(root.Fd()), tree: t, plain: o.Record != nil}
	for _, step := range []func() error{w.directories, w.inodes, w.links, w.finish} {
		if err := step(); err != nil {
			return fail(err)
		}
	}
	if o.Record != nil {
		return tree.WriteManifest(o.Record, t)
	}
	return nil
}

type writer struct {
	ctx   context.Context
	root  int
	tree  *tree.Tree
	plain bool // as an ordinary user
}

// directories makes all of them, open for the owner until all is in them.
func (w *writer) directories() error {
	var dirs []tree.Node
	for n := range w.tree.All() {
		if n.Mode().IsDir() && n.Path() != "" {
			dirs = append(dirs, n)
		}
	}
	return w.inTurn(dirs, func(dir int, n tree.Node) error {
		return os.NewSyscallError("mkdir", unix.Mkdirat(dir, n.Name(), 0o700))
	})
}

// inodes makes the smallest path of each inode but directories.
func (w *writer) inodes() error {
	var nodes []tree.Node
	for n := range w.tree.Inodes() {
		if !n.Mode().IsDir() {
			nodes = append(nodes, n)
		}
	}
	return w.parallel(nodes, w.inode)
}

// links makes the other paths. A symbolic link is linked itself.
func (w *writer) links() error {
	var nodes []tree.Node
	for n := range w.tree.All() {
		if !n.IsFirst() {
			nodes = append(nodes, n)
		}
	}
	return w.inTurn(nodes, func(dir int, n tree.Node) error {
		from, err := openBelow(w.root, n.First().Parent().Path(), unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return os.NewSyscallError("open", err)
		}
		defer unix.Close(from)
		return os.NewSyscallError("link", unix.Linkat(from, n.First().Name(), dir, n.Name(), 0))
	})
}

// finish gives directories their attributes, once nothing is made in them.
func (w *writer) finish() error {
	var dirs []tree.Node
	for n := range w.tree.All() {
		if n.Mode().IsDir() && n.Path() != "" {
			dirs = append(dirs, n)
		}
	}
	if err := w.parallel(dirs, w.attributes); err != nil {
		return err
	}
	if err := w.attributes(w.root, w.tree.Root()); err != nil {
		return &tree.PathError{Path: "", Err: err}
	}
	return nil
}

// inTurn calls do for each node, with a descriptor of its directory.
func (w *writer) inTurn(nodes []tree.Node, do func(dir int, n tree.Node) error) error {
	dir, of := -1, tree.Node{}
	defer func() {
		if dir >= 0 {
			unix.Close(dir)
		}
	}()
	for _, n := range nodes {
		if dir < 0 || n.Parent() != of {
			if err := w.ctx.Err(); err != nil {
				return err
			}
			if dir >= 0 {
				unix.Close(dir)
			}
			var err error
			of = n.Parent()
			if dir, err = openBelow(w.root, of.Path(), unix.O_PATH|unix.O_DIRECTORY); err != nil {
				return &tree.PathError{Path: of.Path(), Err: os.NewSyscallError("open", err)}
			}
		}
		if err := do(dir, n); err != nil {
			return pathError(n, err)
		}
	}
	return nil
}

// pathError is err with the path, unless it has one.
func pathError(n tree.Node, err error) error {
	if has := (*tree.PathError)(nil); errors.As(err, &has) {
		return err
	}
	return &tree.PathError{Path: n.Path(), Err: err}
}

// parallel is inTurn for runs of nodes at once: those of one order stay
// together, so that most are in one directory.
func (w *writer) parallel(nodes []tree.Node, do func(dir int, n tree.Node) error) error {
	const run = 128
	group, ctx := errgroup.WithContext(w.ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0))
	part := *w
	part.ctx = ctx
	for len(nodes) > 0 {
		n := min(run, len(nodes))
		these := nodes[:n]
		nodes = nodes[n:]
		group.Go(func() error { return part.inTurn(these, do) })
	}
	return group.Wait()
}

// storedType is the type that an ordinary user's directory has for one.
func storedType(mode tree.Mode) tree.Mode {
	if mode.IsDevice() {
		return tree.Regular
	}
	return mode.Type()
}
