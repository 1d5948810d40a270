package alpine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// wanted are the arguments of apk: the named packages and those of the base.
func (r *resolving) wanted(s *shop) ([]string, error) {
	names := map[string]bool{}
	for _, c := range s.catalog.channels {
		for _, rec := range c.index.Records {
			names[rec.Name] = true
			for _, p := range rec.Provides {
				if d, err := apk.ParseDependency(p); err == nil {
					names[d.Name] = true
				}
			}
		}
	}
	var out, unknown []string
	for _, p := range r.Packages {
		d, err := apk.ParseDependency(p)
		if err != nil || d.Conflict || d.Tag != "" || d.Op == "><" || strings.HasPrefix(p, "-") || strings.ContainsAny(p, " \t\n") {
			return nil, distro.BadRequest("%q is no package; one is named as hello, hello=2.10-r0 or so:libz.so.1", p)
		}
		if !names[d.Name] {
			unknown = append(unknown, d.Name)
		}
		out = append(out, p)
	}
	if len(unknown) > 0 {
		return nil, &distro.UnknownPackageError{Names: unknown, Where: s.where()}
	}
	for _, name := range bases[r.base()] {
		if names[name] {
			out = append(out, name)
		}
	}
	if len(out) == 0 {
		return nil, distro.BadRequest("nothing is asked for: name packages, or a --base")
	}
	return out, nil
}

// solve asks apk which packages it would add.
func (r *resolving) solve(ctx context.Context, goal, tools *shop, wanted []string) ([]distro.Package, error) {
	closure, err := tools.closure("apk-tools")
	if err != nil {
		return nil, err
	}
	located, err := r.locate(ctx, tools, closure)
	if err != nil {
		return nil, err
	}
	if missing := located.Lock.Missing; len(missing) > 0 {
		return nil, fmt.Errorf("apk cannot be had: %s, %s", missing[0].Name, located.Reasons[missing[0]])
	}
	bench, err := r.Workshop.Lay(ctx, tools.sys, located.Lock)
	if err != nil {
		return nil, fmt.Errorf("lay out apk: %w", err)
	}
	packages, err := r.ask(ctx, bench, goal, wanted)
	return packages, errors.Join(err, bench.Close())
}

// goalDir is where the empty system lies in the root that apk runs in.
const goalDir = "goal"

func (r *resolving) ask(ctx context.Context, bench distro.Bench, goal *shop, wanted []string) ([]distro.Package, error) {
	args := []string{"--root", "/" + goalDir, "--arch", goal.arch, "--no-network", "--no-progress", "--allow-untrusted", "--simulate",
		"--repositories-file", "/dev/null"}
	files := map[string]string{
		"etc/apk/arch": goal.arch + "\n", "etc/apk/world": "", installedFile: "", "lib/apk/db/triggers": "", "lib/apk/db/lock": "",
	}
	for name, text := range files {
		if err := putFile(bench, path.Join(goalDir, name), []byte(text)); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{"etc/apk/keys", "var/cache/apk", "tmp", "dev"} {
		if err := distro.MakeDir(bench, path.Join(goalDir, dir)); err != nil {
			return nil, err
		}
	}
	for i, data := range goal.indexes {
		dir := "indexes/" + strconv.Itoa(i)
		if err := putFile(bench, path.Join(dir, goal.arch, "APKINDEX.tar.gz"), data); err != nil {
			return nil, err
		}
		args = append(args, "--repository", "/"+dir)
	}
	r.Events.Stepping("having apk resolve " + r.Asked(wanted))
	program := "/sbin/apk"
	if _, err := bench.Stat("usr/bin/apk"); err == nil {
		program = "/usr/bin/apk" // since apk 3
	}
	step := distro.Step{Args: slices.Concat([]string{program}, args, []string{"add"}, wanted)}
	out, err := bench.Run(ctx, step)
	if err != nil {
		return nil, fmt.Errorf("apk finds no way to add that from %s (%w); it says:\n%s", goal.where(), err, said(out))
	}
	return goal.parseSimulation(string(out))
}

func putFile(t distro.Target, name string, data []byte) error {
	if err := distro.MakeDir(t, path.Dir(name)); err != nil {
		return err
	}
	return t.Put(distro.File{Path: name, Type: distro.Regular, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}, bytes.NewReader(data))
}

// installs is a line of what apk does: "( 3/25) Installing musl (1.2.4-r4)".
var installs = regexp.MustCompile(`^\( *[0-9]+/[0-9]+\) Installing ([^ ()]+) \(([^ ()]+)\)$`)

// parseSimulation reads what apk would install.
func (s *shop) parseSimulation(out string) ([]distro.Package, error) {
	var packages []distro.Package
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, ") Installing ") {
			continue
		}
		m := installs.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("apk's answer cannot be read: %q", line)
		}
		if name, version, hash, ok := splitName(m[1] + "-" + m[2] + suffix); !ok || name != m[1] || version != m[2] || hash != "" {
			return nil, fmt.Errorf("apk chose what no file can be called: %q", line)
		}
		packages = append(packages, distro.Package{Name: m[1], Version: m[2], Arch: s.arch})
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("apk's answer names no package:\n%s", said([]byte(out)))
	}
	slices.SortFunc(packages, distro.Package.Compare)
	return slices.Compact(packages), nil
}

// said is the end of what a program printed, for a person.
func said(out []byte) string {
	const lines, width = 40, 400
	all := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	for i, l := range all {
		all[i] = "  " + strings.ToValidUTF8(l[:min(len(l), width)], "")
	}
	return strings.Join(all, "\n")
}

// closure lists the newest versions of a package and of what it depends on:
// enough to run it. Conflicts do not matter, since nothing else is there.
func (s *shop) closure(name string) ([]distro.Package, error) {
	var out []distro.Package
	taken := map[string]bool{}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		want, err := apk.ParseDependency(todo[0])
		if err != nil || want.Conflict {
			continue
		}
		rec, ok := s.provider(want)
		if !ok {
			return nil, fmt.Errorf("%s has no %s, and without it nothing can be resolved", s.where(), want)
		}
		if taken[rec.Name] {
			continue
		}
		taken[rec.Name] = true
		out = append(out, distro.Package{Name: rec.Name, Version: rec.Version, Arch: s.arch})
		todo = append(todo, rec.Depends...)
	}
	slices.SortFunc(out, distro.Package.Compare)
	return out, nil
}

// provider picks the package that meets a dependency: one of that name before
// others, the higher priority, the newest, the first by name.
func (s *shop) provider(want apk.Dependency) (best apk.Record, ok bool) {
	better := func(a apk.Record) bool {
		switch {
		case !ok:
			return true
		case (a.Name == want.Name) != (best.Name == want.Name):
			return a.Name == want.Name
		case a.ProviderPriority != best.ProviderPriority:
			return a.ProviderPriority > best.ProviderPriority
		case a.Name != best.Name:
			return a.Name < best.Name
		}
		return apk.Compare(a.Version, best.Version) > 0
	}
	for _, c := range s.catalog.channels {
		for _, rec := range c.index.Records {
			if !rec.Unsupported && want.Matches(rec) && better(rec) {
				best, ok = rec, true
			}
		}
	}
	return best, ok
}
