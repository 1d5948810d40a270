package apt

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/samebits/samebits/distro/rootfs"
)

// maxFile is the most bytes that a file of the configuration may have.
const maxFile = 4 << 20

// A ParseError says where a file of the configuration cannot be read.
type ParseError struct {
	File string
	Line int // from 1
	Err  error
}

// Error has the form "file:line: reason".
func (e *ParseError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the reason.
func (e *ParseError) Unwrap() error { return e.Err }

// maxIncludes is how deep files may include files, as in apt.
const maxIncludes = 10

// readFile reads a file of apt.conf(5) into the tree.
func (o *Options) readFile(root *rootfs.Root, name string, depth int) error {
	data, err := root.ReadFile(name, maxFile)
	if err != nil {
		return fmt.Errorf("read apt's configuration: %w", err)
	}
	p := confParser{o: o, file: root.Join(name)}
	p.include = func(path string) error {
		if depth >= maxIncludes {
			return errors.New("too many nested includes")
		}
		if strings.HasSuffix(path, "/") {
			return o.readDir(root, cleanPath(path), depth+1)
		}
		return o.readFile(root, cleanPath(path), depth+1)
	}
	return p.parse(string(data))
}

// readDir reads the files of a directory such as apt.conf.d.
func (o *Options) readDir(root *rootfs.Root, dir string, depth int) error {
	names, err := parts(root, dir, "conf", "")
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := o.readFile(root, name, depth); err != nil {
			return err
		}
	}
	return nil
}

// loadOptions reads the whole of apt's configuration in apt's order: the
// directory of parts, then the main file.
func loadOptions(root *rootfs.Root) (*Options, error) {
	o := newOptions()
	if dir := o.File("Dir::Etc::parts"); dir != "" {
		if err := o.readDir(root, dir, 0); err != nil {
			return nil, err
		}
	}
	if name := o.File("Dir::Etc::main"); name != "" {
		if err := o.readFile(root, name, 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return o, nil
}

// A confParser reads one file of apt.conf(5).
type confParser struct {
	o       *Options
	file    string
	line    int
	include func(path string) error
	scope   []string // the names of the blocks around, each complete
}

func (p *confParser) parse(text string) error {
	for stmt := range confStatements(text) {
		p.line = stmt.line
		if err := p.statement(stmt.text, stmt.end); err != nil {
			var deeper *ParseError
			if errors.As(err, &deeper) {
				return err
			}
			return &ParseError{File: p.file, Line: p.line, Err: err}
		}
	}
	return nil
}

func (p *confParser) statement(text string, end byte) error {
	switch {
	case end == 0:
		return errors.New(`text at the end of the file without a ";"`)
	case text == "" && end == '{':
		return errors.New("a block without a name")
	}
	if text != "" {
		if err := p.assign(text, end); err != nil {
			return err
		}
	}
	if end == '}' && len(p.scope) > 0 {
		p.scope = p.scope[:len(p.scope)-1]
	}
	return nil
}

func (p *confParser) assign(text string, end byte) error {
	tag, rest, err := quoteWord(text)
	if err != nil {
		return fmt.Errorf("malformed name: %w", err)
	}
	word, rest, hasWord, err := confValue(rest)
	if err != nil {
		return err
	}
	if rest != "" {
		return fmt.Errorf("extra text %q after the value", rest)
	}
	outer := ""
	if len(p.scope) > 0 {
		outer = p.scope[len(p.scope)-1]
	}
	if !hasWord && end != '{' {
		tag, word = "", tag
	}
	if strings.HasPrefix(tag, "#") {
		return p.directive(tag, word, outer)
	}
	item := tag
	if outer != "" {
		item = outer + "::" + tag
	}
	if len(item) > 4096 {
		return errors.New("the name is longer than 4096 bytes")
	}
	if end == '{' {
		p.scope = append(p.scope, item)
		if !hasWord {
			return nil
		}
	}
	if item != "" {
		p.o.set(item, word)
	}
	return nil
}

func (p *confParser) directive(tag, word, outer string) error {
	switch {
	case outer != "":
		return errors.New("directives can only be at the top level")
	case tag == "#clear":
		p.o.clear(word)
	case tag == "#include":
		return p.include(word)
	case tag == "#x-apt-configure-index":
	default:
		return fmt.Errorf("unknown directive %q", tag)
	}
	return nil
}

// confValue reads the value after a name: quoted strings side by side, which
// are one, or a word.
func confValue(s string) (word, rest string, ok bool, err error) {
	s = strings.TrimLeft(s, " ")
	if s == "" {
		return "", "", false, nil
	}
	if s[0] != '"' {
		word, rest, err = quoteWord(s)
		return word, rest, true, err
	}
	for strings.HasPrefix(s, `"`) {
		end := strings.IndexByte(s[1:], '"')
		if end < 0 {
			return "", "", false, errors.New("a quote that is not closed")
		}
		word += s[1 : 1+end]
		s = strings.TrimLeft(s[end+2:], " ")
	}
	return word, s, true, nil
}
