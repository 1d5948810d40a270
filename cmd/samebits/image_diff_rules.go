package main

import (
	"path"
	"slices"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/imagebuild"
)

// knownCauses are the rules by which images are normalised, of all distributions:
// what one of them is about has a cause that is known.
func knownCauses() []distro.Rule {
	rules := imagebuild.CommonRules()
	for _, f := range families {
		if a, ok := f.(distro.Assembler); ok {
			rules = append(rules, a.Rules()...)
		}
	}
	return rules
}

// timesCause is of a path that differs in nothing but its time.
var timesCause = distro.Rule{Name: "times", Reason: "what was made while building has the time of that"}

// causeOf is the rule that is about a difference, if there is one.
func causeOf(rules []distro.Rule, f fileDiffers) (distro.Rule, bool) {
	if len(f.Changes) == 1 && f.Changes[0].Attribute == "time" {
		return timesCause, true
	}
	for _, r := range rules {
		for name := f.Path[1:]; name != "" && name != "."; name = path.Dir(name) {
			fits := func(pattern string) bool { return imagebuild.Match(pattern, name) }
			about := slices.ContainsFunc(r.Remove, fits) && !slices.ContainsFunc(r.Keep, fits)
			if name == f.Path[1:] && !about { // which are about files
				about = slices.ContainsFunc(r.Empty, fits) || slices.ContainsFunc(r.Edit, fits)
			}
			if about {
				return r, true
			}
		}
	}
	return distro.Rule{}, false
}

// explain names the causes of the differences that have a known one.
func explain(list []imageDifference) {
	rules := knownCauses()
	for _, d := range list {
		for i := range d.Files {
			if r, known := causeOf(rules, d.Files[i]); known {
				d.Files[i].Cause, d.Files[i].Reason = r.Name, r.Reason
			}
		}
	}
}
