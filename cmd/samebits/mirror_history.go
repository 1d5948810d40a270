package main

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

// askHistory looks in the history of the team mirror for what indexes do not
// name any more. The mirror has read it in signed indexes; its word is taken
// for that, as the administrator named it. Of a version that showed several
// digests none is taken. Where no mirror answers, what is missing stays so.
func (s *session) askHistory(located *distro.Located) {
	where, why := s.teamMirror()
	if where == "" || s.Bool("offline") || len(located.Lock.Missing) == 0 {
		return
	}
	r, err := s.remote("")
	if err != nil {
		s.warn("%s: %v", why, err)
		return
	}
	found := make([]*lockfile.Entry, len(located.Lock.Missing))
	var group errgroup.Group
	group.SetLimit(16)
	for i, m := range located.Lock.Missing {
		group.Go(func() error {
			seen, err := s.seenBy(r, m)
			if err == nil {
				found[i] = entryOf(seen, m, located.Lock.Entries)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		s.warn("the history of the team mirror is not used for all: %v", err)
	}
	var still []lockfile.Missing
	n := 0
	for i, m := range located.Lock.Missing {
		if found[i] == nil {
			still = append(still, m)
			continue
		}
		n++
		located.Lock.Entries = append(located.Lock.Entries, *found[i])
	}
	if n == 0 {
		return
	}
	located.Lock.Missing = still
	if err := located.Lock.Sort(); err != nil {
		s.warn("%v", err)
	}
	s.say("%s found in the history of the mirror that %s names", count(n, "package"), why)
}

// seenBy asks a mirror for a package of exactly a version.
func (s *session) seenBy(r *remoteMirror, m lockfile.Missing) ([]mirror.Seen, error) {
	var seen []mirror.Seen
	query := url.Values{"name": {m.Name}, "version": {m.Version}, "arch": {m.Arch}}
	err := r.ask(s.ctx, http.MethodGet, "history", query, nil, &seen)
	if s.ctx.Err() != nil {
		err = errors.Join(err, s.ctx.Err())
	}
	return seen, err
}

// entryOf makes an entry of what a mirror has seen of a package; nil where it
// is not told clearly. others tell the URL of an archive that is not known.
func entryOf(seen []mirror.Seen, m lockfile.Missing, others []lockfile.Entry) *lockfile.Entry {
	var e *lockfile.Entry
	for _, s := range seen {
		if s.Name != m.Name || s.Version != m.Version || s.Arch != m.Arch || s.Archive == "" || s.Digest.IsZero() || lockfile.CheckPath(s.Path) != nil {
			continue
		}
		if e != nil && e.Digest != s.Digest {
			return nil
		}
		if e != nil {
			continue // the same file in another archive, or at another path
		}
		e = &lockfile.Entry{Digest: s.Digest, Path: s.Path, Archive: lockfile.Archive{Name: s.Archive}}
		if i := slices.IndexFunc(others, func(o lockfile.Entry) bool { return o.Archive.Name == s.Archive && !o.Unsigned }); i >= 0 {
			e.Archive = others[i].Archive
		}
	}
	return e
}
