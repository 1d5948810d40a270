package fetch

import (
	"slices"

	"github.com/samebits/samebits/lockfile"
)

// Only returns s for the entries of the given archives; with none given, s
// itself. An archive without a URL stands for every archive of its name. An
// entry of which the lock names no archive may be anywhere, and is served.
func Only(s Source, archives ...lockfile.Archive) Source {
	if len(archives) == 0 {
		return s
	}
	return only{s, archives}
}

type only struct {
	Source
	archives []lockfile.Archive
}

// Serves reports whether the entry is of one of the archives.
func (o only) Serves(e lockfile.Entry) bool {
	return o.Source.Serves(e) && (e.Archive.Name == "" || slices.ContainsFunc(o.archives, func(a lockfile.Archive) bool {
		return a.Name == e.Archive.Name && (a.URL == "" || a.URL == e.Archive.URL)
	}))
}

// Limits are those of the source.
func (o only) Limits() Limits { return LimitsOf(o.Source) }
