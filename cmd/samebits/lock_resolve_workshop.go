package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/imagebuild"
	"github.com/samebits/samebits/imagebuild/sandbox"
	"github.com/samebits/samebits/imagebuild/spec"
	"github.com/samebits/samebits/imagebuild/target"
	"github.com/samebits/samebits/lockfile"
)

// A workshop makes roots of locked packages to run programs in: a
// [distro.Workshop].
type workshop struct {
	session *session
	family  distro.Distro
	cache   *lateCache
	access  distro.Access // of this system: proxies and logins
	past    bool          // the mirrors keep snapshots, and are asked gently
	dir     string
}

// toolSystem gives the fetching of files the mirrors of what is resolved with
// the proxies and logins of this system.
type toolSystem struct {
	distro.System
	access distro.Access
}

// Access implements [distro.Locator].
func (t toolSystem) Access() distro.Access { return t.access }

// Lay implements [distro.Workshop]. What packages unpack to is kept in the
// cache.
func (w *workshop) Lay(ctx context.Context, sys distro.Locator, lock *lockfile.Lock) (distro.Bench, error) {
	assembler, ok := w.family.(distro.Assembler)
	if !ok {
		return nil, fmt.Errorf("packages of %s cannot be unpacked yet", w.family.Traits().Family)
	}
	c, err := w.cache.get()
	if err != nil {
		return nil, err
	}
	if err := w.fetch(c, sys, lock); err != nil {
		return nil, err
	}
	w.session.say("unpacking the package manager")
	img, err := w.build(ctx, c, assembler, lock)
	if err != nil {
		return nil, err
	}
	b, err := w.bench(ctx, img, lock)
	return b, errors.Join(err, img.Close())
}

// fetch brings the files of the lock into the cache.
func (w *workshop) fetch(c *cache.Cache, sys distro.Locator, lock *lockfile.Lock) error {
	var reqs []fetch.Request
	for _, r := range requests(lock, lock.Entries) {
		if !c.Has(r.Entry.Digest) {
			reqs = append(reqs, r)
		}
	}
	if len(reqs) == 0 {
		return nil
	}
	w.session.say("fetching the package manager, %s", count(len(reqs), "package"))
	access := w.access
	access.Mirrors = sys.Access().Mirrors
	for i := range access.Mirrors {
		access.Mirrors[i].Keeper = w.past
	}
	return w.session.get(c, reqs, []*lockfile.Lock{lock}, toolSystem{access: access})
}

// build assembles the packages, as an image without scripts.
func (w *workshop) build(ctx context.Context, c *cache.Cache, assembler distro.Assembler, lock *lockfile.Lock) (*imagebuild.Image, error) {
	quiet := &distro.Events{
		Warn: func(m string) { w.session.detail("%s", m) },
		Step: func(m string) { w.session.detail("%s", m) },
	}
	plan := imagebuild.Plan{
		Spec: &spec.Spec{Version: 1, NoScripts: true, Epoch: spec.Time{Time: time.Unix(0, 0).UTC()}},
		Lock: lock, Assembler: assembler, Blobs: c, Temp: w.dir, Events: quiet,
	}
	if err := w.session.keepFor(&plan, c); err != nil {
		return nil, err
	}
	return imagebuild.Build(ctx, plan)
}

// bench fills a directory with the image and what the sandbox asks of a root.
func (w *workshop) bench(ctx context.Context, img *imagebuild.Image, lock *lockfile.Lock) (distro.Bench, error) {
	path, err := os.MkdirTemp(w.dir, "tool")
	if err != nil {
		return nil, err
	}
	dir, err := target.New(path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	b := &bench{Dir: dir, epoch: lock.Date, arch: lock.System.Arch}
	err = dir.Fill(ctx, img.Tree)
	for _, name := range []string{"dev", "proc", "sys", "tmp", "root"} {
		if err == nil {
			err = distro.MakeDir(dir, name)
		}
	}
	if err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// A bench is a root on disk, a [distro.Bench].
type bench struct {
	*target.Dir
	epoch time.Time
	arch  string
}

// benchLimits bound a package manager that only thinks.
var benchLimits = sandbox.Limits{Time: 15 * time.Minute, Processes: 100, Bytes: 4 << 30}

// Run implements [distro.Bench].
func (b *bench) Run(ctx context.Context, s distro.Step) ([]byte, error) {
	var out printed
	err := sandbox.Run(ctx, sandbox.Command{
		Root: b.Path(), Args: s.Args, Hostname: "localhost", Arch: b.arch, Stdin: s.Stdin, Output: &out, Limits: benchLimits,
		Env: append([]string{
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb",
			"LANG=C", "LC_ALL=C", "TZ=UTC", "SOURCE_DATE_EPOCH=" + strconv.FormatInt(b.epoch.Unix(), 10),
		}, s.Env...),
	})
	return out.data, err
}

// Close implements [distro.Bench].
func (b *bench) Close() error {
	return errors.Join(b.Dir.Close(), os.RemoveAll(b.Path()))
}

// printed keeps the begin of what is written to it.
type printed struct{ data []byte }

// Write implements [io.Writer].
func (h *printed) Write(p []byte) (int, error) {
	h.data = append(h.data, p[:min(len(p), distro.MaxPrinted-len(h.data))]...)
	return len(p), nil
}
