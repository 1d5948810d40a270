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
	// WasMissing says that a changed package was not located in the old lock.
	WasMissing bool `json:"was_missing,omitempty"`
}

// String is the difference as a line.
func (d difference) String() string {
	switch {
	case d.Change == "added":
		return strings.TrimSpace("+ "+d.Package+" "+d.New) + d.note()
	case d.Change == "removed":
		return strings.TrimSpace("- "+d.Package+" "+d.Old) + d.note()
	case !sameVersion(d.Old, d.New):
		return fmt.Sprintf("~ %s %s → %s%s", d.Package, d.Old, d.New, d.note())
	case d.Missing != d.WasMissing:
		return fmt.Sprintf("~ %s %s%s", d.Package, d.New, d.note())
	}
	return fmt.Sprintf("~ %s %s, another file", d.Package, d.New)
}

// note says what is missing.
func (d difference) note() string {
	switch {
	case d.Change == "changed" && d.Missing && !d.WasMissing:
		return ", missing now"
	case d.WasMissing && !d.Missing:
		return ", located now"
	case d.Missing:
		return " (missing)"
	}
	return ""
}

// sameVersion compares versions of which one may lack its epoch, as file names
// of Debian's packages do.
func sameVersion(a, b string) bool {
	_, shortA, hasA := strings.Cut(a, ":")
	_, shortB, hasB := strings.Cut(b, ":")
	return a == b || hasA && shortA == b || hasB && shortB == a
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
	out = withMissing(out, lacking(before.Missing, after.Missing), lacking(after.Missing, before.Missing))
	slices.SortStableFunc(out, func(a, b difference) int { return strings.Compare(a.Package, b.Package) })
	return out
}

// lacking lists what of these the others do not have.
func lacking(others, these []lockfile.Missing) []lockfile.Missing {
	return slices.DeleteFunc(slices.Clone(these), func(m lockfile.Missing) bool { return slices.Contains(others, m) })
}

// withMissing adds the packages that only the new lock has as missing, and
// those that only the old one has. A package that is located in one of the
// locks and missing in the other has changed.
func withMissing(out []difference, now, before []lockfile.Missing) []difference {
	for _, m := range now {
		if d := counterpart(out, "removed", m); d != nil {
			d.Change, d.New, d.Missing = "changed", m.Version, true
			continue
		}
		out = append(out, difference{Change: "added", Package: m.Name + ":" + m.Arch, New: m.Version, Missing: true})
	}
	for _, m := range before {
		if d := counterpart(out, "added", m); d != nil {
			d.Change, d.Old, d.WasMissing = "changed", m.Version, true
			continue
		}
		out = append(out, difference{Change: "removed", Package: m.Name + ":" + m.Arch, Old: m.Version, Missing: true})
	}
	return out
}

// counterpart finds what was added or removed of the package that is missing
// in the other lock, its own version first; nil where there is nothing.
func counterpart(differences []difference, change string, m lockfile.Missing) *difference {
	var found *difference
	for i := range differences {
		d := &differences[i]
		if d.Change != change || d.Package != m.Name+":"+m.Arch {
			continue
		}
		if sameVersion(d.Old+d.New, m.Version) { // it has one of the two
			return d
		}
		if found == nil {
			found = d
		}
	}
	return found
}
