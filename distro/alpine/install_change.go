package alpine

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// change has apk install what is planned and mends world after it.
func (s *System) change(ctx context.Context, tx distro.Transaction, p *plan) error {
	if err := s.prepareRoot(); err != nil {
		return err
	}
	stage, err := s.newStage(p)
	if err != nil {
		return err
	}
	defer stage.Remove()
	return chroot.In(s.Root, chroot.Mounts{KeepDev: true}, s.events.Warning, func(string) error {
		t, err := s.findTool(stage, p.jobs)
		if err != nil {
			return err
		}
		t.out = tx.Output
		seen := stage.Path
		if t.chroot != "" || s.Root == "/" {
			seen = stage.Inside
		}
		// A tag is an error to apk that no repository has.
		if err := stage.writeRepositories(seen, p.world); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		args := t.arguments(s.Root, path.Join(seen, "repositories"), tx.DryRun)
		if tx.DryRun {
			return t.run(append(args, p.asked...))
		}
		s.events.Stepping(fmt.Sprintf("installing %s with apk", distro.CountPackages(len(p.jobs))))
		return errors.Join(t.run(append(args, p.asked...)), s.restoreWorld(p))
	})
}

// arguments makes apk add packages from the list of repositories alone.
func (t *tool) arguments(root, repositories string, dryRun bool) []string {
	args := []string{
		"--no-network", "--no-cache", "--no-progress", "--wait", "600",
		"--allow-untrusted", // the index is ours, the files were held against the lock
		"--repositories-file", repositories,
	}
	if t.chroot == "" && root != "/" {
		args = append(args, "--root", root)
	}
	if t.atLeast("2.12") {
		args = append(args, "--no-interactive")
	}
	if dryRun {
		args = append(args, "--simulate")
	}
	return append(args, "add")
}
