package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) cacheVerify() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "hash all files in the cache again",
		Description: "Hashes every file in the cache. A damaged one is set aside, so that it is fetched again when it is next wanted, and the exit code is 3.\n\n" +
			"Examples:\n" +
			"  samebits cache verify\n" +
			"  samebits cache verify --json",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).cacheVerify),
	}
}

func (s *session) cacheVerify() error {
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	told := time.Now()
	done, err := c.Verify(s.ctx, func(done, total int64) {
		if time.Since(told) > plainEvery {
			told = time.Now()
			s.say("%s of %s", size(done), size(total))
		}
	})
	var damaged *cache.DamagedError
	if err != nil && !errors.As(err, &damaged) {
		return err
	}
	if s.Bool("json") {
		if done.Damaged == nil {
			done.Damaged = []lockfile.Digest{}
		}
		if err := s.writeJSON(done); err != nil {
			return err
		}
	} else if !s.quiet {
		good := done.Blobs - len(done.Damaged)
		if err := s.writeOutput("-", fmt.Appendf(nil, "%s right, %d damaged, %s\n", count(good, "file"), len(done.Damaged), size(done.Bytes))); err != nil {
			return err
		}
	}
	if damaged != nil {
		return missingf("%v", err)
	}
	return nil
}
