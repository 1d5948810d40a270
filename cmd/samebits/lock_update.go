package main

import (
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockUpdate() *cli.Command {
	return &cli.Command{
		Name:      "update",
		Usage:     "lock what the indexes offer now",
		ArgsUsage: "FILE",
		Description: "Makes a lock of the newest versions of the packages of a lock, with what these need besides, by the rules of the distribution. The indexes are fetched afresh and nothing is installed. What changes is told on standard error.\n\n" +
			"Examples:\n" +
			"  samebits lock update --write SHA256SUMS\n" +
			"  samebits lock update -o SHA256SUMS.new SHA256SUMS\n" +
			"  samebits lock update --offline SHA256SUMS",
		Flags: append([]cli.Flag{
			outputFlag(),
			&cli.BoolFlag{Name: "write", Aliases: []string{"w"}, Usage: "write the new lock in place of the old"},
			rootFlag(),
			allowMissingFlag("exit with 0 also where packages are missing"),
			cacheFlag(),
		}, networkFlags()...),
		Action: p.verb((*session).lockUpdate),
	}
}

func (s *session) lockUpdate() error {
	name, output := s.Args().First(), s.String("output")
	if s.Bool("write") {
		if output != "" {
			return s.usagef("--write and --output are two places to write to")
		}
		if name == "-" {
			return s.usagef("--write wants a file, not standard input")
		}
		output = name
	}
	if err := checkOutput(output); err != nil {
		return err
	}
	lock, err := s.readLock(name)
	if err != nil {
		return err
	}
	sys, family, err := s.system()
	if err != nil {
		return err
	}
	blobs := &lateCache{session: s}
	defer blobs.close()
	req, err := s.locateRequest(family, sys, blobs)
	if err != nil {
		return err
	}
	req.Fresh = !s.Bool("offline")
	located, err := sys.Update(s.ctx, lock, req)
	if err != nil {
		return err
	}
	kept, err := keepLocked(located.Lock, lock, family)
	if err != nil {
		return err
	}
	if kept > 0 {
		s.say("%s %s in no index now, and kept as locked", count(kept, "package"), are(kept))
	}
	if err := s.writeLock(output, located.Lock); err != nil {
		return err
	}
	changes := differences(lock, located.Lock)
	for _, c := range changes {
		s.say("%s", c)
	}
	if len(changes) == 0 {
		s.say("nothing changed: %s", summary(located.Lock))
	} else {
		s.say("%s: %s", count(len(changes), "change"), summary(located.Lock))
	}
	return s.tellUnlocated(located.Lock, located)
}

// keepLocked takes the files of packages that stay at the locked version, and
// that could not be located again, from the old lock: what was locked once is
// not lost because an archive has dropped it. It returns how many there were.
func keepLocked(l, old *lockfile.Lock, family distro.Distro) (kept int, err error) {
	had := map[distro.Package]lockfile.Entry{}
	for _, e := range old.Entries {
		if p, ok := family.Describe(e.Path); ok {
			had[p] = e
		}
	}
	l.Missing = slices.DeleteFunc(l.Missing, func(m lockfile.Missing) bool {
		e, ok := had[distro.Package(m)]
		if _, version, epoch := strings.Cut(m.Version, ":"); !ok && epoch {
			// A file's name may lack the version's epoch.
			e, ok = had[distro.Package{Name: m.Name, Version: version, Arch: m.Arch}]
		}
		if !ok {
			return false
		}
		l.Entries = append(l.Entries, e)
		if cid, ok := old.CIDs[e.Digest]; ok {
			if l.CIDs == nil {
				l.CIDs = map[lockfile.Digest]string{}
			}
			l.CIDs[e.Digest] = cid
		}
		kept++
		return true
	})
	if kept > 0 && old.Date.After(l.Date) {
		l.Date = old.Date // at which a snapshot archive has them
	}
	return kept, l.Sort()
}
