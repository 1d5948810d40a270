package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

func (p *program) cachePin() *cli.Command {
	return &cli.Command{
		Name:      "pin",
		Usage:     "keep the files of a lock in the cache, or list what is kept",
		ArgsUsage: "[NAME] [FILE]",
		Description: "Keeps what a lock names from being pruned, under a name, which is that of the file where none is given; a pin of the same name is replaced. Without arguments it lists the pins. The files need not be in the cache yet.\n\n" +
			"Examples:\n" +
			"  samebits cache pin SHA256SUMS-amd64\n" +
			"  samebits cache pin release-1.0 SHA256SUMS\n" +
			"  samebits cache pin",
		Flags:  []cli.Flag{jsonFlag(), cacheFlag()},
		Action: p.verb((*session).cachePin),
	}
}

func (p *program) cacheUnpin() *cli.Command {
	return &cli.Command{
		Name:      "unpin",
		Usage:     "let the files of a pin be pruned again",
		ArgsUsage: "NAME",
		Description: "Removes a pin. Its files stay until they are pruned.\n\n" +
			"Examples:\n" +
			"  samebits cache unpin release-1.0",
		Flags:  []cli.Flag{cacheFlag()},
		Action: p.verb((*session).cacheUnpin),
	}
}

// pinned is what --json prints of a pin.
type pinned struct {
	Name  string `json:"name"`
	Files int    `json:"files"`
	Have  int    `json:"in_cache"`
}

func (s *session) cachePin() error {
	var name, file string
	switch args := s.Args().Slice(); len(args) {
	case 0:
		return s.listPins()
	case 1:
		if args[0] == "-" {
			return s.usagef("a lock from standard input needs a NAME before it")
		}
		name, file = filepath.Base(args[0]), args[0]
	default:
		name, file = args[0], args[1]
	}
	lock, err := s.readLock(file)
	if err != nil {
		return err
	}
	c, err := s.openCache()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Pin(s.ctx, name, lock); err != nil {
		return err
	}
	have := 0
	for _, e := range lock.Entries {
		if c.Has(e.Digest) {
			have++
		}
	}
	s.say("%s pinned as %s, %d of them in the cache", count(len(lock.Entries), "file"), name, have)
	return nil
}

func (s *session) listPins() error {
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	pins, err := c.Pins()
	if err != nil {
		return err
	}
	rows := []pinned{}
	for _, p := range pins {
		row := pinned{Name: p.Name, Files: len(p.Lock.Entries)}
		for _, e := range p.Lock.Entries {
			if c.Has(e.Digest) {
				row.Have++
			}
		}
		rows = append(rows, row)
	}
	if s.Bool("json") {
		return s.writeJSON(rows)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "PIN\tFILES\tIN CACHE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%d\n", r.Name, r.Files, r.Have)
	}
	w.Flush()
	return s.writeOutput("-", []byte(b.String()))
}

func (s *session) cacheUnpin() error {
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Unpin(s.ctx, s.Args().First()); err != nil {
		return err
	}
	s.say("pin %s removed", s.Args().First())
	return nil
}
