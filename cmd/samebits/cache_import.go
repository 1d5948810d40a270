package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) cacheImport() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "take files into the cache",
		ArgsUsage: "PATH…",
		Description: "Takes files into the cache: single ones, those in a *.tar, all below a directory, those of another cache of samebits or repro-get, or those of a lock in an OCI layout, DIR or DIR:TAG. They are found by their SHA-256 from then on, whatever their names.\n\n" +
			"Examples:\n" +
			"  samebits cache import /var/cache/apt/archives\n" +
			"  samebits cache import debs.tar hello_2.10-3_amd64.deb\n" +
			"  samebits cache import ./layout:web",
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
	done := cache.Imported{Entries: []lockfile.Entry{}}
	var errs []error
	for _, name := range s.Args().Slice() {
		some, err := s.importOne(c, name)
		done.Entries = append(done.Entries, some.Entries...)
		done.Added += some.Added
		done.Bytes += some.Bytes
		errs = append(errs, err)
	}
	if s.Bool("json") {
		if err := s.writeJSON(done); err != nil {
			return err
		}
	}
	s.say("%s, %s, new in the cache %s; %d had been there", count(done.Added, "file"), size(done.Bytes), c.Dir(), len(done.Entries)-done.Added)
	return errors.Join(errs...)
}

func (s *session) importOne(c *cache.Cache, name string) (cache.Imported, error) {
	dir, tag := layoutName(name)
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err == nil {
		return s.importLayout(c, dir, tag)
	}
	return c.Import(s.ctx, name)
}

// importLayout takes the files of a lock out of an OCI image layout, by the
// names that the lock has for them.
func (s *session) importLayout(c *cache.Cache, from, tag string) (cache.Imported, error) {
	var done cache.Imported
	locks, err := oci.PullLayout(s.ctx, from, tag)
	if err != nil {
		return done, err
	}
	source, err := dir.New(from)
	if err != nil {
		return done, err
	}
	var reqs []fetch.Request
	for _, l := range locks {
		reqs = append(reqs, requests(l.Lock, l.Lock.Entries)...)
	}
	planner := fetch.Planner{Sources: []fetch.Source{source}, Store: store{c}}
	report := planner.Fetch(s.ctx, reqs)
	for _, f := range report.Fetched {
		done.Added++
		done.Bytes += f.Bytes
	}
	for _, r := range reqs {
		if c.Has(r.Entry.Digest) {
			done.Entries = append(done.Entries, lockfile.Entry{Digest: r.Entry.Digest, Path: r.Entry.Path})
		}
	}
	if err := errors.Join(report.Err, s.keep(c, reqs)); err != nil {
		return done, err
	}
	for _, f := range report.Failed {
		s.line(s.paint("31", "not found:") + " " + printable(f.Error()))
	}
	if n := len(report.Failed); n > 0 {
		return done, missingf("%s of the lock not in the layout %s, or damaged there", count(n, "file"), from)
	}
	return done, nil
}
