package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockInstall() *cli.Command {
	return &cli.Command{
		Name:      "install",
		Usage:     "install exactly what locks name",
		ArgsUsage: "FILE…",
		Description: "Fetches what is not yet installed at the locked version, installs it in one transaction of the system's own package manager, offline and without a question, then reads the state back and compares it with the lock. " +
			"What is installed as locked is left alone: a second run changes nothing. Several locks of one system count as one.\n\n" +
			"Examples:\n" +
			"  samebits lock install SHA256SUMS\n" +
			"  samebits lock install --dry-run SHA256SUMS\n" +
			"  samebits lock install --root /mnt/system --source /mnt/usb/debs SHA256SUMS",
		Flags: append([]cli.Flag{
			rootFlag(),
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "fetch, then only tell what would be installed"},
			allowMissingFlag("install also from a lock that has missing packages"),
		}, sourceFlags()...),
		Action: p.verb((*session).lockInstall),
	}
}

func (s *session) lockInstall() error {
	lock, err := s.lockToInstall()
	if err != nil {
		return err
	}
	sys, err := s.systemFor(lock)
	if err != nil {
		return err
	}
	blobs := &lateCache{session: s}
	defer blobs.close()
	pending, err := sys.Pending(s.ctx, lock, blobs)
	if err != nil {
		return err
	}
	if len(pending) == 0 {
		s.say("nothing to do: %s installed as locked", count(len(lock.Entries), "package"))
		return nil
	}
	if root := s.String("root"); os.Geteuid() != 0 && !s.Bool("dry-run") { // before much is fetched in vain
		return fmt.Errorf("only root can install packages into %s; run this with sudo", root)
	}
	c, err := blobs.get()
	if err != nil {
		return err
	}
	if err := s.get(c, requests(lock, pending), []*lockfile.Lock{lock}, sys); err != nil {
		return err
	}
	output := io.Writer(s.stderr)
	if s.quiet {
		output = io.Discard
	}
	tx := distro.Transaction{Lock: lock, Entries: pending, Blobs: blobs, Output: output, DryRun: s.Bool("dry-run")}
	if err := sys.Install(s.ctx, tx); err != nil {
		return err
	}
	if tx.DryRun {
		s.say("%s would be installed; nothing was changed", count(len(pending), "package"))
		return nil
	}
	return s.confirm(sys, lock, blobs, len(pending))
}

// lockToInstall reads the locks as one, and refuses one that does not describe
// its whole system.
func (s *session) lockToInstall() (*lockfile.Lock, error) {
	if s.Int("parallel") < 1 {
		return nil, s.usagef("--parallel wants a number from 1 on")
	}
	names := s.Args().Slice()
	locks, err := s.readLocks(names)
	if err != nil {
		return nil, err
	}
	for i, l := range locks {
		s.noteMissing(names[i], l)
	}
	lock, err := lockfile.Merge(locks...)
	if err != nil {
		return nil, err
	}
	if n := len(lock.Missing); n > 0 && !s.Bool("allow-missing") {
		return nil, missingf("nothing was installed, since %s in the lock %s missing; --allow-missing installs the rest", count(n, "package"), are(n))
	}
	return lock, nil
}

// confirm reads the installed state once more: all of the lock must be there.
func (s *session) confirm(sys distro.System, lock *lockfile.Lock, blobs distro.Blobs, installed int) error {
	left, err := sys.Pending(s.ctx, lock, blobs)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		state := &distro.StateError{Root: filepath.Clean(s.String("root"))}
		for _, e := range left {
			state.Differences = append(state.Differences, e.Base()+" is not installed as locked")
		}
		return state
	}
	s.say("%s installed, all %d are as locked", count(installed, "package"), len(lock.Entries))
	return nil
}
