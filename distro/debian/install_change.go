package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// A manager is a package manager of the root.
type manager struct {
	name string
	// check finds out whether the files can be installed, and changes nothing.
	check func(r *runner, jobs []*job) error
	// install installs them.
	install func(r *runner, jobs []*job) error
}

// findManager chooses among what the root has.
func (s *System) findManager() (manager, error) {
	if !s.hasProgram("dpkg") {
		return manager{}, fmt.Errorf("%s has no dpkg, without which nothing can be installed into it", s.Root)
	}
	if s.hasProgram("apt-get") {
		return manager{name: "apt-get", check: aptCheck, install: aptInstall}, nil
	}
	return manager{name: "dpkg", check: dpkgCheck, install: dpkgInstall}, nil
}

func (s *System) hasProgram(name string) bool {
	_, err := s.Files.Stat("usr/bin/" + name)
	return err == nil
}

// change has the package manager check and then install the files.
func (s *System) change(ctx context.Context, tx distro.Transaction, m manager, jobs []*job, before []Status) error {
	if err := s.waitForLock(ctx); err != nil {
		return err
	}
	stage, err := stageJobs(s.Root, jobs)
	if err != nil {
		return err
	}
	defer stage.Remove()
	return s.inRoot(func(root string) error {
		r := &runner{chroot: root, dir: stage.Inside, out: tx.Output, state: before}
		known, added, err := s.architectures(jobs)
		if err != nil {
			return err
		}
		r.architectures = append(known, added...)
		if tx.DryRun {
			for _, a := range added {
				fmt.Fprintf(tx.Output, "add the architecture %s\n", a)
			}
			return m.check(r, jobs)
		}
		for _, a := range added {
			s.events.Stepping(fmt.Sprintf("adding the architecture %s to %s", a, s.Root))
			if err := r.run("dpkg", "--add-architecture", a); err != nil {
				return err
			}
		}
		if slices.ContainsFunc(before, func(st Status) bool { return !st.Installed() && !st.Absent() }) {
			s.events.Warning(fmt.Sprintf("%s has packages that an earlier run left half installed; configuring them first", s.Root))
			if err := r.run("dpkg", "--configure", "-a", "--force-confdef", "--force-confold"); err != nil {
				s.events.Warning(err.Error())
			}
		}
		if err := m.check(r, jobs); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.events.Stepping(fmt.Sprintf("installing %s with %s", distro.CountPackages(len(jobs)), m.name))
		installed := m.install(r, jobs)
		return errors.Join(installed, restoreHolds(r, before))
	})
}

// stageJobs has the files to install lie beside dpkg's database, where a
// package manager may certainly read.
func stageJobs(root string, jobs []*job) (*chroot.Stage, error) {
	stage, err := chroot.NewStage(root, "var/lib/dpkg", nil)
	if err != nil {
		return nil, err
	}
	for _, j := range jobs {
		if err := stage.Show(j.file(), j.blob); err != nil {
			stage.Remove()
			return nil, err
		}
	}
	return stage, nil
}

// architectures lists those that dpkg accepts files of, the native one first,
// and those that it must be told of to accept the jobs.
func (s *System) architectures(jobs []*job) (known, added []string, err error) {
	text, err := s.Files.ReadFile("var/lib/dpkg/arch", 1<<16)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	known = []string{s.ID().Arch}
	for _, a := range strings.Fields(string(text)) {
		if !slices.Contains(known, a) {
			known = append(known, a)
		}
	}
	for _, j := range jobs {
		if a := j.Architecture; a != "all" && !slices.Contains(known, a) && !slices.Contains(added, a) {
			added = append(added, a)
		}
	}
	return known, added, nil
}

// restoreHolds holds again what was held.
func restoreHolds(r *runner, before []Status) error {
	var selections strings.Builder
	for _, st := range before {
		if st.Held() && !st.Absent() {
			fmt.Fprintf(&selections, "%s:%s hold\n", st.Package, st.Arch)
		}
	}
	if selections.Len() == 0 {
		return nil
	}
	hold := *r
	hold.stdin = strings.NewReader(selections.String())
	return hold.run("dpkg", "--set-selections")
}

// waitForLock waits while another process has dpkg's database locked, so that
// a person learns why nothing happens.
func (s *System) waitForLock(ctx context.Context) error {
	told := false
	for {
		held, pid := false, int32(0)
		for _, name := range []string{"var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock"} {
			f, err := s.Files.Open(name)
			if err != nil {
				continue // no one has ever locked it
			}
			lock := unix.Flock_t{Type: unix.F_WRLCK}
			err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock)
			f.Close()
			if err == nil && lock.Type != unix.F_UNLCK {
				held, pid = true, lock.Pid
			}
		}
		if !held {
			return nil
		}
		if !told {
			who := "another process"
			if pid > 0 { // else it is one that we cannot see
				who = fmt.Sprintf("process %d", pid)
			}
			s.events.Warning(fmt.Sprintf("waiting for %s, which has the package database of %s locked", who, s.Root))
			told = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
