package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild"
	"github.com/urfave/cli/v2"
)

func (p *program) imageExplain() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "tell what is normalised in an image, and why",
		ArgsUsage: "[SPEC]",
		Description: "Assembles the image as \"image build\" does, writes no output, and lists what each rule took out of it or changed, with the reason. With --rules it only lists the rules.\n\n" +
			"Examples:\n" +
			"  samebits image explain --rules\n" +
			"  samebits image explain --lock SHA256SUMS",
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "rules", Usage: "list the rules of all distributions and build nothing"},
			&cli.StringSliceFlag{Name: "lock", Usage: "assemble the packages of the lock `FILE`"},
			&cli.StringFlag{Name: "epoch", Usage: "the `TIME` of all that has none of its own"},
			&cli.BoolFlag{Name: "no-scripts", Usage: "run no script of any package"},
			noCacheFlag(),
			allowMissingFlag("build also from a lock that is missing packages"),
			jsonFlag(),
		}, sourceFlags()...),
		Action: p.verb((*session).imageExplain),
	}
}

func (s *session) imageExplain() error {
	if s.Bool("rules") {
		return s.listRules()
	}
	sp, dir, err := s.imageSpec()
	if err != nil {
		return err
	}
	if err := s.asOwner(sp); err != nil {
		return err
	}
	images, end, err := s.assemble(sp, dir)
	defer end()
	if err != nil {
		return err
	}
	applied := []imagebuild.Applied{}
	for _, img := range images {
		applied = append(applied, img.Applied...)
	}
	if s.Bool("json") {
		return s.writeJSON(applied)
	}
	return s.writeOutput("-", []byte(printable(explained(applied))))
}

// explained lists what rules did, rule by rule.
func explained(applied []imagebuild.Applied) string {
	byRule := map[string][]imagebuild.Applied{}
	for _, a := range applied {
		byRule[a.Rule] = append(byRule[a.Rule], a)
	}
	var b strings.Builder
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		list := byRule[rule]
		fmt.Fprintf(&b, "%s: %s\n", rule, list[0].Reason)
		if rule == "times" {
			fmt.Fprintf(&b, "  %s\n", count(len(list), "path"))
			continue
		}
		for _, a := range list {
			fmt.Fprintf(&b, "  %s /%s\n", a.Action, a.Path)
		}
	}
	return b.String()
}

// listedRule is what --rules --json prints of a rule.
type listedRule struct {
	Family string `json:"family"` // empty for all
	Rule   string `json:"rule"`
	Reason string `json:"reason"`
}

func (s *session) listRules() error {
	list := []listedRule{}
	for _, r := range imagebuild.CommonRules() {
		list = append(list, listedRule{"", r.Name, r.Reason})
	}
	for _, f := range families {
		if a, ok := f.(distro.Assembler); ok {
			for _, r := range a.Rules() {
				list = append(list, listedRule{f.Traits().Family, r.Name, r.Reason})
			}
		}
	}
	if s.Bool("json") {
		return s.writeJSON(list)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, l := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\n", cmp.Or(l.Family, "all"), l.Rule, l.Reason)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return s.writeOutput("-", []byte(b.String()))
}
