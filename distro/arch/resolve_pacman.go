package arch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
)

// packageArg is a package as pacman takes it: perhaps its repository, its name,
// and perhaps a bound on its version.
var packageArg = regexp.MustCompile(`^([A-Za-z0-9@_+][A-Za-z0-9@._+-]*/)?([A-Za-z0-9@_+][A-Za-z0-9@._+-]*)((=|>=|<=|>|<)[A-Za-z0-9._:~+-]+)?$`)

// wanted are the arguments of pacman: the named packages and the base.
func (r *resolution) wanted(s *shop) ([]string, error) {
	names := s.names()
	var out, unknown []string
	for _, p := range r.Packages {
		m := packageArg.FindStringSubmatch(p)
		if m == nil {
			return nil, distro.BadRequest("%q is no package; one is named as hello, extra/hello or hello=2.12-1", p)
		}
		if !names[m[2]] {
			unknown = append(unknown, m[2])
		}
		out = append(out, p)
	}
	if r.Base != "none" {
		if !names["base"] {
			unknown = append(unknown, "base")
		}
		out = append(out, "base")
	}
	switch {
	case len(unknown) > 0:
		return nil, &distro.UnknownPackageError{Names: unknown, Where: s.where(), Hint: "other repositories are looked at with --components"}
	case len(out) == 0:
		return nil, distro.BadRequest("nothing is asked for: name packages, or leave out --base none")
	}
	return out, nil
}

// solve asks pacman which packages it would install.
func (r *resolution) solve(ctx context.Context, s *shop, wanted []string) ([]distro.Package, error) {
	closure, err := s.closure("pacman")
	if err != nil {
		return nil, err
	}
	r.Events.Stepping(fmt.Sprintf("verifying pacman, %s", distro.CountPackages(len(closure))))
	located, err := r.locate(ctx, s, closure)
	if err != nil {
		return nil, err
	}
	if missing := located.Lock.Missing; len(missing) > 0 {
		return nil, fmt.Errorf("pacman is not used: %s, %s", missing[0].Name, located.Reasons[missing[0]])
	}
	for _, e := range located.Lock.Entries {
		if e.Unsigned {
			return nil, fmt.Errorf("pacman is not used: nobody who is trusted signed %s", e.Base())
		}
	}
	bench, err := r.Workshop.Lay(ctx, s.sys, located.Lock)
	if err != nil {
		return nil, fmt.Errorf("lay out pacman: %w", err)
	}
	packages, err := r.ask(ctx, bench, s, wanted)
	return packages, errors.Join(err, bench.Close())
}

// goalDir is where the empty system lies in the root that pacman runs in.
const goalDir = "goal"

// mark begins the lines of pacman's answer, to tell them from its other words.
const mark = "samebits-would-install"

func (r *resolution) ask(ctx context.Context, bench distro.Bench, s *shop, wanted []string) ([]distro.Package, error) {
	files := map[string][]byte{
		configFile:                      []byte(r.config("Never")), // it was judged when it was fetched
		localState + "/ALPM_DB_VERSION": []byte("9\n"),
	}
	for name, data := range s.databases {
		files[defaultDBPath+"/sync/"+name+".db"] = data
	}
	for name, data := range files {
		if err := putFile(bench, path.Join(goalDir, name), data); err != nil {
			return nil, err
		}
	}
	if err := distro.MakeDir(bench, goalDir+"/var/cache/pacman/pkg"); err != nil {
		return nil, err
	}
	r.Events.Stepping("having pacman resolve " + r.Asked(wanted))
	root := "/" + goalDir
	args := []string{
		"/usr/bin/pacman", "--root", root, "--dbpath", root + "/" + defaultDBPath, "--config", root + "/" + configFile,
		"--cachedir", root + "/var/cache/pacman/pkg", "--logfile", "/dev/null", "--arch", r.arch, "--noconfirm", "--color", "never",
		"-S", "--print", "--print-format", mark + " %r %n %v", "--",
	}
	out, err := bench.Run(ctx, distro.Step{Args: append(args, wanted...)})
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return nil, fmt.Errorf("ask the pacman of Arch: %w", err)
	case err != nil:
		return nil, fmt.Errorf("pacman finds no way to install that from %s (%w); it says:\n%s", s.where(), err, said(out))
	}
	return s.parseAnswer(string(out))
}

func putFile(t distro.Target, name string, data []byte) error {
	if err := distro.MakeDir(t, path.Dir(name)); err != nil {
		return err
	}
	return t.Put(distro.File{Path: name, Type: distro.Regular, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}, bytes.NewReader(data))
}

// parseAnswer reads what pacman would install. Each must be in the database
// that it says.
func (s *shop) parseAnswer(out string) ([]distro.Package, error) {
	var packages []distro.Package
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] != mark {
			continue
		}
		if len(words) != 4 {
			return nil, fmt.Errorf("pacman's answer cannot be read: %q", strings.TrimSpace(line))
		}
		p := s.find(words[1], words[2], words[3])
		if p == nil {
			return nil, fmt.Errorf("pacman chose %s %s of %s, which that does not have", words[2], words[3], words[1])
		}
		packages = append(packages, identity(p))
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("pacman's answer names no package:\n%s", said([]byte(out)))
	}
	slices.SortFunc(packages, distro.Package.Compare)
	return slices.Compact(packages), nil
}

// find finds a package of a repository.
func (s *shop) find(repository, name, version string) *pacman.Desc {
	for _, d := range s.catalog.databases {
		for i := range d.packages {
			if p := &d.packages[i]; d.repo.Name == repository && p.Name == name && p.Version == version {
				return p
			}
		}
	}
	return nil
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

// notToSolve are packages that pacman and its libraries depend on and that have
// no part in solving: programs, and what verifies and fetches.
var notToSolve = []string{
	"archlinux-keyring", "archlinuxarm-keyring", "pacman-mirrorlist", "pacman-mirrors", "bash", "sh", "coreutils", "gawk", "gettext", "grep",
	"sed", "findutils", "pinentry", "ca-certificates", "ca-certificates-utils", "shadow", "util-linux", "systemd", "tzdata", "iana-etc", "perl",
}

// closure lists the packages that running one takes: itself and what it depends
// on. Conflicts do not matter, since nothing else is there.
func (s *shop) closure(name string) ([]distro.Package, error) {
	var out []distro.Package
	taken := map[string]bool{}
	for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
		want := pacman.ParseDependency(todo[0])
		if slices.Contains(notToSolve, want.Name) {
			continue
		}
		p := s.provider(want)
		if p == nil {
			return nil, fmt.Errorf("%s has no %s, and without it nothing can be resolved", s.where(), want)
		}
		if taken[p.Name] || slices.Contains(notToSolve, p.Name) {
			continue
		}
		taken[p.Name] = true
		out = append(out, identity(p))
		todo = append(todo, p.Depends...)
	}
	slices.SortFunc(out, distro.Package.Compare)
	return out, nil
}

// provider picks the package that meets a dependency: one of that name before
// others, and of these the first by repository and name.
func (s *shop) provider(want pacman.Dependency) *pacman.Desc {
	var best *pacman.Desc
	for _, d := range s.catalog.databases {
		var here *pacman.Desc
		for i := range d.packages {
			p := &d.packages[i]
			if !p.Satisfies(want) {
				continue
			}
			if p.Name == want.Name {
				return p
			}
			if here == nil || p.Name < here.Name {
				here = p
			}
		}
		if best == nil {
			best = here
		}
	}
	return best
}
