package apk

import (
	"fmt"
	"io"
	"strings"
)

// maxInstalled bounds the database of installed packages. That of a system
// with 2,000 packages has some 30 MiB.
const maxInstalled = 1 << 30

// ReadInstalled reads the database of installed packages, lib/apk/db/installed
// or usr/lib/apk/db/installed, in the text form that apk 2 and apk 3 keep. The
// lists of files are passed over. The error of a broken record names its line.
// A record of which Broken is not empty is of a package that is not installed
// whole.
func ReadInstalled(r io.Reader) ([]Record, error) {
	var b strings.Builder
	n, err := io.Copy(&b, io.LimitReader(r, maxInstalled+1))
	if err != nil {
		return nil, fmt.Errorf("read the installed packages: %w", err)
	}
	if n > maxInstalled {
		return nil, malformed("the database of installed packages has more than %d bytes", maxInstalled)
	}
	p := installedParser{}
	text := b.String()
	for text != "" {
		p.line++
		var line string
		line, text, _ = strings.Cut(text, "\n")
		if err := p.read(line); err != nil {
			return nil, fmt.Errorf("the database of installed packages, line %d: %w", p.line, err)
		}
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("the database of installed packages, line %d: %w", p.line, err)
	}
	return p.out, nil
}

type installedParser struct {
	out   []Record
	cur   Record
	line  int
	named bool // a field of the package was seen, not only of files
}

// read takes a line.
func (p *installedParser) read(line string) error {
	if line == "" {
		return p.finish()
	}
	if len(line) < 2 || line[1] != ':' {
		return malformed("%q is no field", clip(line))
	}
	switch line[0] {
	case 'F', 'M', 'R', 'Z', 'a':
		// Directories and files: name, mode and owner, digest.
		return nil
	}
	p.named = true
	return p.cur.setField(line[0], line[2:])
}

// finish ends a record. One of files only keeps what an overlay put there and
// is no package.
func (p *installedParser) finish() error {
	if !p.named {
		return nil
	}
	if err := p.cur.check(); err != nil {
		return err
	}
	if len(p.out) == maxIndexEntries {
		return malformed("more than %d packages", maxIndexEntries)
	}
	p.out = append(p.out, p.cur)
	p.cur, p.named = Record{}, false
	return nil
}
