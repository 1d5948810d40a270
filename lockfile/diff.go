package lockfile

import (
	"bytes"
	"cmp"
	"fmt"
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
// Entries that moved between archives and kept their digest are equal.
func Diff(before, after *Lock, key func(Entry) string) []Change {
	byKey := map[string]*Change{}
	var changes []*Change
	at := func(k string) *Change {
		c, ok := byKey[k]
		if !ok {
			c = &Change{Key: k}
			byKey[k] = c
			changes = append(changes, c)
		}
		return c
	}
	common := digests(after)
	for i := range before.Entries {
		if e := &before.Entries[i]; !common[e.Digest] {
			at(key(*e)).Old = e
		}
	}
	common = digests(before)
	for i := range after.Entries {
		if e := &after.Entries[i]; !common[e.Digest] {
			at(key(*e)).New = e
		}
	}
	out := make([]Change, len(changes))
	for i, c := range changes {
		out[i] = *c
	}
	slices.SortFunc(out, func(a, b Change) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func digests(l *Lock) map[Digest]bool {
	m := make(map[Digest]bool, len(l.Entries))
	for _, e := range l.Entries {
		m[e.Digest] = true
	}
	return m
}

// Without returns l less the files and the missing packages that old has. The
// result shares entries with l.
func (l *Lock) Without(old *Lock) *Lock {
	had := digests(old)
	out := *l
	out.Entries = slices.DeleteFunc(slices.Clone(l.Entries), func(e Entry) bool { return had[e.Digest] })
	out.Missing = slices.DeleteFunc(slices.Clone(l.Missing), func(m Missing) bool { return slices.Contains(old.Missing, m) })
	return &out
}

// Merge joins locks of one system into one. The newest date holds. Locks of
// different systems, and two digests for one path, are errors.
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
			if out.CIDs == nil {
				out.CIDs = map[Digest]string{}
			}
			// Any address will do: the bytes are checked by their digest.
			if old, ok := out.CIDs[d]; !ok || cid < old {
				out.CIDs[d] = cid
			}
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
