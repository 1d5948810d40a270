package arch

import (
	"io"
	"slices"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// A runner runs pacman on a root.
type runner struct {
	chroot string   // "" for the system that we run in
	stage  string   // of the files to install, as pacman sees it
	args   []string // before those of an operation
	out    io.Writer
}

// environment is all that pacman and the packages' scripts get to see in a root
// that is not the running system; services are not started there.
var environment = slices.Concat(chroot.Environment, []string{"SYSTEMD_OFFLINE=1"})

// run runs pacman to its end. The error has the last lines of what it printed.
func (r *runner) run(operation ...string) error {
	env := environment
	if r.chroot == "" {
		env = chroot.Environment
	}
	return chroot.Run(chroot.Program{
		Name: "pacman", Command: slices.Concat([]string{"/" + program}, r.args, operation),
		Chroot: r.chroot, Dir: "/", Env: env, Output: r.out,
	})
}
