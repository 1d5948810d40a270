package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

func (p *program) lockDiff() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "tell what changed between two locks",
		ArgsUsage: "OLD NEW",
		Description: "Tells in packages and versions what the second lock has and the first had not: + added, - removed, ~ changed. The exit code is 0 also where they differ, unless --exit-code is given.\n\n" +
			"Examples:\n" +
			"  samebits lock diff SHA256SUMS.old SHA256SUMS\n" +
			"  samebits lock diff --exit-code --quiet SHA256SUMS.old SHA256SUMS",
		Flags: []cli.Flag{
			jsonFlag(),
			&cli.BoolFlag{Name: "exit-code", Usage: "exit with 3 where the locks differ"},
		},
		Action: p.verb((*session).lockDiff),
	}
}

// A difference is what --json prints of one change.
type difference struct {
	Change  string `json:"change"` // added, removed, changed
	Package string `json:"package"`
	Old     string `json:"old,omitempty"` // versions
	New     string `json:"new,omitempty"`
	// Missing says that the package of the new or, where it was removed, of
	// the old lock was not located.
	Missing bool `json:"missing,omitempty"`
}

// String is the difference as a line.
func (d difference) String() string {
	text := ""
	switch d.Change {
	case "added":
		text = strings.TrimSpace("+ " + d.Package + " " + d.New)
	case "removed":
		text = strings.TrimSpace("- " + d.Package + " " + d.Old)
	default:
		text = fmt.Sprintf("~ %s %s → %s", d.Package, d.Old, d.New)
		if d.Old == d.New {
			text = fmt.Sprintf("~ %s %s, another file", d.Package, d.New)
		}
	}
	if d.Missing {
		text += " (missing)"
	}
	return text
}

func (s *session) lockDiff() error {
	before, err := s.readLock(s.Args().Get(0))
	if err != nil {
		return err
	}
	after, err := s.readLock(s.Args().Get(1))
	if err != nil {
		return err
	}
	changes := differences(before, after)
	switch {
	case s.Bool("json"):
		err = s.writeJSON(changes)
	case !s.quiet:
		err = s.writeOutput("-", []byte(list(changes)))
	}
	if err == nil && len(changes) > 0 && s.Bool("exit-code") {
		return errDiffers
	}
	return err
}

func list(changes []difference) string {
	var b strings.Builder
	for _, c := range changes {
		b.WriteString(c.String() + "\n")
	}
	return b.String()
}

// differences compares two locks package by package.
func differences(before, after *lockfile.Lock) []difference {
	out := []difference{}
	for _, c := range lockfile.Diff(before, after, packageKey) {
		d := difference{Change: "changed", Package: c.Key}
		switch {
		case c.Old == nil:
			d.Change = "added"
		case c.New == nil:
			d.Change = "removed"
		}
		if c.Old != nil {
			d.Old = describe(*c.Old).Version
		}
		if c.New != nil {
			d.New = describe(*c.New).Version
		}
		out = append(out, d)
	}
	for _, m := range after.Missing {
		if !slices.Contains(before.Missing, m) {
			out = append(out, difference{Change: "added", Package: m.Name + ":" + m.Arch, New: m.Version, Missing: true})
		}
	}
	for _, m := range before.Missing {
		if !slices.Contains(after.Missing, m) {
			out = append(out, difference{Change: "removed", Package: m.Name + ":" + m.Arch, Old: m.Version, Missing: true})
		}
	}
	slices.SortStableFunc(out, func(a, b difference) int { return strings.Compare(a.Package, b.Package) })
	return out
}
