package debian

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

// quiet are the variables by which packages ask nothing and start nothing.
var quiet = []string{
	"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true", "DEBIAN_PRIORITY=critical",
	"DEBCONF_NOWARNINGS=yes", "APT_LISTCHANGES_FRONTEND=none", "NEEDRESTART_MODE=l", "RUNLEVEL=1",
}

// An errand is a command to run in the root. Several run in one sandbox: to make
// one takes longer than many of them do.
type errand struct {
	args []string
	env  []string // besides quiet
	what string   // that fails where it fails
}

// dpkg has the root's own dpkg run at the next [assembling.flush].
func (as *assembling) dpkg(args ...string) {
	if as.Run != nil {
		args = append([]string{"/usr/bin/dpkg", "--force-confdef", "--force-confold"}, args...)
		as.errands = append(as.errands, errand{args: args, what: "configuring the packages"})
	}
}

// preinst has the scripts that want to run before their packages' files are
// there run at the next flush.
func (as *assembling) preinst(parcels []*parcel) error {
	if as.Run == nil {
		return nil
	}
	env := []string{
		"DPKG_MAINTSCRIPT_NAME=preinst", "DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1", "DPKG_ADMINDIR=/var/lib/dpkg", "DPKG_ROOT=",
		"DPKG_RUNNING_VERSION=" + as.runningVersion(),
	}
	for _, p := range parcels {
		file, ok := p.Files["preinst"]
		if !ok {
			continue
		}
		name := "var/lib/dpkg/tmp.ci/" + p.Package + "." + p.Architecture
		if err := as.write(name, 0o755, file.Content); err != nil {
			return err
		}
		as.scripts = append(as.scripts, name)
		as.errands = append(as.errands, errand{
			args: []string{"/" + name, "install"}, what: "the preinst of " + p.Package,
			env: slices.Concat(env, []string{"DPKG_MAINTSCRIPT_PACKAGE=" + p.Package, "DPKG_MAINTSCRIPT_ARCH=" + p.Architecture}),
		})
	}
	return nil
}

// flush runs what is to be run, in one sandbox.
func (as *assembling) flush(ctx context.Context) error {
	errands, scripts := as.errands, as.scripts
	as.errands, as.scripts = nil, nil
	step := distro.Step{Args: []string{"/bin/sh", "-c", shellScript(errands)}, Env: quiet}
	switch {
	case len(errands) == 0:
		return nil
	case len(errands) == 1 && len(scripts) == 0:
		step.Args = errands[0].args
	}
	if err := as.Run(ctx, step); err != nil {
		return fmt.Errorf("configure the packages: %w", err)
	}
	for _, name := range scripts {
		if err := as.Root.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// shellScript runs commands until one fails, and says which.
func shellScript(errands []errand) string {
	var b strings.Builder
	for _, c := range errands {
		for _, v := range c.env {
			name, value, _ := strings.Cut(v, "=")
			b.WriteString(name + "=" + quote(value) + " ")
		}
		for _, arg := range c.args {
			b.WriteString(quote(arg) + " ")
		}
		fmt.Fprintf(&b, "|| { c=$?; echo %s; exit $c; }\n", quote(c.what+" failed"))
	}
	return b.String()
}

// quote makes one word of the shell of any text.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// runningVersion is dpkg's own, without the revision.
func (as *assembling) runningVersion() string {
	for _, q := range as.owners {
		if q.Package == "dpkg" {
			version, _, _ := strings.Cut(q.Version, "-")
			return version
		}
	}
	return "1.0"
}
