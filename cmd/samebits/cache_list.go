package main

import (
	"fmt"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/samebits/samebits/cache"
	"github.com/urfave/cli/v2"
)

func (p *program) cacheList() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the files in the cache",
		Description: "Lists the files in the cache by their SHA-256, with size, day of last use, pins and name.\n\n" +
			"Examples:\n" +
			"  samebits cache list\n" +
			"  samebits cache list --json",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).cacheList),
	}
}

func (s *session) cacheList() error {
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	blobs, err := c.List(s.ctx)
	if err != nil {
		return err
	}
	if s.Bool("json") {
		if blobs == nil {
			blobs = []cache.Blob{}
		}
		return s.writeJSON(blobs)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SHA256\tSIZE\tUSED\tPINS\tNAME")
	for _, blob := range blobs {
		names := make([]string, len(blob.Names))
		for i, name := range blob.Names {
			names[i] = path.Base(name)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", blob.Digest, size(blob.Size), blob.Used.UTC().Format("2006-01-02"),
			dash(strings.Join(blob.Pins, ",")), dash(strings.Join(names, " ")))
	}
	w.Flush()
	return s.writeOutput("-", []byte(b.String()))
}
