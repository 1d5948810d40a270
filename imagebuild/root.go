package imagebuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/imagebuild/tree"
)

// A root is being made: a [target.Dir], or a [target.Memory] where nothing has
// to run in it.
type root interface {
	distro.Target
	io.Closer
	Freeze(ctx context.Context, epoch time.Time) (*tree.Tree, error)
}

// fill makes the image's tree: the assembled root, which may have been stored
// by an earlier build, then what the spec adds, then the rules.
func (p *Plan) fill(ctx context.Context, img *Image) error {
	if err := p.buildBelow(ctx, img); err != nil {
		return err
	}
	base, dir, err := p.base(ctx, img)
	if err != nil {
		return err
	}
	p.Events.Stepping("adding what the spec names")
	frozen, err := p.customise(ctx, img, base, dir)
	if err != nil {
		return err
	}
	rules := append(CommonRules(), p.Assembler.Rules()...)
	if len(p.Spec.Remove) > 0 {
		rules = append(rules, specRule(p.Spec.Remove))
	}
	img.Tree, img.Applied, err = normalise(ctx, frozen, rules, img.Epoch)
	return err
}

// base is the assembled root, and where it lies on disk; nil where it does not.
func (p *Plan) base(ctx context.Context, img *Image) (*tree.Tree, *target.Dir, error) {
	if p.Store != nil {
		if t, err := p.load(ctx, img); t != nil || err != nil {
			if t != nil {
				p.Events.Stepping("taking the root that was assembled before")
			}
			return t, nil, err
		}
	}
	r, err := p.assemble(ctx, img)
	if err != nil {
		return nil, nil, err
	}
	t, err := r.Freeze(ctx, img.Epoch)
	if err != nil {
		return nil, nil, err
	}
	dir, _ := r.(*target.Dir)
	if p.Store != nil {
		img.saving.Go(func() { p.save(ctx, img, t) })
	}
	return t, dir, nil
}

// assemble has the packages laid into a root. Where no script runs, that need
// not be on disk.
func (p *Plan) assemble(ctx context.Context, img *Image) (root, error) {
	a := distro.Assembly{
		Lock: p.Lock, Blobs: p.Blobs, Unpacked: p.Unpacked, Epoch: img.Epoch,
		Parallel: max(p.Parallel, 1), Events: p.Events,
	}
	if p.Parallel == 0 {
		a.Parallel = 2
	}
	if p.Spec.NoScripts {
		spool, err := p.spool(img)
		if err != nil {
			return nil, err
		}
		m := target.NewMemory(spool)
		a.Root = m
		if err = p.Assembler.Assemble(ctx, a); !errors.Is(err, target.ErrWantsDisk) {
			return m, p.explainRoom(err)
		}
	}
	dir, err := p.onDisk(img)
	if err != nil {
		return nil, err
	}
	a.Root = dir
	if !p.Spec.NoScripts {
		a.Run = p.runner(dir, img.Epoch)
	}
	return dir, p.explainRoom(p.Assembler.Assemble(ctx, a))
}

// room is how much all contents of a root may take.
func (p *Plan) room(img *Image) (int64, error) {
	if p.Limits.Bytes > 0 {
		return p.Limits.Bytes, nil
	}
	return target.Room(img.temp)
}

// explainRoom says what to do where there is too little room.
func (p *Plan) explainRoom(err error) error {
	var room *target.RoomError
	if !errors.As(err, &room) {
		return err
	}
	where := p.Temp
	if where == "" {
		where = os.TempDir()
	}
	return fmt.Errorf("%w; the root is made in %s: for more, set TMPDIR to a directory on a disk with more room", err, where)
}

// customise adds what the spec names. Only commands need a root on disk.
func (p *Plan) customise(ctx context.Context, img *Image, base *tree.Tree, dir *target.Dir) (*tree.Tree, error) {
	c := &customising{plan: p, epoch: img.Epoch}
	s := p.Spec
	if len(s.Run)+len(s.Services.Enable)+len(s.Services.Disable) == 0 || s.NoScripts {
		spool, err := p.spool(img)
		if err != nil {
			return nil, err
		}
		m := target.MemoryOf(base, spool)
		c.root = m
		if err := c.all(ctx); err != nil {
			return nil, err
		}
		return m.Freeze(ctx, img.Epoch)
	}
	// The state from which commands start is the tree's, wherever it comes
	// from, so that they find the same times.
	img.saving.Wait()
	if dir == nil {
		var err error
		if dir, err = p.onDisk(img); err != nil {
			return nil, err
		}
		if err := dir.Fill(ctx, base); err != nil {
			return nil, p.explainRoom(err)
		}
	} else if err := dir.Settle(ctx, base); err != nil {
		return nil, err
	}
	c.root, c.run = dir, p.runner(dir, img.Epoch)
	if err := c.all(ctx); err != nil {
		return nil, err
	}
	return dir.Freeze(ctx, img.Epoch)
}

// onDisk makes an empty root on disk.
func (p *Plan) onDisk(img *Image) (*target.Dir, error) {
	room, err := p.room(img)
	if err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(img.temp, "root")
	if err != nil {
		return nil, err
	}
	dir, err := target.New(path)
	if err != nil {
		return nil, err
	}
	dir.Bound(room)
	img.roots = append(img.roots, dir)
	return dir, nil
}

// spool makes a place for contents: a file without a name.
func (p *Plan) spool(img *Image) (*target.Spool, error) {
	room, err := p.room(img)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(img.temp, "contents"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	img.files = append(img.files, f)
	spool := target.NewSpool(f)
	spool.Bound(room)
	return spool, os.Remove(f.Name())
}

// runner runs steps in the sandbox, in a root on disk.
func (p *Plan) runner(dir *target.Dir, epoch time.Time) func(context.Context, distro.Step) error {
	return func(ctx context.Context, s distro.Step) error {
		if err := isSystem(dir.Path()); err != nil {
			return err
		}
		var kept tail
		out := io.Writer(&kept)
		if p.Output != nil {
			out = io.MultiWriter(p.Output, &kept)
		}
		stop := dir.HashAhead(ctx) // scripts have one CPU, and there may be more
		err := sandbox.Run(ctx, sandbox.Command{
			Root: dir.Path(), Args: s.Args, Env: append(environment(epoch), s.Env...),
			Hostname: hostname, Arch: p.Lock.System.Arch, Stdin: s.Stdin, Output: out, Limits: p.Limits,
		})
		stop()
		if err != nil && p.Output == nil && len(kept.data) > 0 {
			return fmt.Errorf("%w; the end of what it printed:\n%s", err, indent(kept.data))
		}
		return err
	}
}

// isSystem reports what a root lacks that every command wants.
func isSystem(root string) error {
	for _, name := range []string{"dev", "proc", "sys", "tmp"} {
		if _, err := os.Lstat(filepath.Join(root, name)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the packages are no whole system, which could run their scripts: there is no /%s; "+
				"lock one, as samebits lock resolve does, or build with no-scripts", name)
		}
	}
	return nil
}
