package fedora

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// A runner runs the programs of a root.
type runner struct {
	chroot string   // "" for the system that we run in
	dir    string   // working directory, as seen from within
	always []string // arguments that stand before all others
	out    io.Writer
}

// run runs a program of usr/bin to its end. The error has the last lines of
// what it printed.
func (r *runner) run(name string, args ...string) error {
	err := chroot.Run(chroot.Program{
		Name: name, Command: slices.Concat([]string{"/usr/bin/" + name}, r.always, args),
		Chroot: r.chroot, Dir: r.dir, Output: r.out,
	})
	if failure, ok := errors.AsType[*chroot.Failure](err); ok {
		return explain(err, failure.Last)
	}
	return err
}

// hostHasRPM reports whether this machine can install into roots that have no
// rpm of their own.
func hostHasRPM() bool {
	_, err := os.Stat("/usr/bin/rpm")
	return err == nil
}
