package debian

import (
	"fmt"
	"slices"
	"strings"
)

// dpkgOptions keep dpkg from asking and let it take packages out of service
// for as long as those that break them are being replaced.
var dpkgOptions = []string{"--force-confdef", "--force-confold", "--auto-deconfigure"}

// dpkgInstall installs with dpkg alone, which unpacks in the order that it is
// told and does not look ahead: the order is ours.
func dpkgInstall(r *runner, jobs []*job) error {
	o, err := newOrder(jobs)
	if err != nil {
		return err
	}
	for _, s := range o.steps() {
		args := dpkgOptions
		if s.forced {
			args = append([]string{"--force-depends"}, args...)
		}
		args = append(append([]string{}, args...), "--unpack")
		for _, j := range s.unpack {
			args = append(args, "./"+j.file())
		}
		if err := r.run("dpkg", args...); err != nil {
			return err
		}
		if len(s.configure) == 0 {
			continue
		}
		args = append(append([]string{}, dpkgOptions...), "--configure")
		for _, j := range s.configure {
			args = append(args, dpkgName(j))
		}
		if err := r.run("dpkg", args...); err != nil {
			return err
		}
	}
	// What is left are triggers, and what was taken out of service.
	return r.run("dpkg", append(append([]string{}, dpkgOptions...), "--configure", "-a")...)
}

// dpkgName is what dpkg calls a package on its command line.
func dpkgName(j *job) string {
	if j.Architecture == "all" {
		return j.Package
	}
	return j.key()
}

// available is a package by name or by what it provides.
type available struct {
	owner, version string // version "" for an unversioned Provides
}

// dpkgCheck refuses what dpkg would find out half way: a dependency that
// neither the lock nor the root has, and a package in the root that one of the
// lock's excludes, which dpkg might remove.
func dpkgCheck(r *runner, jobs []*job) error {
	kept := map[string][]available{}   // of what stays as it is
	all := map[string][]available{}    // of what will be there
	before := map[string][]available{} // of what is there now
	add := func(m map[string][]available, name, version, provides string) error {
		m[name] = append(m[name], available{name, version})
		needs, err := ParseDependencies(provides)
		if err != nil {
			return fmt.Errorf("what %s provides: %w", name, err)
		}
		for _, clause := range needs {
			m[clause[0].Name] = append(m[clause[0].Name], available{name, clause[0].Version})
		}
		return nil
	}
	replaced := map[string]bool{}
	for _, j := range jobs {
		replaced[j.key()] = true
		if err := add(all, j.Package, j.Version, j.Provides); err != nil {
			return err
		}
	}
	for _, st := range r.state {
		if st.Absent() {
			continue
		}
		maps := []map[string][]available{before, kept, all}
		if replaced[st.Package+":"+st.Arch] {
			maps = maps[:1]
		}
		for _, m := range maps {
			if err := add(m, st.Package, st.Version, st.Provides); err != nil {
				return err
			}
		}
	}
	problems, err := losses(r.state, replaced, before, all)
	if err != nil {
		return err
	}
	for _, j := range jobs {
		found, err := j.problems(kept, all)
		if err != nil {
			return fmt.Errorf("%s: %w", j.entry.Path, err)
		}
		problems = append(problems, found...)
	}
	if len(problems) > 0 {
		return fmt.Errorf("dpkg could not install the lock:\n  %s", strings.Join(problems, "\n  "))
	}
	return nil
}

// losses tells which packages that stay would lose what they depend on.
func losses(state []Status, replaced map[string]bool, before, all map[string][]available) ([]string, error) {
	var problems []string
	for _, st := range state {
		if st.Absent() || replaced[st.Package+":"+st.Arch] {
			continue
		}
		wants, err := ParseDependencies(st.PreDepends + "," + st.Depends)
		if err != nil {
			return nil, fmt.Errorf("what %s depends on: %w", st.Package, err)
		}
		for _, clause := range wants {
			if met(clause, before) && !met(clause, all) {
				problems = append(problems, fmt.Sprintf("%s:%s %s, which is installed, would lose %s", st.Package, st.Arch, st.Version, clauseString(clause)))
			}
		}
	}
	return problems, nil
}

// match returns the package of m that answers a relation, or "".
func match(n Relation, m map[string][]available) string {
	for _, a := range m[n.Name] {
		if n.Operator == "" || a.version != "" && n.Accepts(a.version) {
			return a.owner
		}
	}
	return ""
}

// met reports whether any alternative of a clause is there.
func met(clause Dependency, m map[string][]available) bool {
	return slices.ContainsFunc(clause, func(n Relation) bool { return match(n, m) != "" })
}

// problems tells what stands against installing the job.
func (j *job) problems(kept, all map[string][]available) ([]string, error) {
	var out []string
	wants, err := ParseDependencies(j.PreDepends + "," + j.Depends)
	if err != nil {
		return nil, err
	}
	for _, clause := range wants {
		if !met(clause, all) {
			out = append(out, fmt.Sprintf("%s needs %s, which neither the lock nor the root has", j.key(), clauseString(clause)))
		}
	}
	rivals, err := ParseDependencies(j.Conflicts + "," + j.Breaks)
	if err != nil {
		return nil, err
	}
	for _, clause := range rivals {
		for _, n := range clause {
			if owner := match(n, kept); owner != "" && owner != j.Package {
				out = append(out, fmt.Sprintf("%s excludes %s, which is installed as %s; if that may go, remove it first", j.key(), n, owner))
			}
		}
	}
	return out, nil
}
