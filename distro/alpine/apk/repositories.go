package apk

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// A Repository is one that a repositories file names.
type Repository struct {
	// Tag begins with "@"; it is empty for a repository that is used without
	// being asked for.
	Tag string
	// Base is a URL or an absolute path, without a slash at its end. Indexes
	// and packages lie below it.
	Base string
	// IndexName is the file name of the index: APKINDEX.tar.gz, Packages.adb,
	// or what a line of kind "ndx" says.
	IndexName string
	// Direct says that index and packages lie in Base itself, not in a
	// directory of the architecture.
	Direct bool
	// Line is the line as it stands, File and LineNo where it stands.
	Line   string
	File   string
	LineNo int
}

// Index returns the URL or path of the index.
func (r Repository) Index(arch string) string { return r.Dir(arch) + "/" + r.IndexName }

// Dir returns the URL or path of the directory of index and packages.
func (r Repository) Dir(arch string) string {
	if r.Direct {
		return r.Base
	}
	return r.Base + "/" + arch
}

const (
	indexText = "APKINDEX.tar.gz"
	indexADB  = "Packages.adb"

	maxExpanded   = 4096 // bytes of a URL after expansion
	maxComponents = 256
)

// ParseRepositories reads a repositories file; name is for errors and
// [Repository.File]. Lines are
//
//	# comment
//	[@tag] url
//	set [-default] key=value
//	[ndx|v2|v3] [@tag] url [component…]
//
// the latter two of apk 3, with ${key} in values, URLs and components. A URL
// is one with a scheme, or an absolute path. Errors tell file and line.
//
// Where several files share variables, or lines use ${APK_ARCH}, use
// [RepositoryParser].
func ParseRepositories(name string, data []byte) ([]Repository, error) {
	return NewRepositoryParser("").Parse(name, data)
}

// A RepositoryParser reads several files, in which later ones use the
// variables of the earlier ones.
type RepositoryParser struct {
	variables map[string]string
}

// NewRepositoryParser returns a parser for systems of the architecture arch,
// which may be empty if no line asks for ${APK_ARCH}.
func NewRepositoryParser(arch string) *RepositoryParser {
	p := &RepositoryParser{variables: map[string]string{}}
	if arch != "" {
		p.variables["APK_ARCH"] = arch
	}
	return p
}

// Parse reads a file as [ParseRepositories] says.
func (p *RepositoryParser) Parse(name string, data []byte) ([]Repository, error) {
	var out []Repository
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		repos, err := p.parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, n, err)
		}
		for _, r := range repos {
			r.Line, r.File, r.LineNo = line, name, n
			out = append(out, r)
		}
	}
	return out, nil
}

// parseLine reads one line, which is not empty.
func (p *RepositoryParser) parseLine(line string) ([]Repository, error) {
	words := strings.Fields(line)
	var r Repository
	kind := ""
	switch words[0] {
	case "set":
		return nil, p.set(words[1:])
	case "ndx", "v2", "v3":
		kind, words = words[0], words[1:]
	}
	if len(words) > 0 && words[0][0] == '@' {
		r.Tag, words = words[0], words[1:]
		if r.Tag == "@" {
			return nil, fmt.Errorf("the tag is empty")
		}
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("the line names no repository; it wants a URL or an absolute path")
	}
	url, err := p.expand(words[0])
	if err != nil {
		return nil, err
	}
	if !isLocation(url) {
		return nil, fmt.Errorf("%q is neither a URL nor an absolute path, nor a keyword that is known (set, ndx, v2, v3)", clip(url))
	}
	if err := r.place(kind, url); err != nil {
		return nil, err
	}
	return p.components(r, words[1:])
}

// place sets where index and packages lie.
func (r *Repository) place(kind, url string) error {
	url = strings.TrimRight(url, "/")
	if kind == "" && (strings.HasSuffix(url, ".adb") || strings.HasSuffix(url, ".tar.gz")) {
		kind = "ndx"
	}
	r.Base, r.IndexName = url, indexText
	switch kind {
	case "v3":
		r.IndexName = indexADB
	case "ndx":
		i := strings.LastIndexByte(url, '/')
		if i < 0 || path.Base(url) != url[i+1:] || strings.HasSuffix(url[:i], ":/") {
			return fmt.Errorf("%q names no index file", clip(url))
		}
		r.Base, r.IndexName, r.Direct = url[:i], url[i+1:], true
	}
	return nil
}

// components makes one repository of each, or one where there are none.
func (p *RepositoryParser) components(r Repository, words []string) ([]Repository, error) {
	if len(words) == 0 {
		return []Repository{r}, nil
	}
	if r.Direct {
		return nil, fmt.Errorf("an index file has no components (%q)", clip(strings.Join(words, " ")))
	}
	expanded, err := p.expand(strings.Join(words, " "))
	if err != nil {
		return nil, err
	}
	words = strings.Fields(expanded)
	if len(words) > maxComponents {
		return nil, fmt.Errorf("%d components, more than %d", len(words), maxComponents)
	}
	var out []Repository
	for _, w := range words {
		c := r
		c.Base = r.Base + "/" + strings.Trim(w, "/")
		out = append(out, c)
	}
	return out, nil
}

// set defines a variable.
func (p *RepositoryParser) set(words []string) error {
	fallback := false
	for len(words) > 0 && strings.HasPrefix(words[0], "-") {
		if words[0] != "-default" {
			return fmt.Errorf("%q is no option of set", clip(words[0]))
		}
		fallback, words = true, words[1:]
	}
	key, value, ok := strings.Cut(strings.Join(words, " "), "=")
	if !ok || !isVariable(key) {
		return fmt.Errorf("%q defines no variable; it wants key=value, with a key of letters, digits and _ that does not begin with APK_",
			clip(strings.Join(words, " ")))
	}
	value, err := p.expand(value)
	if err != nil {
		return err
	}
	if _, defined := p.variables[key]; !defined || !fallback {
		p.variables[key] = value
	}
	return nil
}

// expand replaces each ${key}, or ${key:n} for the first n bytes.
func (p *RepositoryParser) expand(s string) (string, error) {
	out := ""
	for {
		before, rest, found := strings.Cut(s, "${")
		out += before
		if len(out) > maxExpanded {
			return "", fmt.Errorf("the line expands to more than %d bytes", maxExpanded)
		}
		if !found {
			return out, nil
		}
		key, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("%q is not closed", clip("${"+rest))
		}
		key, length, cut := strings.Cut(key, ":")
		value, ok := p.variables[key]
		if !ok {
			return "", fmt.Errorf("the variable %q is not defined", clip(key))
		}
		if cut {
			n, err := strconv.ParseUint(length, 10, 16)
			if err != nil {
				return "", fmt.Errorf("%q is no length", clip(length))
			}
			value = value[:min(len(value), int(n))]
		}
		out += value
		s = after
	}
}

// isVariable tells whether a line may define key.
func isVariable(key string) bool {
	if key == "" || strings.HasPrefix(key, "APK_") || isDigit(key[0]) || key[0] == '_' {
		return false
	}
	for i := range len(key) {
		c := key[i]
		if !isDigit(c) && c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// isLocation tells whether s is a URL or an absolute path.
func isLocation(s string) bool {
	scheme, _, ok := strings.Cut(s, "://")
	return strings.HasPrefix(s, "/") || ok && scheme != ""
}
