package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits on what a lock may hold, in bytes. They are far above any real system
// and keep a hostile file from exhausting memory.
const (
	maxFile = 32 << 20
	maxLine = 16 << 10 // less the line end
	maxPath = 4096
)

const (
	versionPrefix = "# samebits lock v"
	versionLine   = versionPrefix + "1"
)

// A ParseError says where a lock cannot be read, and why.
type ParseError struct {
	File string // as given to Parse
	Line int    // from 1
	Err  error
}

// Error has the form "file:line: reason".
func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the reason.
func (e *ParseError) Unwrap() error { return e.Err }

// Parse reads a lock. It accepts, besides the canonical form, what other tools
// write: entries in any order, repeated lines, the binary mark "*" and the
// "./" of sha256sum, and the "/ipfs/<cid>" lines of repro-get. What is
// ambiguous or damaged is a [*ParseError] that begins with file and line;
// file is used for nothing else.
func Parse(file string, r io.Reader) (*Lock, error) {
	// A failed read must not pass for a damaged line, so all is read first.
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	fail := func(line int, err error) (*Lock, error) {
		return nil, &ParseError{File: file, Line: line, Err: err}
	}
	if len(data) > maxFile {
		return fail(1+bytes.Count(data, []byte("\n")), fmt.Errorf("the file is larger than %d MiB; is this a lock file?", maxFile>>20))
	}
	p := parser{lock: &Lock{}, byPath: map[string]placed{}}
	for text := string(data); text != ""; {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		p.line++
		if err := p.parseLine(line); err != nil {
			return fail(p.line, err)
		}
	}
	if !p.versioned && len(p.lock.Entries) == 0 {
		return fail(max(p.line, 1), errors.New("the file has neither an entry nor the line "+versionLine+"; is this a lock file?"))
	}
	p.lock.Trailer = p.comments
	if err := p.lock.Sort(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return p.lock, nil
}

// placed remembers where a path was first given its digest.
type placed struct {
	digest Digest
	line   int
}

type parser struct {
	lock      *Lock
	line      int
	versioned bool // the file says of itself that it is a lock
	byPath    map[string]placed
	archive   Archive
	unsigned  bool
	inHeader  bool     // a directive or an entry has been seen
	inBody    bool     // an archive or unsigned directive or an entry has been seen
	comments  []string // not yet attached to anything
}

func (p *parser) parseLine(s string) error {
	if err := checkLine(s); err != nil {
		return err
	}
	switch {
	case strings.Trim(s, " \t") == "":
		return nil
	case strings.HasPrefix(s, "#:"):
		if !p.inBody {
			p.closeHeader()
		}
		return p.directive(strings.FieldsFunc(s[2:], isBlank))
	case isVersion(s):
		return p.version(s)
	case strings.HasPrefix(s, "#"):
		p.comments = append(p.comments, s)
		return nil
	}
	return p.entry(s)
}

// closeHeader moves the comments read so far to the head of the file. The
// comments between the directives of the head go there too.
func (p *parser) closeHeader() {
	p.inHeader = true
	p.lock.Header = append(p.lock.Header, p.comments...)
	p.comments = nil
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

// isVersion reports whether a comment is a version line, known or not.
func isVersion(s string) bool {
	v, ok := strings.CutPrefix(s, versionPrefix)
	return ok && v != "" && '0' <= v[0] && v[0] <= '9'
}

func (p *parser) version(s string) error {
	if s != versionLine {
		return fmt.Errorf("%q is a lock format that this version of samebits does not know; a newer samebits may", s)
	}
	if p.line != 1 {
		// The groups of one file would go on into the next.
		return fmt.Errorf("%q is not on the first line; two locks in one file must be merged, not appended", s)
	}
	p.versioned = true
	return nil
}

// checkLine refuses what would make a line look different from what it says.
func checkLine(s string) error {
	isComment := strings.HasPrefix(s, "#")
	switch {
	case len(s) > maxLine:
		return fmt.Errorf("the line is longer than %d bytes", maxLine)
	case strings.HasPrefix(s, "\ufeff"):
		return errors.New("a byte order mark begins the line; save the file as UTF-8 without one")
	case !utf8.ValidString(s):
		return errors.New("the line is not UTF-8 text; is this a lock file?")
	case strings.HasSuffix(s, "\r"):
		return errors.New("carriage return at the end of the line; the file must have Unix line ends (LF)")
	}
	for _, r := range s {
		if r == '\t' && (isComment || strings.Trim(s, " \t") == "") {
			continue
		}
		if isDeceptive(r) || (!unicode.IsPrint(r) && (!isComment || strings.HasPrefix(s, "#:"))) {
			return fmt.Errorf("the invisible character %U in the line", r)
		}
	}
	return nil
}

// isDeceptive reports whether a character has no place even in a comment:
// controls, line ends other than LF, and what reverses the order of reading.
func isDeceptive(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

func (p *parser) directive(words []string) error {
	if len(words) == 0 {
		return errors.New(`"#:" begins a directive, but none follows`)
	}
	name, args := words[0], words[1:]
	d, ok := directives[name]
	if !ok {
		return fmt.Errorf("unknown directive %q; a newer samebits may know it", name)
	}
	if len(args) < d.min || len(args) > d.max {
		return fmt.Errorf("directive %q wants %s", name, d.usage)
	}
	return d.apply(p, args)
}

// directives is the whole list of what may follow "#:".
var directives = map[string]struct {
	min, max int
	usage    string
	apply    func(p *parser, args []string) error
}{
	"distro":   {3, 3, "a distribution, its version and an architecture", (*parser).setSystem},
	"date":     {1, 1, "a time such as 2026-11-15T09:12:33Z", (*parser).setDate},
	"archive":  {1, 2, "a name and perhaps a URL", (*parser).setArchive},
	"unsigned": {0, 0, "nothing after it", (*parser).setUnsigned},
	"missing":  {3, 3, "a package's name, version and architecture", (*parser).addMissing},
	"cid":      {2, 2, "a SHA-256 and an IPFS address", (*parser).addCIDDirective},
}

func (p *parser) setSystem(args []string) error {
	s := System{Distro: args[0], Version: args[1], Arch: args[2]}
	if !p.lock.System.IsZero() && p.lock.System != s {
		return fmt.Errorf("two systems in one lock: %s and %s", p.lock.System, s)
	}
	p.lock.System = s
	return nil
}

func (p *parser) setDate(args []string) error {
	t, err := time.Parse(dateLayout, args[0])
	// Parsing forgives fractions of a second and missing zeros; we do not.
	if err != nil || t.IsZero() || formatDate(t) != args[0] {
		return fmt.Errorf("%q is not a time in UTC such as 2026-11-15T09:12:33Z", args[0])
	}
	if !p.lock.Date.IsZero() && !p.lock.Date.Equal(t) {
		return fmt.Errorf("two dates in one lock: %s and %s", formatDate(p.lock.Date), args[0])
	}
	p.lock.Date = t
	return nil
}

func (p *parser) setArchive(args []string) error {
	p.inBody = true
	p.archive = Archive{Name: args[0]}
	if len(args) == 2 {
		if u, err := url.Parse(args[1]); err != nil || !u.IsAbs() {
			return fmt.Errorf("%q is not a URL such as https://example.org/debian", args[1])
		}
		p.archive.URL = args[1]
	}
	p.unsigned = false
	return nil
}

func (p *parser) setUnsigned([]string) error {
	p.inBody = true
	p.unsigned = true
	return nil
}

func (p *parser) addMissing(args []string) error {
	p.lock.Missing = append(p.lock.Missing, Missing{Name: args[0], Version: args[1], Arch: args[2]})
	return nil
}

func (p *parser) addCIDDirective(args []string) error {
	d, err := parseFileDigest(args[0])
	if err != nil {
		return err
	}
	return p.addCID(d, args[1])
}

func (p *parser) addCID(d Digest, cid string) error {
	for _, r := range cid {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9') {
			return fmt.Errorf("%q is not an IPFS address", cid)
		}
	}
	if cid == "" {
		return errors.New("empty IPFS address")
	}
	p.lock.addCID(d, cid)
	return nil
}

// parseFileDigest reads a digest that must be known.
func parseFileDigest(s string) (Digest, error) {
	d, err := ParseDigest(s)
	if err == nil && d.IsZero() {
		err = errors.New("the SHA-256 is all zeros, which is that of no file")
	}
	return d, err
}

// entry reads "<digest><space><space or *><path>".
func (p *parser) entry(s string) error {
	hex, rest, _ := strings.Cut(s, " ")
	d, err := parseFileDigest(hex)
	if err != nil {
		return fmt.Errorf("neither a comment nor an entry: %w", err)
	}
	if rest == "" || (rest[0] != ' ' && rest[0] != '*') {
		return errors.New("two spaces and a path must follow the SHA-256")
	}
	name := rest[1:]
	if cid, ok := strings.CutPrefix(name, "/ipfs/"); ok {
		return p.addCID(d, cid)
	}
	name = strings.TrimPrefix(name, "./")
	if err := CheckPath(name); err != nil {
		return err
	}
	if first, ok := p.byPath[name]; ok && first.digest != d {
		return fmt.Errorf("a second digest for %s, which line %d gives another", name, first.line)
	}
	if !p.inHeader {
		p.closeHeader()
	}
	p.inBody = true
	p.byPath[name] = placed{d, p.line}
	p.lock.Entries = append(p.lock.Entries, Entry{
		Digest: d, Path: name, Archive: p.archive, Unsigned: p.unsigned, Comments: p.comments,
	})
	p.comments = nil
	return nil
}

// CheckPath says why name cannot be the path of an entry: it must be relative,
// clean, without "..", and of printable characters other than white space and
// backslash. No package file needs more, and with more a line could be read in
// two ways.
func CheckPath(name string) error {
	switch {
	case name == "":
		return errors.New("empty path")
	case len(name) > maxPath:
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	case !utf8.ValidString(name):
		return fmt.Errorf("the path %q is not UTF-8 text", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("absolute path %q; paths are relative to the archive's root", name)
	case strings.ContainsRune(name, '\\'):
		return fmt.Errorf("backslash in the path %q", name)
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf(`the path %q has an empty, "." or ".." element`, name)
	case name == "-":
		return errors.New(`the path "-" stands for the standard input of sha256sum, not for a file`)
	}
	for _, r := range name {
		if unicode.IsSpace(r) {
			return fmt.Errorf("white space in the path %q", name)
		}
		if !unicode.IsPrint(r) {
			return fmt.Errorf("the invisible character %U in the path %q", r, name)
		}
	}
	return nil
}
