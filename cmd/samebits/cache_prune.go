package main

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/urfave/cli/v2"
)

func (p *program) cachePrune() *cli.Command {
	return &cli.Command{
		Name:  "prune",
		Usage: "remove files from the cache",
		Description: "Removes files that were not used for long, or the longest unused ones until the cache is small enough, or all. What a pin names stays, and so does what a running samebits uses. Without any of these flags only what interrupted runs left over goes. " +
			"It tells what would go and asks; where there is no terminal to ask on, --yes must be given.\n\n" +
			"Examples:\n" +
			"  samebits cache prune --max-age 30d\n" +
			"  samebits cache prune --max-size 10G --yes\n" +
			"  samebits cache prune --all --dry-run",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "max-age", Usage: "remove what was not used for `TIME`, such as 12h or 30d"},
			&cli.StringFlag{Name: "max-size", Usage: "remove until no more than `SIZE` is there, such as 500M or 10G"},
			&cli.BoolFlag{Name: "all", Usage: "remove all that no pin names"},
			&cli.BoolFlag{Name: "dry-run", Aliases: []string{"n"}, Usage: "only tell what would go"},
			&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
			jsonFlag(), cacheFlag(),
		},
		Action: p.verb((*session).cachePrune),
	}
}

func (s *session) cachePrune() error {
	opts := cache.PruneOptions{All: s.Bool("all"), DryRun: true}
	var err error
	if v := s.String("max-age"); v != "" {
		if opts.MaxAge, err = parseAge(v); err != nil {
			return s.usagef("--max-age: %v", err)
		}
	}
	if v := s.String("max-size"); v != "" {
		if opts.MaxBytes, err = parseSize(v); err != nil {
			return s.usagef("--max-size: %v", err)
		}
	}
	c, err := s.openExistingCache()
	if err != nil {
		return err
	}
	defer c.Close()
	done, err := c.Prune(s.ctx, opts)
	if err != nil {
		return err
	}
	something := len(done.Blobs)+done.Leftovers > 0
	if something && !s.Bool("dry-run") {
		if err := s.confirmPrune(done); err != nil {
			return err
		}
		opts.DryRun = false
		if done, err = c.Prune(s.ctx, opts); err != nil {
			return err
		}
	}
	if s.Bool("json") {
		return s.writeJSON(done)
	}
	switch {
	case !something:
		s.say("nothing to remove")
	case opts.DryRun:
		s.say("%s would be removed", pruned(done))
	default:
		s.say("%s removed", pruned(done))
	}
	if done.InUse > 0 {
		s.say("%s in use by a running samebits and kept", count(done.InUse, "file"))
	}
	return nil
}

func pruned(p *cache.Pruned) string {
	text := fmt.Sprintf("%s, %s,", count(len(p.Blobs), "file"), size(p.Bytes))
	if p.Leftovers > 0 {
		text += fmt.Sprintf(" and %s of interrupted runs, %s,", count(p.Leftovers, "leftover"), size(p.LeftoverBytes))
	}
	return text
}

// confirmPrune asks whether to go on. Leftovers alone need no question.
func (s *session) confirmPrune(p *cache.Pruned) error {
	if s.Bool("yes") || len(p.Blobs) == 0 {
		return nil
	}
	in, ok := s.stdin.(*os.File)
	if !ok || !isTerminal(in) || !s.terminal {
		return fmt.Errorf("%s would be removed; give --yes to do so", pruned(p))
	}
	fmt.Fprintf(s.stderr, "%s will be removed. Go on? [y/N] ", pruned(p))
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return fmt.Errorf("nothing was removed")
	}
	return nil
}

var numberUnit = regexp.MustCompile(`^([0-9]+)([a-zA-Z]*)$`)

// parseAge reads a time such as 90m, 12h, 30d or 4w.
func parseAge(s string) (time.Duration, error) {
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}
	m := numberUnit.FindStringSubmatch(s)
	if m == nil || units[m[2]] == 0 {
		return 0, fmt.Errorf("%q is not a time such as 12h or 30d", s)
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := units[m[2]]
	if err != nil || n == 0 || n > int64(1<<62)/int64(unit) {
		return 0, fmt.Errorf("%q is not a time such as 12h or 30d", s)
	}
	return time.Duration(n) * unit, nil
}

// parseSize reads a number of bytes such as 500M or 10G, in powers of 1000.
func parseSize(s string) (int64, error) {
	units := map[string]int64{"": 1, "b": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
	m := numberUnit.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is not a size such as 500M or 10G", s)
	}
	unit := strings.ToLower(m[2])
	if len(unit) > 1 {
		unit = strings.TrimSuffix(unit, "b")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil || n == 0 || units[unit] == 0 || n > 1<<62/units[unit] {
		return 0, fmt.Errorf("%q is not a size such as 500M or 10G", s)
	}
	return n * units[unit], nil
}
