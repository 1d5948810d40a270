package apt

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/samebits/samebits/distro/rootfs"
)

// maxMirrors is the most mirrors that are taken from a list.
const maxMirrors = 1000

// ParseMirrorList reads the list behind a "mirror" URI: a URI on each line,
// perhaps with tab-separated words after it, of which "priority:N" orders (1
// first, none last). Lines that restrict a mirror to some kinds of files keep
// their mirror, since it may be asked at no loss. Comments begin with "#".
func ParseMirrorList(data []byte) []string {
	type mirror struct {
		uri      string
		priority uint64
	}
	var all []mirror
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || len(all) >= maxMirrors {
			continue
		}
		words := strings.Fields(line)
		uri, err := normaliseURI(words[0], "")
		if err != nil {
			continue
		}
		m := mirror{uri, 1 << 63}
		for _, w := range words[1:] {
			if p, ok := strings.CutPrefix(w, "priority:"); ok {
				if n, err := strconv.ParseUint(p, 10, 63); err == nil {
					m.priority = n
				}
			}
		}
		all = append(all, m)
	}
	slices.SortStableFunc(all, func(a, b mirror) int { return cmp.Compare(a.priority, b.priority) })
	var out []string
	for _, m := range all {
		if !slices.Contains(out, m.uri) {
			out = append(out, m.uri)
		}
	}
	return out
}

// errScheme says that a URI cannot be used; apt has methods for more of them.
var errScheme = errors.New("its method is not supported: use http, https, file, copy or a mirror list of these")

// MirrorList returns where the list of a "mirror" URI is to be had: a path
// below the root for "mirror+file:" or a URI for the others. ok is false for
// URIs that are not of mirror lists.
func MirrorList(uri string) (list string, ok bool) {
	scheme, rest := cutScheme(uri)
	rest = strings.TrimSuffix(rest, "/")
	switch scheme {
	case "mirror":
		return "http:" + rest, true
	case "mirror+http", "mirror+https":
		return strings.TrimPrefix(scheme, "mirror+") + ":" + rest, true
	case "mirror+file", "mirror+copy":
		return "file:" + rest, true
	}
	return "", false
}

// mirrorsOf returns the places behind the URI of a repository.
func mirrorsOf(root *rootfs.Root, uri string) ([]string, error) {
	if list, ok := MirrorList(uri); ok {
		path, local := strings.CutPrefix(list, "file:")
		if !local {
			return nil, nil
		}
		data, err := root.ReadFile(cleanPath(path), maxFile)
		if err != nil {
			return nil, err
		}
		out := ParseMirrorList(data)
		if len(out) == 0 {
			return nil, errors.New("its mirror list names no mirror")
		}
		return out, nil
	}
	switch scheme, _ := cutScheme(uri); scheme {
	case "http", "https", "file", "copy":
		return []string{uri}, nil
	}
	return nil, errScheme
}
