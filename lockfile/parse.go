package lockfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits on what a lock may hold. They are far above any real system and keep
// a hostile file from exhausting memory.
const (
	maxLine    = 16 << 10
	maxPath    = 4096
	maxEntries = 1 << 20
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
	p := parser{lock: &Lock{}, byPath: map[string]placed{}}
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxLine)
	for sc.Scan() {
		p.line++
		if err := p.parseLine(sc.Text()); err != nil {
			return nil, &ParseError{File: file, Line: p.line, Err: err}
		}
	}
	if err := sc.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &ParseError{File: file, Line: p.line + 1, Err: fmt.Errorf("the line is longer than %d bytes", maxLine)}
	} else if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
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
	lock     *Lock
	line     int
	byPath   map[string]placed
	archive  Archive
	unsigned bool
	inHeader bool     // a directive or an entry has been seen
	inBody   bool     // an archive directive or an entry has been seen
	comments []string // not yet attached to anything
}

func (p *parser) parseLine(s string) error {
	if err := checkText(s); err != nil {
		return err
	}
	switch {
	case strings.TrimSpace(s) == "":
		return nil
	case strings.HasPrefix(s, "#:"):
		if !p.inBody {
			p.closeHeader()
		}
		return p.directive(strings.Fields(s[2:]))
	case strings.HasPrefix(s, versionPrefix) && p.line == 1:
		if s != versionLine {
			return fmt.Errorf("%q is a lock format that this version of samebits does not know; a newer samebits may", s)
		}
		return nil
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

// checkText refuses what would make a lock look different from what it says.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("the line is not UTF-8 text; is this a lock file?")
	}
	for _, r := range s {
		switch {
		case r == '\r':
			return errors.New("carriage return in the line; the file must have Unix line ends (LF)")
		case r == '\t' && strings.HasPrefix(s, "#"):
		case r < ' ' || r == 0x7f:
			return fmt.Errorf("control character %#02x in the line", r)
		}
	}
	return nil
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
	t, err := time.Parse("2006-01-02T15:04:05Z", args[0])
	if err != nil {
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
		if !strings.Contains(args[1], ":") {
			return fmt.Errorf("%q is not a URL", args[1])
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
	d, err := ParseDigest(args[0])
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
	if old, ok := p.lock.CIDs[d]; ok && old != cid {
		return fmt.Errorf("two IPFS addresses for %s: %s and %s", d, old, cid)
	}
	if p.lock.CIDs == nil {
		p.lock.CIDs = map[Digest]string{}
	}
	p.lock.CIDs[d] = cid
	return nil
}

// entry reads "<digest><space><space or *><path>".
func (p *parser) entry(s string) error {
	hex, rest, _ := strings.Cut(s, " ")
	d, err := ParseDigest(hex)
	if err != nil {
		return err
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
	if len(p.lock.Entries) == maxEntries {
		return fmt.Errorf("more than %d entries", maxEntries)
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
// clean, without ".." and control characters, and of a sane length.
func CheckPath(name string) error {
	switch {
	case name == "":
		return errors.New("empty path")
	case len(name) > maxPath:
		return fmt.Errorf("the path is longer than %d bytes", maxPath)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("absolute path %q; paths are relative to the archive's root", name)
	case name != strings.TrimSpace(name):
		return fmt.Errorf("white space around the path %q", name)
	case strings.ContainsRune(name, '\\'):
		return fmt.Errorf(`backslash in the path %q`, name)
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		return fmt.Errorf(`the path %q has an empty, "." or ".." element`, name)
	}
	return checkText(name)
}
