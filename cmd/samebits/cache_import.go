package main

import (
	"github.com/urfave/cli/v2"
)

func (p *program) cacheImport() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "take files into the cache",
		ArgsUsage: "PATH…",
		Description: "Takes files into the cache: single ones, those in a *.tar, all below a directory, or those of another cache of samebits or repro-get. They are found by their SHA-256 from then on, whatever their names.\n\n" +
			"Examples:\n" +
			"  samebits cache import /var/cache/apt/archives\n" +
			"  samebits cache import debs.tar hello_2.10-3_amd64.deb",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).cacheImport),
	}
}

func (s *session) cacheImport() error {
	c, err := s.openCache()
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Import(s.ctx, s.Args().Slice()...)
	if s.Bool("json") {
		if err := s.writeJSON(done); err != nil {
			return err
		}
	}
	s.say("%s, %s, new in the cache %s; %d had been there", count(done.Added, "file"), size(done.Bytes), c.Dir(), len(done.Entries)-done.Added)
	return err
}
