package main

import (
	"slices"

	"github.com/samebits/samebits/fetch"
	"github.com/urfave/cli/v2"
)

func (p *program) lockFetch() *cli.Command {
	return &cli.Command{
		Name:      "fetch",
		Usage:     "fetch the files of locks into the cache",
		ArgsUsage: "FILE…",
		Description: "Brings every file that the locks name into the cache, from wherever it can still be had: sources that you name, the mirrors of this system, the well-known mirrors, and archives that keep old versions. " +
			"Each file is checked against its SHA-256; a source that fails does not stop the others. What cannot be had is listed, and the exit code is 3.\n\n" +
			"Examples:\n" +
			"  samebits lock fetch SHA256SUMS\n" +
			"  samebits lock fetch --source /mnt/usb/debs --offline SHA256SUMS\n" +
			"  samebits lock fetch --source 'http://mirror.example/{{.Path}}' SHA256SUMS-amd64 SHA256SUMS-arm64",
		Flags:  sourceFlags(),
		Action: p.verb((*session).lockFetch),
	}
}

func (s *session) lockFetch() error {
	if s.Int("parallel") < 1 {
		return s.usagef("--parallel wants a number from 1 on")
	}
	names := s.Args().Slice()
	locks, err := s.readLocks(names)
	if err != nil {
		return err
	}
	var reqs []fetch.Request
	for i, l := range locks {
		s.noteMissing(names[i], l)
		reqs = slices.Concat(reqs, requests(l, l.Entries))
	}
	c, err := s.openCache()
	if err != nil {
		return err
	}
	defer c.Close()
	return s.get(c, reqs, locks, s.hostFor(locks[0]))
}
