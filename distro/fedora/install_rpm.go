package fedora

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// change has rpm check and then install the files.
func (s *System) change(ctx context.Context, tx distro.Transaction, set jobSet) error {
	own := s.hasProgram("rpm")
	if !own && !hostHasRPM() {
		return fmt.Errorf("neither %s nor this machine has rpm, without which nothing can be installed", s.Root)
	}
	// Beside rpm's database, where a package manager may certainly read.
	stage, err := chroot.NewStage(s.Root, filepath.Dir(s.place.File()), nil)
	if err != nil {
		return err
	}
	defer stage.Remove()
	for _, j := range set.all() {
		if err := stage.Show(j.file(), j.blob); err != nil {
			return err
		}
	}
	// Services are not started in another root: systemctl sees where it is.
	return chroot.In(s.Root, chroot.Mounts{}, s.events.Warning, func(root string) error {
		r := &runner{chroot: root, dir: stage.Inside, out: tx.Output, always: []string{"--dbpath", "/" + s.place.Dir}}
		if !own {
			// The host's rpm must see the files by their names on the host,
			// and keep to the form of the root's database.
			r.chroot, r.dir = "", stage.Path
			r.always = append(r.always, "--root", s.Root, "--define", "_db_backend "+s.place.Backend)
		}
		// All that is to come is checked at once: the parts may need each
		// other.
		if err := r.run("rpm", set.arguments("-U", set.all(), "--test")...); err != nil {
			return err
		}
		if tx.DryRun {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.events.Stepping(fmt.Sprintf("installing %s with rpm", distro.CountPackages(len(set.all()))))
		return set.install(r)
	})
}

// install installs the parts in turn. rpm has no way to say of one package
// that it replaces and of another that it is added. With both kinds, each part
// alone may lack what the other has, which was checked for both together.
func (set jobSet) install(r *runner) error {
	var more []string
	if len(set.replace) > 0 && len(set.add) > 0 {
		more = []string{"--nodeps"}
	}
	if len(set.replace) > 0 {
		if err := r.run("rpm", set.arguments("-U", set.replace, more...)...); err != nil {
			return err
		}
	}
	if len(set.add) > 0 {
		return r.run("rpm", set.arguments("-i", set.add, more...)...)
	}
	return nil
}

// arguments makes rpm install the files of the working directory. Signatures
// are not looked at: that the files are those of the lock was just checked by
// their hashes, and the root may not know the keys. Digests are.
func (jobSet) arguments(verb string, jobs []*job, more ...string) []string {
	args := append([]string{verb, "--oldpackage", "--replacepkgs", "--nosignature"}, more...)
	for _, j := range jobs {
		args = append(args, "./"+j.file())
	}
	return args
}

func (s *System) hasProgram(name string) bool {
	_, err := s.Files.Stat("usr/bin/" + name)
	return err == nil
}

// explain adds to an error of rpm what helps.
func explain(err error, said []string) error {
	text := strings.Join(said, "\n")
	switch {
	case strings.Contains(text, "Failed dependencies"), strings.Contains(text, "is needed by"):
		return errors.Join(err, errors.New("a requirement is in neither the lock nor the root: was the lock made for a root that has more installed? samebits lock generate without --since locks all"))
	case strings.Contains(text, "different operating system"), strings.Contains(text, "different architecture"):
		return errors.Join(err, errors.New("the lock is of another architecture than this machine"))
	}
	return err
}
