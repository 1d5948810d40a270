package debian

import (
	"fmt"
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
	kept := map[string][]available{} // of what stays as it is
	all := map[string][]available{}
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
		if st.Absent() || replaced[st.Package+":"+st.Arch] {
			continue
		}
		for _, m := range []map[string][]available{kept, all} {
			if err := add(m, st.Package, st.Version, st.Provides); err != nil {
				return err
			}
		}
	}
	var problems []string
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

// problems tells what stands against installing the job.
func (j *job) problems(kept, all map[string][]available) ([]string, error) {
	matches := func(n Relation, m map[string][]available) string {
		for _, a := range m[n.Name] {
			if n.Operator == "" || a.version != "" && n.Accepts(a.version) {
				return a.owner
			}
		}
		return ""
	}
	var out []string
	wants, err := ParseDependencies(j.PreDepends + "," + j.Depends)
	if err != nil {
		return nil, err
	}
clauses:
	for _, clause := range wants {
		for _, n := range clause {
			if matches(n, all) != "" {
				continue clauses
			}
		}
		out = append(out, fmt.Sprintf("%s needs %s, which neither the lock nor the root has", j.key(), clauseString(clause)))
	}
	rivals, err := ParseDependencies(j.Conflicts + "," + j.Breaks)
	if err != nil {
		return nil, err
	}
	for _, clause := range rivals {
		for _, n := range clause {
			if owner := matches(n, kept); owner != "" && owner != j.Package {
				out = append(out, fmt.Sprintf("%s excludes %s, which is installed as %s; if that may go, remove it first", j.key(), n, owner))
			}
		}
	}
	return out, nil
}
