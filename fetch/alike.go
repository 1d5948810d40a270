package fetch

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Group is failures of which the same sources said the same, in whatever
// order they were asked.
type Group struct {
	// Why is what each source said last, as in [Failure.Error] without the
	// file. The path in it, and where it differs from file to file what digests
	// and numbers it has, is replaced by "…".
	Why string
	// Failures are in the order in which they were given.
	Failures []Failure
}

// Alike groups failures by their reasons, for people to read: a network that
// is down says the same of all files. The largest group comes first.
func Alike(failed []Failure) []Group {
	type pile struct {
		said, alike []string // of the first failure
		same        bool     // all failures say the same to the letter
		failures    []Failure
	}
	piles := map[string]*pile{}
	var order []*pile
	for _, f := range failed {
		said, alike := f.said()
		key := anyOrder(alike)
		p := piles[key]
		if p == nil {
			p = &pile{said: said, alike: alike, same: true}
			piles[key] = p
			order = append(order, p)
		}
		p.same = p.same && anyOrder(said) == anyOrder(p.said)
		p.failures = append(p.failures, f)
	}
	slices.SortStableFunc(order, func(a, b *pile) int { return len(b.failures) - len(a.failures) })
	out := make([]Group, len(order))
	for i, p := range order {
		why := p.alike
		if p.same {
			why = p.said
		}
		out[i] = Group{strings.Join(why, "; "), p.failures}
	}
	return out
}

// anyOrder is the same for the same texts in any order.
func anyOrder(texts []string) string {
	return strings.Join(slices.Sorted(slices.Values(texts)), "\n")
}

// varying is what tells files, connections and byte positions apart: digests,
// CIDs and tokens, and numbers that are longer than a status.
var varying = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[0-9A-Za-z]{32,}|[0-9]{4,}`)
})

// said lists what each source said of the file last, with the path taken out,
// and the same without all that varies.
func (f *Failure) said() (said, alike []string) {
	for _, a := range f.last() {
		text := strings.ReplaceAll(a.Err.Error(), f.Entry.Path, "…")
		said = append(said, a.Source+": "+text)
		alike = append(alike, a.Source+": "+varying().ReplaceAllString(text, "…"))
	}
	if said == nil {
		said = []string{strings.TrimPrefix(f.Error(), f.Entry.Path+": ")}
		alike = said
	}
	return said, alike
}
