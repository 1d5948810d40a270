package debian

import (
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// FuzzResolve reads lines of "mark|name|version|arch|multi-arch|depends|breaks|provides",
// where the mark L is for a locked package, A for one that is there besides, and
// anything else for an offer. Whatever the relations are, resolving ends, loses
// no locked package, and leaves no need of a newcomer unmet.
func FuzzResolve(f *testing.F) {
	f.Add("L|a|1|amd64\n-|a|2|amd64||b | v\n-|c|1|all||a (>= 2)||v (= 1)\n")
	f.Add("L|a|1|amd64|same\nL|a|1|i386|same\n-|a|2|amd64|same\n")
	f.Add("L|a|1|amd64||x (= 1)\nL|x|1|amd64\n-|x|2|amd64||y\n-|y|1|amd64||z\nA|z|1|i386|foreign\n")
	f.Add("L|a|1:1|amd64\n-|a|2|amd64||a|a (<< 3)|a\n-|b|~|amd64||:any, (= 1)\n")
	f.Fuzz(func(t *testing.T, text string) {
		var all, locked, around []*offer
		taken := map[slot]bool{}
		for line := range strings.Lines(text) {
			fields := append(strings.Split(strings.TrimSuffix(line, "\n"), "|"), make([]string, 8)...)
			o := &offer{
				Package:   distro.Package{Name: fields[1], Version: fields[2], Arch: fields[3]},
				multiArch: fields[4], depends: fields[5], breaks: fields[6], provides: fields[7],
			}
			at := slotOf(o.Package, "amd64")
			switch {
			case (fields[0] == "L" || fields[0] == "A") && !taken[at]:
				taken[at], o.there = true, true
				if fields[0] == "L" {
					locked = append(locked, o)
				} else {
					around = append(around, o)
				}
			default:
				o.entry = lockfile.Entry{Path: "x", Digest: lockfile.DigestOf([]byte(line))}
			}
			if all = append(all, o); len(all) > 60 {
				return
			}
		}
		m := newMarket("amd64", all, nil, func(o *offer) int { return 500 })
		r := &resolver{market: m, locked: m.pick(locked), around: m.pick(around)}
		chosen, err := r.resolve()
		if err != nil {
			return
		}
		if len(chosen) < len(locked) {
			t.Fatalf("%d packages came of %d", len(chosen), len(locked))
		}
		for at, o := range r.chosen {
			if r.slot(o.Package) != at {
				t.Fatalf("%s is in the place of %v", o.Package, at)
			}
			needs, err := ParseDependencies(o.depends)
			if err != nil {
				t.Fatalf("%s was chosen: %v", o.Package, err)
			}
			for _, clause := range needs {
				if r.locked[at] != o && !r.met(r.chosen, o, clause) && !r.met(r.around, o, clause) {
					t.Fatalf("%s needs %s", o.Package, clauseString(clause))
				}
			}
		}
	})
}
