package debian

import (
	"io"
	"slices"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// A runner runs the programs of a root.
type runner struct {
	chroot        string // "" for the system that we run in
	dir           string // working directory, as seen from within
	out           io.Writer
	stdin         io.Reader // nil for none
	architectures []string  // that dpkg knows, or will when it is told
	state         []Status  // of the root before anything changed
}

// environment is all that programs get to see. Nothing may ask.
var environment = slices.Concat(chroot.Environment, []string{
	"DEBIAN_FRONTEND=noninteractive",
	"DEBIAN_PRIORITY=critical",
	"DEBCONF_NONINTERACTIVE_SEEN=true",
	"APT_LISTCHANGES_FRONTEND=none",
})

// run runs a program of usr/bin to its end. The error has the last lines of
// what it printed.
func (r *runner) run(name string, args ...string) error {
	return chroot.Run(chroot.Program{
		Name: name, Command: slices.Concat([]string{"/usr/bin/" + name}, args),
		Chroot: r.chroot, Dir: r.dir, Env: environment, Stdin: r.stdin, Output: r.out,
	})
}
