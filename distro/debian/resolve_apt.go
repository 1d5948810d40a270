package debian

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/debian/deb822"
)

// bases are what a system may have besides the named packages, each all that
// the one before has. The words are those of mmdebstrap's variants.
var bases = []string{"none", "essential", "required", "important", "standard"}

func (r *resolving) base() string {
	if r.Base == "" {
		return "essential"
	}
	return r.Base
}

// packageArg is a package as apt takes it: its name, and perhaps a version or a
// suite.
var packageArg = regexp.MustCompile(`^([a-z0-9][a-z0-9.+-]*)(:[a-z0-9-]+)?([=/][A-Za-z0-9.+:~_-]+)?$`)

// wanted are the arguments of apt: the named packages and those of the base.
func (r *resolving) wanted(s *shop) ([]string, error) {
	var out, unknown []string
	for _, p := range r.Packages {
		m := packageArg.FindStringSubmatch(p)
		if m == nil {
			return nil, distro.BadRequest("%q is no package; one is named as hello, hello=2.10-3 or hello/trixie-backports", p)
		}
		if m[2] != "" && m[2] != ":"+s.arch {
			return nil, distro.BadRequest("%s is of another architecture than %s; each has a lock of its own", p, s.arch)
		}
		if !s.names[m[1]] {
			unknown = append(unknown, m[1])
		} else if err := s.offers(m[1], m[3]); err != nil {
			return nil, err
		}
		out = append(out, m[1]+m[3])
	}
	if len(unknown) > 0 {
		return nil, &distro.UnknownPackageError{Names: unknown, Where: s.where(), Hint: r.elsewhere()}
	}
	base, err := s.base(slices.Index(bases, r.base()))
	if err != nil {
		return nil, err
	}
	if out = append(out, base...); len(out) == 0 {
		return nil, distro.BadRequest("nothing is asked for: name packages, or a --base")
	}
	return out, nil
}

// offers refuses what names a version or a suite that is not there, where apt
// would only say that the package is not available.
func (s *shop) offers(name, pick string) error {
	if pick == "" {
		return nil
	}
	want, isVersion := strings.CutPrefix(pick, "=")
	want = strings.TrimPrefix(want, "/")
	var versions, suites []string
	for _, x := range s.indexes {
		suites = append(suites, x.repo.Suite, x.release.Suite, x.release.Codename)
		for _, rec := range x.records {
			if rec.Name == name {
				versions = append(versions, rec.Version)
			}
		}
	}
	switch {
	case isVersion && len(versions) > 0 && !slices.Contains(versions, want):
		slices.Sort(versions)
		return &distro.UnknownPackageError{Names: []string{name + pick}, Where: s.where(), Hint: "there is " + strings.Join(slices.Compact(versions), ", ") + "; older ones come with --snapshot"}
	case !isVersion && !slices.Contains(suites, want):
		return distro.BadRequest("%s%s names a suite that is not among %s; name it with --suite too", name, pick, strings.Join(s.suites, ", "))
	}
	return nil
}

// elsewhere says where else a package may be.
func (r *resolving) elsewhere() string {
	if len(r.ResolveRequest.Components) == 0 && r.known != nil {
		return fmt.Sprintf("only %s was looked at, --components has others", strings.Join(r.components, " and "))
	}
	return ""
}

// base lists the packages of a base, by its place in bases.
func (s *shop) base(level int) ([]string, error) {
	names := map[string]bool{}
	if level >= 1 {
		for _, x := range s.indexes {
			for _, rec := range x.records {
				if rec.Essential {
					names[rec.Name] = true
				}
			}
		}
	}
	if level >= 2 {
		if err := s.ofPriority(bases[2:level+1], names); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// ofPriority adds the packages that have one of the priorities.
func (s *shop) ofPriority(priorities []string, names map[string]bool) error {
	for _, x := range s.indexes {
		f, err := os.Open(s.list(archive.Dir(x.repo.URI, x.repo.Suite) + archive.PackagesPath(x.component, x.arch)))
		if err != nil {
			return err
		}
		err = deb822.Scan(f, []string{"Package", "Priority"}, func(v [][]byte) error {
			if slices.Contains(priorities, string(v[1])) {
				names[string(v[0])] = true
			}
			return nil
		})
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// solve asks apt which packages it would install.
func (r *resolving) solve(ctx context.Context, goal, tools *shop, wanted []string) ([]distro.Package, error) {
	closure, err := tools.closure("apt", "dpkg", "base-files")
	if err != nil {
		return nil, err
	}
	located, err := tools.locate(ctx, closure)
	if err != nil {
		return nil, err
	}
	r.Events.Stepping(fmt.Sprintf("laying out apt of %s, %s", tools.where(), distro.CountPackages(len(closure))))
	bench, err := r.Workshop.Lay(ctx, tools.sys, located.Lock)
	if err != nil {
		return nil, fmt.Errorf("lay out apt: %w", err)
	}
	packages, err := r.ask(ctx, bench, goal, wanted)
	return packages, errors.Join(err, bench.Close())
}

func (r *resolving) ask(ctx context.Context, bench distro.Bench, goal *shop, wanted []string) ([]distro.Package, error) {
	r.Events.Stepping("having apt resolve " + r.Asked(wanted))
	if err := distro.CopyInto(bench, goal.root, ""); err != nil {
		return nil, err
	}
	recommends := "false"
	if r.Recommends {
		recommends = "true"
	}
	args := []string{"/usr/bin/apt-get", "-q", "-y", "--simulate", "--no-remove", "-o", "APT::Install-Recommends=" + recommends, "install", "--"}
	out, err := bench.Run(ctx, distro.Step{Args: append(args, wanted...), Env: []string{"APT_CONFIG=/etc/apt/apt.conf", "DEBIAN_FRONTEND=noninteractive"}})
	if err != nil {
		return nil, fmt.Errorf("apt finds no way to install that from %s (%w); it says:\n%s", goal.where(), err, said(out))
	}
	return parseSimulation(bytes.NewReader(out))
}

// installs is a line of "apt-get --simulate install": the package, its
// version, where it is from and its architecture.
var installs = regexp.MustCompile(`^Inst ([a-z0-9][a-z0-9.+-]*)(?::[a-z0-9-]+)? \(([^ ()]+) .*\[([a-z0-9-]+)\]\)`)

// parseSimulation reads what apt-get would install.
func parseSimulation(out io.Reader) ([]distro.Package, error) {
	data, err := io.ReadAll(io.LimitReader(out, distro.MaxPrinted))
	if err != nil {
		return nil, err
	}
	var packages []distro.Package
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, "Inst ") {
			continue
		}
		m := installs.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			return nil, fmt.Errorf("apt's answer cannot be read: %q", strings.TrimSpace(line))
		}
		packages = append(packages, distro.Package{Name: m[1], Version: m[2], Arch: m[3]})
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("apt's answer names no package:\n%s", said(data))
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
