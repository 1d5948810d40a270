package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// A place is somewhere to fetch from, before it is opened.
type place struct {
	url      string
	archives []lockfile.Archive // that it has; none for any
	keeper   bool
	asked    bool   // a person named it: it is told when it cannot be used
	why      string // where it is named
}

// places lists where to look for the files of locks, in this order: the team
// mirror, what the user names, the mirrors of the system's own configuration, the well-known
// mirrors, the archives' own URLs, and last those that keep everything. sys
// may be nil.
func (s *session) places(locks []*lockfile.Lock, family distro.Distro, sys distro.System) []place {
	out := append(s.mirrorPlace(), s.named()...)
	var keepers []place
	add := func(why string, mirrors []distro.Mirror) {
		for _, m := range mirrors {
			p := place{url: m.URL, archives: archivesNamed(m.Archive), keeper: m.Keeper, why: why}
			if m.Keeper {
				p.why = "keeps old versions for everyone"
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
		why := "this system's configuration"
		if root != "/" {
			why = "the configuration in " + root
		}
		add(why, inRoot(root, sys.Access().Mirrors))
	}
	if family != nil {
		add("well known", family.Traits().Mirrors)
	}
	var seen []lockfile.Archive
	for _, l := range locks {
		for _, e := range l.Entries {
			if e.Archive.URL != "" && !slices.Contains(seen, e.Archive) {
				seen = append(seen, e.Archive)
				out = append(out, place{url: e.Archive.URL, archives: []lockfile.Archive{e.Archive}, why: "the lock"})
			}
		}
	}
	if !s.Bool("no-snapshot") {
		out = append(out, keepers...)
	}
	return merge(out)
}

// named lists the places that the user and the administrator name: those of
// the command line, of the environment, of the user's and of the system's
// configuration file.
func (s *session) named() []place {
	var out []place
	add := func(why string, urls ...string) {
		for _, u := range urls {
			out = append(out, place{url: u, keeper: dated(u), asked: true, why: why})
		}
	}
	add("--source", s.StringSlice("source")...)
	add("SAMEBITS_SOURCES", strings.Fields(s.getenv("SAMEBITS_SOURCES"))...)
	for _, c := range s.configs {
		for _, named := range c.Sources {
			add(fmt.Sprintf("%s:%d", c.file, named.line), named.URL)
			p := &out[len(out)-1]
			p.archives = archivesNamed(named.Archive)
			p.keeper = p.keeper || named.Keeper
		}
	}
	return out
}

// userSources are the URLs of what named lists.
func (s *session) userSources() []string {
	var urls []string
	for _, p := range s.named() {
		urls = append(urls, p.url)
	}
	return urls
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

// archivesNamed is the list of one archive, or of none where name is empty.
func archivesNamed(name string) []lockfile.Archive {
	if name == "" {
		return nil
	}
	return []lockfile.Archive{{Name: name}}
}

// merge leaves each URL once, where it is named first, for all the archives
// that it is named for.
func merge(places []place) []place {
	var out []place
	for _, p := range places {
		p.url = withoutSlash(p.url)
		i := slices.IndexFunc(out, func(q place) bool { return q.url == p.url })
		switch {
		case i < 0:
			out = append(out, p)
		case len(p.archives) == 0:
			out[i].archives = nil
		case len(out[i].archives) > 0:
			out[i].archives = append(slices.Clip(out[i].archives), p.archives...)
		}
	}
	return out
}

// withoutSlash is a URL or directory without a slash at its end, but for one
// that is all there is, or that ends a scheme, as in "ipfs://".
func withoutSlash(url string) string {
	if url == "/" || strings.HasSuffix(url, "://") {
		return url
	}
	return strings.TrimSuffix(url, "/")
}

// checkNamed says what is wrong with the sources of the command line and the
// environment, whatever else could be asked. Those of configuration files were
// checked when they were read.
func (s *session) checkNamed() error {
	for _, p := range s.named() {
		if err := checkSource(p.url); err != nil {
			return s.usagef("%s: %v", p.why, err)
		}
	}
	return nil
}

// checkSource finds a source that names no place, which is most often one with
// an unset variable in it. It must not be taken for a directory.
func checkSource(rawURL string) error {
	if rawURL == "" {
		return errors.New("the address is empty, as when a variable is not set")
	}
	scheme, what := schemeOf(rawURL), "host"
	switch scheme {
	case "", "ipfs": // an IPFS node without a host is that of this machine
		return nil
	case "file":
		if strings.Contains(strings.TrimPrefix(strings.TrimPrefix(rawURL, "file:"), "//"), "/") {
			return nil
		}
		what = "path"
	case "s3", "s3+http":
		what = "bucket"
	}
	_, host, _ := strings.Cut(withoutLogin(rawURL), "://")
	if i := strings.IndexAny(host, ":/?#"); i >= 0 {
		host = host[:i]
	}
	if host != "" && what != "path" {
		return nil
	}
	return fmt.Errorf("the URL %s has no %s, as when a variable in it is not set", withoutLogin(rawURL), what)
}

// An openedPlace is a place with the source that it is, or why it is none.
type openedPlace struct {
	place
	source fetch.Source // nil where err is not
	err    error
}

// openAll makes sources of places, of each source one.
func (o *opener) openAll(places []place) []openedPlace {
	var out []openedPlace
	names := map[string]bool{}
	for _, p := range places {
		src, err := o.open(p)
		if err == nil {
			if names[src.Name()] {
				continue
			}
			names[src.Name()] = true
		}
		out = append(out, openedPlace{p, src, err})
	}
	return out
}

// open makes sources of places. A place that cannot be used is a warning: the
// others may do.
func (s *session) open(places []place, access distro.Access) []fetch.Source {
	var out []fetch.Source
	for _, p := range s.newOpener(access).openAll(places) {
		switch {
		case p.err == nil:
			out = append(out, p.source)
		case p.asked && !errors.Is(p.err, errOffline):
			s.warn("source %s is not used: %v", withoutLogin(p.url), p.err)
		default:
			s.detail("source %s is not used: %v", withoutLogin(p.url), p.err)
		}
	}
	return out
}

// withoutLogin is a URL for people: without a login, and without the values of
// a query, which may be keys as well.
func withoutLogin(rawURL string) string {
	scheme, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return rawURL
	}
	host, after := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		host, after = rest[:i], rest[i:]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if before, _, query := strings.Cut(after, "?"); query {
		after = before + "?…"
	}
	return scheme + "://" + host + after
}
