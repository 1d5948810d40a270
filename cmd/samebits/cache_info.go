package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

func (p *program) cacheInfo() *cli.Command {
	return &cli.Command{
		Name:  "info",
		Usage: "tell where the cache is and how much is in it",
		Description: "Tells where the cache is and sums up what is in it.\n\n" +
			"Examples:\n" +
			"  samebits cache info\n" +
			"  samebits cache info --cache /srv/samebits --json",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).cacheInfo),
	}
}

func (s *session) cacheInfo() error {
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := c.Info(s.ctx)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		return s.writeJSON(info)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Directory:  %s (format %d)\n", info.Dir, info.Format)
	fmt.Fprintf(&b, "Files:      %d, %s\n", info.Blobs, size(info.Bytes))
	fmt.Fprintf(&b, "Pinned:     %d, %s, by %s\n", info.PinnedBlobs, size(info.PinnedBytes), count(info.Pins, "pin"))
	if info.Partials > 0 {
		fmt.Fprintf(&b, "Partial:    %d, %s\n", info.Partials, size(info.PartialBytes))
	}
	if info.Damaged > 0 {
		fmt.Fprintf(&b, "Damaged:    %d, %s, set aside\n", info.Damaged, size(info.DamagedBytes))
	}
	return s.writeOutput("-", []byte(b.String()))
}
