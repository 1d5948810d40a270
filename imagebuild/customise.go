package imagebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild/spec"
)

// customising adds to an assembled root what the spec names.
type customising struct {
	plan     *Plan
	root     distro.Target
	epoch    time.Time
	run      func(context.Context, distro.Step) error // nil without scripts
	accounts *accounts
}

func (c *customising) all(ctx context.Context) error {
	var err error
	if c.accounts, err = readAccounts(c.root); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{c.people, c.settings, c.files, c.services, c.commands} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// people adds groups and users.
func (c *customising) people(context.Context) error {
	s := c.plan.Spec
	if len(s.Groups)+len(s.Users) == 0 {
		return nil
	}
	for _, g := range s.Groups {
		if _, err := c.accounts.addGroup(g.Name, g.ID); err != nil {
			return err
		}
	}
	for _, u := range s.Users {
		if err := c.accounts.addUser(u); err != nil {
			return err
		}
	}
	if err := c.accounts.write(c.root, c.epoch); err != nil {
		return err
	}
	for _, u := range s.Users {
		if u.Home == "" {
			continue
		}
		home := strings.TrimPrefix(path.Clean(u.Home), "/")
		if _, err := c.root.Stat(home); err == nil || home == "" {
			continue
		}
		if err := c.parents(home); err != nil {
			return err
		}
		uid, gid, err := c.accounts.owner(u.Name, "")
		if err != nil {
			return err
		}
		f := distro.File{Path: home, Type: distro.Directory, Mode: 0o755, UID: uid, GID: gid, ModTime: c.epoch}
		if err := c.root.Put(f, nil); err != nil {
			return err
		}
	}
	return nil
}

// settings writes the files that every distribution has for the same thing.
func (c *customising) settings(context.Context) error {
	s := c.plan.Spec
	text := func(name, content string) error {
		return c.write(distro.File{Path: name, Type: distro.Regular, Mode: 0o644}, []byte(content))
	}
	if s.Hostname != "" {
		if err := text("etc/hostname", s.Hostname+"\n"); err != nil {
			return err
		}
		hosts := "127.0.0.1\tlocalhost\n127.0.1.1\t" + s.Hostname + "\n::1\tlocalhost ip6-localhost ip6-loopback\n"
		if err := text("etc/hosts", hosts); err != nil {
			return err
		}
	}
	if s.Locale != "" {
		if err := text("etc/locale.conf", "LANG="+s.Locale+"\n"); err != nil {
			return err
		}
		if _, err := c.root.Stat("etc/default"); err == nil {
			if err := text("etc/default/locale", "LANG="+s.Locale+"\n"); err != nil {
				return err
			}
		}
	}
	if s.Timezone != "" {
		zone := "usr/share/zoneinfo/" + s.Timezone
		if _, err := c.root.Stat(zone); err != nil {
			return fmt.Errorf("the time zone %s is not in the image; lock the package tzdata too: %w", s.Timezone, err)
		}
		link := distro.File{Path: "etc/localtime", Type: distro.Symlink, Link: "/" + zone, ModTime: c.epoch}
		if err := c.root.Put(link, nil); err != nil {
			return err
		}
		if _, err := c.root.Stat("etc/timezone"); err == nil {
			return text("etc/timezone", s.Timezone+"\n")
		}
	}
	return nil
}

// write puts a file with its directories.
func (c *customising) write(f distro.File, content []byte) error {
	if err := c.parents(f.Path); err != nil {
		return err
	}
	f.Size, f.ModTime = int64(len(content)), c.epoch
	return c.root.Put(f, bytes.NewReader(content))
}

// parents makes the directories on the way to a path.
func (c *customising) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	switch _, err := c.root.ReadDir(dir); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := c.parents(dir); err != nil {
		return err
	}
	return c.root.Put(distro.File{Path: dir, Type: distro.Directory, Mode: 0o755, ModTime: c.epoch}, nil)
}

// files adds the spec's files, in its order.
func (c *customising) files(context.Context) error {
	for _, f := range c.plan.Spec.Files {
		if err := c.file(f); err != nil {
			return fmt.Errorf("add %s: %w", f.Path, err)
		}
	}
	return nil
}

func (c *customising) file(f spec.File) error {
	uid, gid, err := c.accounts.owner(f.Owner, f.Group)
	if err != nil {
		return err
	}
	out := distro.File{Path: strings.TrimPrefix(f.Path, "/"), Type: distro.Regular, Mode: 0o644, UID: uid, GID: gid, ModTime: c.epoch}
	if f.Mode.Set {
		out.Mode = f.Mode.Bits
	}
	switch {
	case f.Link != "":
		out.Type, out.Link = distro.Symlink, f.Link
	case f.Directory:
		out.Type = distro.Directory
		if !f.Mode.Set {
			out.Mode = 0o755
		}
	case f.Source != "":
		if !filepath.IsAbs(f.Source) {
			f.Source = filepath.Join(c.plan.Sources, f.Source)
		}
		return c.source(f, out)
	default:
		text := []byte(*f.Content)
		if f.Template {
			if text, err = c.fillIn(text); err != nil {
				return err
			}
		}
		return c.write(out, text)
	}
	if err := c.parents(out.Path); err != nil {
		return err
	}
	return c.root.Put(out, nil)
}

// maxSource bounds one file that is added.
const maxSource = 4 << 30

// source adds a file, or a directory with all that is in it. Of the builder's
// disk, names, contents and the bit that makes programs count; owners, times
// and other bits of the mode do not.
func (c *customising) source(f spec.File, out distro.File) error {
	from := f.Source
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	switch {
	case info.Mode().IsRegular():
		if !f.Mode.Set && info.Mode()&0o100 != 0 {
			out.Mode = 0o755
		}
		return c.copy(f, out, from, info)
	case info.Mode()&fs.ModeSymlink != 0:
		out.Type = distro.Symlink
		if out.Link, err = os.Readlink(from); err != nil {
			return err
		}
		if err := c.parents(out.Path); err != nil {
			return err
		}
		return c.root.Put(out, nil)
	case !info.IsDir():
		return fmt.Errorf("%s is neither a file, a directory nor a link", from)
	}
	dir := out
	dir.Type, dir.Mode = distro.Directory, 0o755
	if err := c.parents(dir.Path); err != nil {
		return err
	}
	if err := c.root.Put(dir, nil); err != nil {
		return err
	}
	entries, err := os.ReadDir(from) // sorted
	if err != nil {
		return err
	}
	for _, e := range entries {
		below := f
		below.Source, below.Path = filepath.Join(from, e.Name()), f.Path+"/"+e.Name()
		inner := out
		inner.Path = out.Path + "/" + e.Name()
		if err := c.source(below, inner); err != nil {
			return err
		}
	}
	return nil
}

// copy adds a file of the builder's disk.
func (c *customising) copy(f spec.File, out distro.File, from string, info fs.FileInfo) error {
	if info.Size() > maxSource {
		return fmt.Errorf("%s has more than %d bytes", from, int64(maxSource))
	}
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	if f.Template {
		text, err := io.ReadAll(io.LimitReader(r, spec.MaxSize))
		if err != nil {
			return err
		}
		if text, err = c.fillIn(text); err != nil {
			return err
		}
		return c.write(out, text)
	}
	if err := c.parents(out.Path); err != nil {
		return err
	}
	out.Size = info.Size()
	return c.root.Put(out, r)
}

// fillIn fills in a template.
func (c *customising) fillIn(text []byte) ([]byte, error) {
	t, err := template.New("template").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, map[string]any{
		"Epoch":    c.epoch.UTC().Format(time.RFC3339),
		"Arch":     c.plan.Lock.System.Arch,
		"Distro":   c.plan.Lock.System.Distro,
		"Version":  c.plan.Lock.System.Version,
		"Hostname": c.plan.Spec.Hostname,
	})
	return b.Bytes(), err
}

// A verb is what an init system's tool is to do with services. Those that are
// enabled come first.
type verb struct {
	name  string
	units []string
}

// services enables and disables services, by the init system of the image.
func (c *customising) services(ctx context.Context) error {
	s := c.plan.Spec.Services
	if len(s.Enable)+len(s.Disable) == 0 {
		return nil
	}
	has := func(name string) bool { _, err := c.root.Stat(name); return err == nil }
	switch {
	case c.run == nil:
		return errors.New("services are enabled by the init system's own tool, and no-scripts forbids to run it")
	case has("usr/bin/systemctl") || has("bin/systemctl"):
		for _, verb := range []verb{{"enable", s.Enable}, {"disable", s.Disable}} {
			if len(verb.units) == 0 {
				continue
			}
			if err := c.run(ctx, distro.Step{Args: append([]string{"/usr/bin/systemctl", "--no-reload", verb.name}, verb.units...)}); err != nil {
				return fmt.Errorf("%s services: %w", verb.name, err)
			}
		}
		return nil
	case has("sbin/rc-update"):
		for _, verb := range []verb{{"add", s.Enable}, {"del", s.Disable}} {
			for _, u := range verb.units {
				if err := c.run(ctx, distro.Step{Args: []string{"/sbin/rc-update", verb.name, u, "default"}}); err != nil {
					return fmt.Errorf("%s the service %s: %w", verb.name, u, err)
				}
			}
		}
		return nil
	case has("usr/sbin/update-rc.d"):
		for _, verb := range []verb{{"defaults", s.Enable}, {"remove", s.Disable}} {
			for _, u := range verb.units {
				if err := c.run(ctx, distro.Step{Args: []string{"/usr/sbin/update-rc.d", u, verb.name}}); err != nil {
					return fmt.Errorf("%s the service %s: %w", verb.name, u, err)
				}
			}
		}
		return nil
	}
	return errors.New("the image has no init system that could enable services: neither systemctl, rc-update nor update-rc.d is there")
}

// commands runs what the spec wants run.
func (c *customising) commands(ctx context.Context) error {
	for i, r := range c.plan.Spec.Run {
		step := distro.Step{Args: slices.Clone(r.Args)}
		if r.Script != "" {
			step.Args = []string{"/bin/sh", "-eu", "-c", r.Script}
		}
		if err := c.run(ctx, step); err != nil {
			return fmt.Errorf("command %d of the spec: %w", i+1, err)
		}
	}
	return nil
}
