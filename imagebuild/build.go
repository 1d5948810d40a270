package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/lockfile"
)

// A Plan is all that an image follows from, and where to work on it.
type Plan struct {
	Spec      *spec.Spec
	Lock      *lockfile.Lock
	Assembler distro.Assembler
	Blobs     distro.Blobs
	// Sources is the directory that the spec's files are relative to.
	Sources string
	// Temp is a directory for the root while it is made; empty for the
	// system's.
	Temp string
	// Parallel is how many packages to unpack at once; 0 for 2. The image does
	// not depend on it.
	Parallel int
	Events   *distro.Events
	// Output receives what scripts print; nil keeps it for the error of one
	// that fails.
	Output io.Writer
	// Limits bound each command that runs in the sandbox.
	Limits sandbox.Limits
}

// An Image is a finished tree and where it comes from. Its contents lie in the
// assembled root until Close.
type Image struct {
	Tree *tree.Tree
	// Applied tells what the rules did.
	Applied []Applied
	// Epoch is the time of all that has no other.
	Epoch time.Time
	Lock  *lockfile.Lock
	Spec  *spec.Spec

	dir  *target.Dir
	temp string
}

// Close removes the assembled root.
func (i *Image) Close() error {
	return errors.Join(i.dir.Close(), os.RemoveAll(i.temp))
}

// Build makes the image. The caller closes it.
func Build(ctx context.Context, p Plan) (img *Image, err error) {
	if err := p.Spec.Check(); err != nil {
		return nil, err
	}
	epoch, err := p.epoch()
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(p.Temp, "samebits-root-")
	if err != nil {
		return nil, err
	}
	root := filepath.Join(temp, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	dir, err := target.New(root)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(temp))
	}
	img = &Image{Epoch: epoch, Lock: p.Lock, Spec: p.Spec, dir: dir, temp: temp}
	if err := p.fill(ctx, img); err != nil {
		return nil, errors.Join(err, img.Close())
	}
	return img, nil
}

// epoch is the spec's, else the date of the lock.
func (p *Plan) epoch() (time.Time, error) {
	switch {
	case !p.Spec.Epoch.IsZero():
		return p.Spec.Epoch.Time, nil
	case !p.Lock.Date.IsZero():
		return p.Lock.Date, nil
	}
	return time.Time{}, errors.New("the lock has no date and the spec no epoch; give one, such as SOURCE_DATE_EPOCH")
}

// fill makes the root and reads it.
func (p *Plan) fill(ctx context.Context, img *Image) error {
	a := distro.Assembly{
		Lock: p.Lock, Blobs: p.Blobs, Root: img.dir, Epoch: img.Epoch,
		Parallel: max(p.Parallel, 1), Events: p.Events,
	}
	if p.Parallel == 0 {
		a.Parallel = 2
	}
	run := p.runner(img)
	if !p.Spec.NoScripts {
		a.Run = run
	}
	if err := p.Assembler.Assemble(ctx, a); err != nil {
		return err
	}
	p.Events.Stepping("adding what the spec names")
	c := &customising{plan: p, root: img.dir, epoch: img.Epoch, run: a.Run}
	if err := c.all(ctx); err != nil {
		return err
	}
	frozen, err := img.dir.Freeze(ctx, img.Epoch)
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

// environment is what every command in the sandbox sees.
func environment(epoch time.Time) []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "TERM=dumb",
		"LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC",
		"SOURCE_DATE_EPOCH=" + strconv.FormatInt(epoch.Unix(), 10),
	}
}

// hostname is what the system calls itself while scripts run, whatever it will
// be called.
const hostname = "localhost"

// runner runs steps in the sandbox.
func (p *Plan) runner(img *Image) func(context.Context, distro.Step) error {
	return func(ctx context.Context, s distro.Step) error {
		var kept tail
		out := io.Writer(&kept)
		if p.Output != nil {
			out = io.MultiWriter(p.Output, &kept)
		}
		err := sandbox.Run(ctx, sandbox.Command{
			Root: img.dir.Path(), Args: s.Args, Env: append(environment(img.Epoch), s.Env...),
			Hostname: hostname, Stdin: s.Stdin, Output: out, Limits: p.Limits,
		})
		if err != nil && p.Output == nil && len(kept.data) > 0 {
			return fmt.Errorf("%w; the end of what it printed:\n%s", err, indent(kept.data))
		}
		return err
	}
}

// tail keeps the end of what is written to it.
type tail struct{ data []byte }

func (t *tail) Write(b []byte) (int, error) {
	const most = 4 << 10
	t.data = append(t.data, b...)
	if len(t.data) > most {
		t.data = append(t.data[:0], t.data[len(t.data)-most:]...)
	}
	return len(b), nil
}

func indent(text []byte) string {
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	if len(lines) > 20 {
		lines = lines[len(lines)-20:]
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "  %s\n", strings.ToValidUTF8(string(l), "�"))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
