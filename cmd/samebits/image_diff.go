package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/urfave/cli/v2"
)

func (p *program) imageDiff() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "tell in what two images differ",
		ArgsUsage: "OLD NEW",
		Description: "Compares two images entry by entry, also of two formats, such as a tar archive and a disk: + added, - removed, ~ changed, with each attribute that differs. What one of the formats has no place for is not compared. " +
			"Where a rule of \"image explain --rules\" is about the path, its name stands behind: the cause is a known one. " +
			"Images of several parts are compared part by part, with what their headers say. The exit code is 0 also where they differ, unless --exit-code is given.\n\n" +
			"Examples:\n" +
			"  samebits image diff root.tar root.squashfs\n" +
			"  samebits image diff --exit-code --quiet first.raw second.raw\n" +
			"  samebits image diff --part root disk.raw disk.qcow2",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "part", Usage: "compare the part `N|NAME` of both, where they have one; may be repeated, each time further inside"},
			jsonFlag(),
			&cli.BoolFlag{Name: "exit-code", Usage: "exit with 3 where the images differ"},
		},
		Action: p.verb((*session).imageDiff),
	}
}

// imageDifference is what --json prints of a part in which two images differ.
type imageDifference struct {
	Part    []string       `json:"part"` // the labels down to it
	Changes []imageChange  `json:"changes,omitempty"`
	Files   []fileDiffers  `json:"files,omitempty"`
	Left    []string       `json:"not_compared,omitempty"`
	Summary map[string]int `json:"summary,omitempty"` // of files: added, removed, changed
	Problem string         `json:"problem,omitempty"` // why only bytes were compared
}

type imageChange struct {
	Attribute string `json:"attribute"`
	Old       string `json:"old"`
	New       string `json:"new"`
}

type fileDiffers struct {
	Path    string        `json:"path"`   // with a leading slash
	Change  string        `json:"change"` // added, removed, changed
	Changes []imageChange `json:"changes,omitempty"`
	// Cause is the name of the rule that is about the path, where there is one.
	Cause  string `json:"cause,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (s *session) imageDiff() (err error) {
	s.boundMemory()
	var parts []*inspect.Part
	for i := range 2 {
		name := s.Args().Get(i)
		file, err := inspect.Open(s.ctx, name)
		if err != nil {
			return err
		}
		defer file.Close()
		part, err := comparedPart(file.Part, s.StringSlice("part"))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		parts = append(parts, part)
	}
	found, err := inspect.DiffAll(s.ctx, parts[0], parts[1])
	if err != nil {
		return s.nameUnread(parts, err)
	}
	list := []imageDifference{}
	for _, d := range found {
		list = append(list, imageDifferenceOf(d))
	}
	explain(list)
	switch {
	case s.Bool("json"):
		err = s.writeJSON(list)
	case !s.quiet:
		err = s.writeOutput("-", []byte(printable(imageDifferences(list))))
	}
	if err == nil && len(list) > 0 && s.Bool("exit-code") {
		return errDiffers
	}
	return err
}

// nameUnread says which of the images it is whose files cannot be read.
func (s *session) nameUnread(parts []*inspect.Part, err error) error {
	for i, p := range parts {
		if files, ferr := p.Files(); ferr == nil {
			if _, terr := files.Tree(s.ctx); terr != nil && errors.Is(err, terr) {
				return fmt.Errorf("%s: %w", s.Args().Get(i), err)
			}
		}
	}
	return err
}

// comparedPart is the part that flags lead to; an image that has no parts at all
// stands for itself, so that a partition can be compared with an archive.
func comparedPart(p *inspect.Part, names []string) (*inspect.Part, error) {
	if len(p.Parts) == 0 && p.HasTree() {
		return p, nil
	}
	for _, name := range names {
		var err error
		if p, err = p.Find(name); err != nil {
			return nil, err
		}
	}
	if p.Problem != nil && len(p.Parts) == 0 && !p.HasTree() {
		return nil, p.Problem
	}
	return p, nil
}

func imageDifferenceOf(d inspect.PartDifference) imageDifference {
	changes := func(list []inspect.Change) (out []imageChange) {
		for _, c := range list {
			out = append(out, imageChange(c))
		}
		return out
	}
	out := imageDifference{Part: append([]string{}, d.Path...), Changes: changes(d.Changes)}
	if d.Problem != nil {
		out.Problem = d.Problem.Error()
	}
	if d.Files == nil {
		return out
	}
	out.Left, out.Summary = d.Files.Left, map[string]int{}
	for _, f := range d.Files.Differences {
		line := fileDiffers{Path: "/" + f.Path, Change: "changed", Changes: changes(f.Changes)}
		if c := f.Changes[0]; c.Attribute == "path" {
			line.Change, line.Changes = "removed", nil
			if c.Old == "" {
				line.Change = "added"
			}
		}
		out.Summary[line.Change]++
		out.Files = append(out.Files, line)
	}
	return out
}

// imageDifferences are the differences as lines, and at their end the causes that
// are known.
func imageDifferences(list []imageDifference) string {
	var b strings.Builder
	causes := map[string]string{}
	for _, d := range list {
		indent := ""
		if len(d.Part) > 0 {
			fmt.Fprintf(&b, "%s:\n", oneLine(strings.Join(d.Part, ": ")))
			indent = "  "
		}
		for _, c := range d.Changes {
			fmt.Fprintf(&b, "%s~ %s\n", indent, c)
		}
		if d.Problem != "" {
			fmt.Fprintf(&b, "%sthe files are not compared: %s\n", indent, d.Problem)
		}
		for _, f := range d.Files {
			b.WriteString(indent + f.String() + "\n")
			if f.Cause != "" {
				causes[f.Cause] = f.Reason
			}
		}
		if len(d.Left) > 0 && len(d.Files) > 0 {
			fmt.Fprintf(&b, "%snot compared, since one of the formats has no place for it: %s\n", indent, strings.Join(d.Left, ", "))
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(causes)) {
		fmt.Fprintf(&b, "[%s] %s\n", cause, causes[cause])
	}
	return b.String()
}

// String is the change of an attribute as a person reads it.
func (c imageChange) String() string {
	const none = "none"
	o, n := c.Old, c.New
	if c.Attribute == "sha256" && len(o) == 64 && len(n) == 64 {
		return "another content"
	}
	if o == "" {
		o = none
	}
	if n == "" {
		n = none
	}
	return oneLine(fmt.Sprintf("%s %s → %s", c.Attribute, o, n))
}

// String is the difference as a line.
func (f fileDiffers) String() string {
	mark := map[string]string{"added": "+", "removed": "-", "changed": "~"}[f.Change]
	line := mark + " " + tree.Display(strings.TrimPrefix(f.Path, "/"))
	var changes []string
	for _, c := range f.Changes {
		changes = append(changes, c.String())
	}
	line = strings.TrimSpace(line + " " + strings.Join(changes, ", "))
	if f.Cause != "" {
		line += " [" + f.Cause + "]"
	}
	return line
}
