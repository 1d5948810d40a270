package web

import (
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/samebits/samebits/fetch"
)

// A template is a URL with fields. It is small and strict rather than a
// text/template, so that a wrong one is found before anything is fetched and
// each value is escaped as its position wants.
type template struct {
	base  *url.URL // scheme and host, and the path and query where no field is
	parts []part
	name  string
}

// A part is text as it stands, or a field.
type part struct {
	text  string
	field string
	query bool // it stands behind the question mark
}

// fields is the whole list of what may stand between the braces.
var fields = map[string]func(fetch.Request) (string, error){
	"Path":     func(r fetch.Request) (string, error) { return r.Entry.Path, nil },
	"Name":     func(r fetch.Request) (string, error) { return r.Entry.Path, nil },
	"Basename": func(r fetch.Request) (string, error) { return r.Entry.Base(), nil },
	"SHA256":   func(r fetch.Request) (string, error) { return r.Entry.Digest.String(), nil },
	"CID": func(r fetch.Request) (string, error) {
		if r.CID == "" {
			return "", fmt.Errorf("the lock has no IPFS address for the file: %w", fs.ErrNotExist)
		}
		return r.CID, nil
	},
	"Timestamp": func(r fetch.Request) (string, error) {
		if r.Time.IsZero() {
			return "", fmt.Errorf("the lock has no date to ask for: %w", fs.ErrNotExist)
		}
		return r.Time.UTC().Format("20060102T150405Z"), nil
	},
}

func fieldNames() string {
	var names []string
	for name := range fields {
		names = append(names, "{{."+name+"}}")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// parseTemplate reads a template. A URL without fields has the path appended.
func parseTemplate(raw string) (*template, *placeLogin, error) {
	origin, rest := splitOrigin(raw)
	u, login, err := parseURL(origin)
	if err != nil {
		return nil, nil, err
	}
	if !strings.Contains(rest, "{{") {
		if strings.ContainsAny(rest, "?#") {
			return nil, nil, fmt.Errorf("%s: a base URL has no query; a template with fields may: %s", shown(u), fieldNames())
		}
		rest = strings.TrimRight(rest, "/") + "/{{.Path}}"
	}
	t := &template{base: u}
	if t.parts, err = split(rest); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", shown(u), err)
	}
	t.name = t.display(raw)
	return t, login, nil
}

// splitOrigin cuts behind scheme and host. A field before that is left to be
// refused as part of a URL.
func splitOrigin(raw string) (origin, rest string) {
	from := strings.Index(raw, "://")
	if from < 0 {
		return raw, ""
	}
	from += len("://")
	if i := strings.IndexAny(raw[from:], "/?#"); i >= 0 {
		return raw[:from+i], raw[from+i:]
	}
	return raw, ""
}

func split(s string) ([]part, error) {
	var parts []part
	query := false
	for s != "" {
		text, rest, found := strings.Cut(s, "{{")
		if err := checkText(text); err != nil {
			return nil, err
		}
		if text != "" {
			parts = append(parts, part{text: text, query: query})
		}
		query = query || strings.Contains(text, "?")
		if !found {
			break
		}
		field, after, closed := strings.Cut(rest, "}}")
		if !closed {
			return nil, fmt.Errorf(`"{{" without "}}" in a template`)
		}
		name, dotted := strings.CutPrefix(strings.TrimSpace(field), ".")
		if _, known := fields[name]; !dotted || !known {
			return nil, fmt.Errorf("{{%s}} is not a field of a template; there are %s", field, fieldNames())
		}
		parts = append(parts, part{field: name, query: query})
		s = after
	}
	return parts, nil
}

// checkText refuses what cannot stand in a URL as it is.
func checkText(s string) error {
	if strings.Contains(s, "}}") {
		return fmt.Errorf(`"}}" without "{{" in a template`)
	}
	if strings.Contains(s, "#") {
		return fmt.Errorf("a fragment (#) cannot be asked for")
	}
	if _, err := url.PathUnescape(s); err != nil {
		return err
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`"<>\^{|}`+"`", s[i]) >= 0 {
			return fmt.Errorf("the character %q must be percent-encoded in a URL", s[i])
		}
	}
	return nil
}

// display is the template for people: as written, without login and values of
// a query that are not fields.
func (t *template) display(raw string) string {
	_, rest := splitOrigin(raw)
	path, query, _ := strings.Cut(strings.TrimRight(rest, "/"), "?")
	return t.base.Scheme + "://" + t.base.Host + path + shownQuery(query)
}

// expand gives the URL for a request.
func (t *template) expand(req fetch.Request) (*url.URL, error) {
	var b strings.Builder
	for _, p := range t.parts {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, err := fields[p.field](req)
		if err != nil {
			return nil, err
		}
		if p.query {
			b.WriteString(url.QueryEscape(value))
		} else {
			b.WriteString(escapePath(value))
		}
	}
	rawPath, query, _ := strings.Cut(b.String(), "?")
	path, err := url.PathUnescape(rawPath)
	if err != nil {
		return nil, fetch.Permanent(err)
	}
	u := *t.base
	u.Path, u.RawPath, u.RawQuery = path, rawPath, query
	return &u, nil
}

// escapePath encodes a path for a URL. What RFC 3986 reserves is encoded but
// for the slash and for "+", ":", "@", "=" and ",", which are harmless in a
// path: some mirrors take "%2B" for another name than "+".
func escapePath(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/+:@=,", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
