package main

import (
	"cmp"
	"errors"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// A place is somewhere to fetch from, before it is opened.
type place struct {
	url     string
	archive lockfile.Archive
	keeper  bool
	asked   bool // a person named it: it is told when it cannot be used
}

// places lists where to look for the files of locks, in this order: what the
// user names, the mirrors of the system's own configuration, the well-known
// mirrors, the archives' own URLs, and last those that keep everything. sys
// may be nil.
func (s *session) places(locks []*lockfile.Lock, family distro.Distro, sys distro.System) []place {
	var out []place
	for _, u := range s.userSources() {
		out = append(out, place{url: u, keeper: dated(u), asked: true})
	}
	var keepers []place
	add := func(mirrors []distro.Mirror) {
		for _, m := range mirrors {
			p := place{url: m.URL, archive: lockfile.Archive{Name: m.Archive}, keeper: m.Keeper}
			if m.Keeper {
				keepers = append(keepers, p)
			} else {
				out = append(out, p)
			}
		}
	}
	if sys != nil {
		root, err := filepath.Abs(cmp.Or(s.String("root"), "/"))
		if err != nil {
			root = "/"
		}
		add(inRoot(root, sys.Access().Mirrors))
	}
	if family != nil {
		add(family.Traits().Mirrors)
	}
	var seen []lockfile.Archive
	for _, l := range locks {
		for _, e := range l.Entries {
			if e.Archive.URL != "" && !slices.Contains(seen, e.Archive) {
				seen = append(seen, e.Archive)
				out = append(out, place{url: e.Archive.URL, archive: e.Archive})
			}
		}
	}
	if !s.Bool("no-snapshot") {
		out = append(out, keepers...)
	}
	return merge(out)
}

// userSources are the sources that the user names, on the command line first.
func (s *session) userSources() []string {
	return append(s.StringSlice("source"), strings.Fields(s.getenv("SAMEBITS_SOURCES"))...)
}

// dated reports whether a source is an archive of many times. Such places are
// asked gently, and may be searched for versions that were dropped.
func dated(url string) bool { return strings.Contains(url, "{{.Timestamp}}") }

// inRoot finds the directories that a root's configuration names where they
// are seen from outside the root.
func inRoot(root string, mirrors []distro.Mirror) []distro.Mirror {
	out := slices.Clone(mirrors)
	for i, m := range out {
		name, ok := filePath(strings.Replace(m.URL, "copy:", "file:", 1))
		if ok {
			out[i].URL = (&url.URL{Scheme: "file", Path: filepath.Join(root, filepath.Join("/", name))}).String()
		}
	}
	return out
}

// merge leaves each URL once, where it is named first. A URL that is named for
// several archives is asked for all.
func merge(places []place) []place {
	var out []place
	for _, p := range places {
		p.url = strings.TrimSuffix(p.url, "/")
		i := slices.IndexFunc(out, func(q place) bool { return q.url == p.url })
		switch {
		case i < 0:
			out = append(out, p)
		case out[i].archive != p.archive:
			out[i].archive = lockfile.Archive{}
		}
	}
	return out
}

// open makes sources of places. A place that cannot be used is a warning: the
// others may do.
func (s *session) open(places []place, client *web.Client) []fetch.Source {
	var out []fetch.Source
	names := map[string]bool{}
	for _, p := range places {
		src, err := s.openPlace(p, client)
		switch {
		case err != nil && p.asked:
			s.warn("source %s is not used: %v", p.url, err)
		case err != nil:
			s.detail("source %s is not used: %v", p.url, err)
		case src != nil && !names[src.Name()]:
			names[src.Name()] = true
			out = append(out, src)
		}
	}
	return out
}

// openPlace makes a source; nil where --offline forbids it.
func (s *session) openPlace(p place, client *web.Client) (fetch.Source, error) {
	if name, ok := filePath(p.url); ok {
		return dir.New(name, p.archive)
	}
	if !strings.Contains(p.url, "://") {
		name, err := filepath.Abs(p.url)
		if err != nil {
			return nil, err
		}
		return dir.New(name, p.archive)
	}
	if s.Bool("offline") {
		return nil, nil
	}
	src, err := web.New(client, web.Place{URL: p.url, Archive: p.archive, Keeper: p.keeper})
	if err == nil && p.keeper {
		src = s.newKeeper(p, src, &fetcher{session: s, client: client})
	}
	return src, err
}
