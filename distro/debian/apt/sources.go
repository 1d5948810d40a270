package apt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/debian/deb822"
)

// maxRepositories is the most that a configuration may name.
const maxRepositories = 10_000

// An entry is one line of a .list file or one paragraph of a .sources file.
type entry struct {
	file                           string
	line                           int
	deb822                         bool
	types, uris, suites, comps     []string
	archSet, archPlus, archMinus   []string
	signedBy                       string
	trusted, allowInsecure, byHash string
	checkValidUntil, snapshot      string
}

// loadSources reads sources.list and sources.list.d into the configuration.
func (l *loader) loadSources() error {
	if name := l.Options.File("Dir::Etc::sourcelist"); name != "" {
		if err := l.readList(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	dir := l.Options.File("Dir::Etc::sourceparts")
	if dir == "" {
		return nil
	}
	names, err := parts(l.root, dir, "list", "sources")
	if err != nil {
		return err
	}
	for _, name := range names {
		read := l.readList
		if strings.HasSuffix(name, ".sources") {
			read = l.readSources
		}
		if err := read(name); err != nil {
			return err
		}
	}
	return nil
}

// readList reads a file of one-line entries.
func (l *loader) readList(name string) error {
	data, err := l.root.ReadFile(name, maxFile)
	if err != nil {
		return fmt.Errorf("read apt's sources: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		e, err := parseListLine(line)
		if err == nil && e != nil {
			e.file, e.line = l.root.Join(name), n
			err = l.add(e)
		}
		if err != nil {
			return &ParseError{l.root.Join(name), n, err}
		}
	}
	return nil
}

// parseListLine reads "deb [options] uri suite component…". It returns nil for
// lines without an entry.
func parseListLine(line string) (*entry, error) {
	line, _ = stripListComment(line)
	line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
	if line == "" {
		return nil, nil
	}
	e := &entry{}
	kind, rest, _ := strings.Cut(line, " ")
	e.types = []string{kind}
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "[") {
		end := unquotedIndex(rest, "]")
		if end < 0 {
			return nil, errors.New("the options have no closing bracket")
		}
		if err := e.listOptions(rest[1:end]); err != nil {
			return nil, err
		}
		rest = strings.TrimSpace(rest[end+1:])
	}
	var words []string
	for rest != "" {
		var w string
		var err error
		if w, rest, err = quoteWord(rest); err != nil {
			return nil, err
		}
		words = append(words, w)
	}
	if len(words) < 2 {
		return nil, errors.New("the entry wants a type, a URI and a suite")
	}
	e.uris, e.suites, e.comps = words[:1], words[1:2], words[2:]
	return e, nil
}

// stripListComment cuts a line at the first "#" that is not within quotes or
// brackets, as apt does.
func stripListComment(line string) (string, bool) {
	quoted, bracket := false, false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case c == '[' && !quoted:
			bracket = true
		case c == ']' && !quoted:
			bracket = false
		case c == '#' && !quoted && !bracket:
			return line[:i], true
		}
	}
	return line, false
}

func (e *entry) listOptions(s string) error {
	for s = strings.TrimSpace(s); s != ""; {
		word, rest, err := quoteWord(s)
		if err != nil {
			return err
		}
		s = rest
		key, value, ok := strings.Cut(word, "=")
		if !ok || key == "" || value == "" {
			return fmt.Errorf("the option %q is not of the form name=value", word)
		}
		e.option(key, value, splitComma(value))
	}
	return nil
}

// option notes one option under its name in .list files. Those that have no
// bearing on which packages there are, or who may sign, are let pass.
func (e *entry) option(key, value string, list []string) {
	switch strings.ToLower(key) {
	case "arch":
		e.archSet = list
	case "arch+":
		e.archPlus = list
	case "arch-":
		e.archMinus = list
	case "signed-by":
		e.signedBy = value
	case "trusted":
		e.trusted = value
	case "allow-insecure":
		e.allowInsecure = value
	case "by-hash":
		e.byHash = value
	case "check-valid-until":
		e.checkValidUntil = value
	case "snapshot":
		e.snapshot = value
	}
}

// readSources reads a deb822 file of entries.
func (l *loader) readSources(name string) error {
	data, err := l.root.ReadFile(name, maxFile)
	if err != nil {
		return fmt.Errorf("read apt's sources: %w", err)
	}
	paragraphs, err := deb822.Read(bytes.NewReader(data))
	var bad *deb822.Error
	if errors.As(err, &bad) {
		return &ParseError{l.root.Join(name), bad.Line, bad.Err}
	}
	if err != nil {
		return fmt.Errorf("read apt's sources: %s: %w", l.root.Join(name), err)
	}
	for _, p := range paragraphs {
		e := paragraphEntry(p)
		if e == nil {
			continue
		}
		e.file, e.line = l.root.Join(name), p.Line
		if err := l.add(e); err != nil {
			return &ParseError{e.file, e.line, err}
		}
	}
	return nil
}

// sourcesFields gives the names that options have in .sources files.
var sourcesFields = []struct{ field, option string }{
	{"Architectures", "arch"}, {"Architectures-Add", "arch+"}, {"Architectures-Remove", "arch-"},
	{"Signed-By", "signed-by"}, {"Trusted", "trusted"}, {"Allow-Insecure", "allow-insecure"},
	{"By-Hash", "by-hash"}, {"Check-Valid-Until", "check-valid-until"}, {"Snapshot", "snapshot"},
}

// paragraphEntry returns nil for a paragraph that is disabled.
func paragraphEntry(p deb822.Paragraph) *entry {
	if !parseBool(p.Get("Enabled"), true) {
		return nil
	}
	e := &entry{
		deb822: true,
		types:  strings.Fields(p.Get("Types")),
		uris:   strings.Fields(p.Get("URIs")),
		suites: strings.Fields(p.Get("Suites")),
		comps:  strings.Fields(p.Get("Components")),
	}
	for _, f := range sourcesFields {
		if v, ok := p.Lookup(f.field); ok {
			e.option(f.option, v, strings.Fields(v))
		}
	}
	return e
}

// add turns an entry into repositories, one for each type, URI and suite.
func (l *loader) add(e *entry) error {
	if len(e.types) == 0 || len(e.uris) == 0 || len(e.suites) == 0 {
		return errors.New("the entry wants a type, a URI and a suite (Types, URIs, Suites)")
	}
	for _, kind := range e.types {
		if kind != "deb" && kind != "deb-src" {
			return fmt.Errorf("unknown type %q; apt knows deb and deb-src", kind)
		}
		for _, uri := range e.uris {
			uri, err := normaliseURI(uri, l.Native())
			if err != nil {
				return err
			}
			for _, suite := range e.suites {
				if e.deb822 || strings.HasSuffix(suite, "/") { // where apt does it
					suite = strings.ReplaceAll(suite, "$(ARCH)", l.Native())
				}
				if err := checkSuite(suite, e.comps); err != nil {
					return err
				}
				r, err := l.repository(e, kind, uri, suite)
				if err != nil {
					return err
				}
				if err := l.merge(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checkSuite holds suites and components to what can be part of a path.
func checkSuite(suite string, comps []string) error {
	flat := strings.HasSuffix(suite, "/")
	switch {
	case flat && len(comps) > 0:
		return fmt.Errorf("the suite %q ends in a slash and so may not have components", suite)
	case !flat && len(comps) == 0:
		return fmt.Errorf("the suite %q wants components", suite)
	}
	for _, s := range append([]string{suite}, comps...) {
		if slices.Contains(strings.Split(s, "/"), "..") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fmt.Errorf("%q can be neither a suite nor a component", s)
		}
	}
	return nil
}
