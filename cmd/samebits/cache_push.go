package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/ipfs"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) cachePush() *cli.Command {
	var profiles []string
	for _, known := range ipfs.Profiles {
		profiles = append(profiles, known.Name)
	}
	return &cli.Command{
		Name:      "push",
		Usage:     "put the files of locks into a registry, IPFS or a bucket",
		ArgsUsage: "DEST FILE…",
		Description: "Sends the files that the locks name from the cache to DEST, where they are a --source for others, and publishes the locks with them, for \"lock pull\" to give them back. Each file is hashed before it is sent; what is there already is not sent. The addresses of the published locks are printed.\n\n" +
			"DEST is a repository of an OCI registry, with the login that docker has for it; a kubo node of IPFS; or a bucket of an S3-compatible store, with the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or in the shared credentials. Several locks become one artifact of a registry, of which \"lock pull\" chooses by the architecture.\n\n" +
			"Of large files IPFS has addresses that do not follow from their SHA-256: --write has the lock record them, which is how others find the files.\n\n" +
			"Examples:\n" +
			"  samebits cache push oci://registry.example/team/packages:web SHA256SUMS\n" +
			"  samebits cache push --write ipfs:// SHA256SUMS\n" +
			"  samebits cache push 's3://bucket/packages?endpoint=s3.example&lock=web' SHA256SUMS-amd64 SHA256SUMS-arm64",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "write", Aliases: []string{"w"}, Usage: "record IPFS addresses in the locks"},
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "write the lock with IPFS addresses to `FILE`, whole or not at all"},
			&cli.StringSliceFlag{Name: "mount", Usage: "take what the repository `REPO` of the same registry has from there; may be repeated"},
			&cli.StringFlag{Name: "profile", Value: profiles[0], Usage: "cut files for IPFS as `PROFILE` says: " + strings.Join(profiles, " or ")},
			&cli.IntFlag{Name: "parallel", Usage: "send `N` files at a time", Value: fetch.DefaultPushParallel},
			cacheFlag(),
		},
		Action: p.verb((*session).cachePush),
	}
}

func (s *session) cachePush() error {
	dest, names := s.Args().First(), s.Args().Tail()
	if err := s.checkPush(names); err != nil {
		return err
	}
	locks, err := s.readLocks(names)
	if err != nil {
		return err
	}
	if err := checkSource(dest); err != nil {
		return s.usagef("%v", err)
	}
	to, err := s.newOpener(distro.Access{}).destination(dest)
	if err != nil {
		return err
	}
	for i, l := range locks {
		s.noteMissing(names[i], l)
	}
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := s.push(c, to, locks); err != nil {
		return err
	}
	// The addresses stand in the output also where a lock cannot be written.
	err = s.writeOutput("-", []byte(strings.Join(to.published(), "\n")+"\n"))
	if to.cids == nil {
		return err
	}
	return errors.Join(err, s.recordCIDs(names, locks, to.cids()))
}

// checkPush finds what is wrong with the flags.
func (s *session) checkPush(names []string) error {
	switch output := s.String("output"); {
	case s.Int("parallel") < 1:
		return s.usagef("--parallel wants a number from 1 on")
	case output != "" && s.Bool("write"):
		return s.usagef("--write and --output are two places to write to")
	case output != "" && len(names) > 1:
		return s.usagef("--output is for one lock; --write writes each of several")
	case output == "-":
		return s.usagef("standard output has the address of the lock; give --output a file")
	}
	for _, name := range names {
		if name == "-" && s.Bool("write") {
			return s.usagef("--write wants a file, not standard input")
		}
	}
	return checkOutput(s.String("output"))
}

// push sends the files of locks to a sink, and tells how it went. What is not
// in the cache is a [*missingError], and then nothing is sent.
func (s *session) push(c *cache.Cache, to fetch.Sink, locks []*lockfile.Lock) error {
	begun := time.Now()
	sets, err := s.sets(c, locks)
	if err != nil {
		return err
	}
	bar, events := s.pushProgress(sets)
	report, err := fetch.Push(s.ctx, to, sets, fetch.Pushing{Parallel: s.Int("parallel"), Events: events})
	bar.end()
	damaged := s.tellUnsent(report.Failed)
	if damaged > 0 {
		return missingf("%s in the cache %s damaged, so nothing was published; run \"samebits lock fetch\" and push again", count(damaged, "file"), are(damaged))
	}
	if err != nil {
		return err
	}
	s.say("%s sent to %s, %s in %s; %d had been there", count(report.Sent, "file"), to.Name(), size(report.Bytes), took(time.Since(begun)), report.Present)
	return nil
}

// tellUnsent lists the files that a sink did not take, with --verbose all of
// them, and counts those whose bytes in the cache are to blame.
func (s *session) tellUnsent(failed []fetch.PushFailure) (damaged int) {
	const few = 5
	for i, f := range failed {
		if errors.As(f.Err, new(*cache.DamagedError)) {
			damaged++
		}
		if i >= few && !s.verbose {
			continue
		}
		text := f.Err.Error()
		if !strings.HasPrefix(text, f.Entry.Path) {
			text = f.Entry.Path + ": " + text
		}
		s.line(s.paint("31", "not sent:") + " " + printable(text))
	}
	if n := len(failed) - few; n > 0 && !s.verbose {
		s.line(s.paint("31", "not sent:") + fmt.Sprintf(" %d more; --verbose tells why", n))
	}
	return damaged
}

// sets pairs locks with their files in the cache.
func (s *session) sets(c *cache.Cache, locks []*lockfile.Lock) ([]fetch.Set, error) {
	missing := &cache.MissingError{Dir: c.Dir()}
	var sets []fetch.Set
	for _, l := range locks {
		set := fetch.Set{Lock: l}
		for _, e := range l.Entries {
			size, err := c.Size(e.Digest)
			switch {
			case isNotExist(err):
				missing.Entries = append(missing.Entries, e)
			case err != nil:
				return nil, err
			}
			set.Files = append(set.Files, fetch.File{Entry: e, Size: size, Open: func(ctx context.Context) (io.ReadSeekCloser, error) {
				return c.Open(ctx, e.Digest)
			}})
		}
		sets = append(sets, set)
	}
	if len(missing.Entries) > 0 {
		return nil, missingf("%s", s.notCached(missing))
	}
	return sets, nil
}

// pushProgress begins to show a push.
func (s *session) pushProgress(sets []fetch.Set) (*progress, *fetch.PushEvents) {
	sizes := map[lockfile.Digest]int64{}
	for _, set := range sets {
		for _, f := range set.Files {
			sizes[f.Entry.Digest] = f.Size
		}
	}
	bar := s.startProgress(len(sizes))
	return bar, &fetch.PushEvents{
		Bytes: func(e lockfile.Entry, n int64) {
			bar.start(e, 0, sizes[e.Digest])
			bar.arrived(e, n)
		},
		Failed: func(e lockfile.Entry, err error) { s.detail("%s: %v", e.Path, err) },
		Done:   func(e lockfile.Entry, _ bool, err error) { bar.settled(e, "", err) },
	}
}

// recordCIDs writes IPFS addresses into the locks, where the flags say so.
func (s *session) recordCIDs(names []string, locks []*lockfile.Lock, cids map[lockfile.Digest]string) error {
	output := s.String("output")
	news := 0
	for i, l := range locks {
		changed := 0
		for _, e := range l.Entries {
			cid, ok := cids[e.Digest]
			if !ok || l.CIDs[e.Digest] == cid {
				continue
			}
			if l.CIDs == nil {
				l.CIDs = map[lockfile.Digest]string{}
			}
			l.CIDs[e.Digest] = cid
			changed++
		}
		news += changed
		to := output
		if s.Bool("write") && changed > 0 {
			to = names[i]
		}
		if to == "" {
			continue
		}
		if err := s.writeLock(to, l); err != nil {
			return fmt.Errorf("record IPFS addresses: %w", err)
		}
	}
	if news > 0 && output == "" && !s.Bool("write") {
		s.warn("the IPFS addresses of %s do not follow from the hashes in the lock, so others do not find them by it; --write records them", count(news, "file"))
	}
	return nil
}
