package debian

import (
	"bytes"
	"fmt"
	"strings"
)

// aptArguments makes apt install the files of the working directory and know
// of nothing else: no source, no preference, no default release. apt finds
// the order. What else the root's configuration says holds, its hooks among
// it.
func aptArguments(jobs []*job, more ...string) []string {
	args := []string{"-q", "-y", "--allow-downgrades", "--allow-change-held-packages", "--no-install-recommends"}
	for _, option := range append([]string{
		"Dir::Etc::SourceList=/dev/null",
		"Dir::Etc::SourceParts=/dev/null",
		"Dir::Etc::Preferences=/dev/null",
		"Dir::Etc::PreferencesParts=/dev/null",
		"Dir::Cache::pkgcache=",
		"Dir::Cache::srcpkgcache=",
		"APT::Default-Release=",
		"APT::Get::AutomaticRemove=false",
		"APT::Get::Show-User-Simulation-Note=false",
		"APT::Sandbox::User=root", // nothing is downloaded
		"DPkg::Lock::Timeout=600",
		"Dpkg::Use-Pty=false",
		"Dpkg::Options::=--force-confdef",
		"Dpkg::Options::=--force-confold",
	}, more...) {
		args = append(args, "-o", option)
	}
	args = append(args, "install")
	for _, j := range jobs {
		// apt takes a package for done that is at hand at the same version,
		// even where it must be unpacked again.
		if j.before != nil && j.before.NeedsReinstall && j.before.Version == j.Version {
			args = append(args, "--reinstall")
			break
		}
	}
	for _, j := range jobs {
		args = append(args, "./"+j.file())
	}
	return args
}

// aptCheck has apt simulate the installation and refuses one that would
// remove packages: the lock does not ask for that.
func aptCheck(r *runner, jobs []*job) error {
	var out bytes.Buffer
	quiet := *r
	quiet.out = &out
	options := make([]string, len(r.architectures))
	for i, a := range r.architectures {
		options[i] = "APT::Architectures::=" + a
	}
	if err := quiet.run("apt-get", append([]string{"-s"}, aptArguments(jobs, options...)...)...); err != nil {
		return err
	}
	var removed []string
	for line := range strings.Lines(out.String()) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "Remv" || f[0] == "Purg") {
			removed = append(removed, f[1])
		}
	}
	if len(removed) > 0 {
		return fmt.Errorf("to install the lock, apt would have to remove %s; if they may go, remove them first", strings.Join(removed, ", "))
	}
	return nil
}

func aptInstall(r *runner, jobs []*job) error {
	return r.run("apt-get", aptArguments(jobs, "APT::Get::Remove=false")...)
}
