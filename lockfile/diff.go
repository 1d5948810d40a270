package lockfile

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// A Change is one difference between two locks: an entry that only one of
// them has, or a package that both have as different files.
type Change struct {
	Key      string // what [Diff] was told to match entries by
	Old, New *Entry // nil where the lock does not have it
}

// Diff compares two locks. Entries are matched by key, which says which
// entries are the same thing at different versions, such as a package's name
// and architecture. Changes come sorted by key; what is equal is left out.
// Entries that moved between archives and kept their digest are equal. Where
// several entries of a lock have one key, as with kernels that are installed
// side by side, they are paired in the locks' order, and none is dropped.
func Diff(before, after *Lock, key func(Entry) string) []Change {
	olds, news := changed(before, after, key), changed(after, before, key)
	keys := slices.AppendSeq(slices.Collect(maps.Keys(olds)), maps.Keys(news))
	slices.Sort(keys)
	var changes []Change
	for _, k := range slices.Compact(keys) {
		for i := range max(len(olds[k]), len(news[k])) {
			c := Change{Key: k}
			if i < len(olds[k]) {
				c.Old = olds[k][i]
			}
			if i < len(news[k]) {
				c.New = news[k][i]
			}
			changes = append(changes, c)
		}
	}
	return changes
}

// changed returns, by key, the entries of l whose digests other lacks.
func changed(l, other *Lock, key func(Entry) string) map[string][]*Entry {
	common := digests(other)
	m := map[string][]*Entry{}
	for i := range l.Entries {
		if e := &l.Entries[i]; !common[e.Digest] {
			m[key(*e)] = append(m[key(*e)], e)
		}
	}
	return m
}

func digests(l *Lock) map[Digest]bool {
	m := make(map[Digest]bool, len(l.Entries))
	for _, e := range l.Entries {
		m[e.Digest] = true
	}
	return m
}

// Without returns l less the files and the missing packages that old has, and
// less the IPFS addresses of those files. The result shares entries with l.
func (l *Lock) Without(old *Lock) *Lock {
	had := digests(old)
	out := *l
	out.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return had[e.Digest] })
	out.Missing = slices.DeleteFunc(slices.Clone(l.Missing), func(m Missing) bool { return slices.Contains(old.Missing, m) })
	out.CIDs = nil
	for d, cid := range l.CIDs {
		if !had[d] {
			out.addCID(d, cid)
		}
	}
	return &out
}

// Merge joins locks of one system into one. The newest date holds, and all
// comments are kept. Locks of different systems, and two digests for one path,
// are errors. A package that one lock calls missing stays missing, since paths
// are not understood here.
func Merge(locks ...*Lock) (*Lock, error) {
	out := &Lock{}
	for _, l := range locks {
		switch {
		case out.System.IsZero():
			out.System = l.System
		case !l.System.IsZero() && l.System != out.System:
			return nil, fmt.Errorf("the locks are of different systems: %s and %s", out.System, l.System)
		}
		if l.Date.After(out.Date) {
			out.Date = l.Date
		}
		out.Entries = append(out.Entries, l.Entries...)
		out.Missing = append(out.Missing, l.Missing...)
		out.Header = append(out.Header, l.Header...)
		out.Trailer = append(out.Trailer, l.Trailer...)
		for d, cid := range l.CIDs {
			out.addCID(d, cid)
		}
	}
	if err := out.Sort(); err != nil {
		return nil, err
	}
	return out, nil
}

// IsCanonical reports whether data is exactly what formatting its lock gives.
func IsCanonical(data []byte) bool {
	l, err := Parse("", bytes.NewReader(data))
	return err == nil && bytes.Equal(l.Format(), data)
}
