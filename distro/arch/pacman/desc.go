package pacman

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxDesc bounds the bytes of one description. Real ones stay below 100 kB.
const maxDesc = 4 << 20

// A Desc describes one package, as a repository's database, the database of
// what is installed, or the package itself does. Fields that the source does
// not have are zero.
type Desc struct {
	Name    string
	Version string // with epoch and release
	Base    string // the source package; "" stands for Name
	Arch    string

	Filename      string // in repositories; the last element of a path
	Size          int64  // bytes of the file, in repositories
	InstalledSize int64  // bytes
	SHA256        string // of the file, 64 lower-case hex digits, in repositories
	Signature     []byte // detached and binary, over the file, in repositories

	BuildDate   time.Time
	InstallDate time.Time // of what is installed
	Packager    string
	// Dependency says that it was installed for another package's sake.
	Dependency bool
	// Validation says how pacman checked what is installed: "pgp", "sha256",
	// "md5", "none".
	Validation []string

	Depends, OptDepends, Provides, Conflicts, Replaces, Groups []string
}

// Satisfies reports whether the package is what d asks for, by its name or by
// what it provides.
func (p *Desc) Satisfies(d Dependency) bool { return d.Satisfied(p.Name, p.Version, p.Provides) }

// ReadDesc reads one desc file: blocks of a %SECTION% line and its values,
// each on a line of its own, up to a blank line. Sections that are not known
// are passed over.
func ReadDesc(r io.Reader) (*Desc, error) {
	data, err := readBounded(r, maxDesc)
	if err != nil {
		return nil, err
	}
	var p Desc
	if err := p.parse(data); err != nil {
		return nil, err
	}
	return &p, p.check()
}

func readBounded(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}

// check says what is wrong with p's identity.
func (p *Desc) check() error {
	if err := checkName(p.Name); err != nil {
		return fmt.Errorf("%%NAME%%: %w", err)
	}
	if err := checkVersion(p.Version); err != nil {
		return fmt.Errorf("%%VERSION%%: %w", err)
	}
	return nil
}

// parse adds to p what the sections of data say.
func (p *Desc) parse(data []byte) error {
	var values []string
	for line := 0; len(data) > 0; {
		var head []byte
		head, data = cutLine(data)
		line++
		if len(head) == 0 {
			continue
		}
		if len(head) < 3 || head[0] != '%' || head[len(head)-1] != '%' {
			return fmt.Errorf("line %d: %.40q is not the head of a section", line, head)
		}
		values = values[:0]
		known := knownSection(head)
		first := line + 1
		for len(data) > 0 {
			var v []byte
			v, data = cutLine(data)
			line++
			if len(v) == 0 {
				break
			}
			if known {
				values = append(values, string(v))
			}
		}
		if len(values) > 0 {
			if err := p.set(string(head), values); err != nil {
				return fmt.Errorf("line %d: %s: %w", first, head, err)
			}
		}
	}
	return nil
}

func cutLine(data []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(data, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

func knownSection(head []byte) bool {
	switch string(head) {
	case "%NAME%", "%VERSION%", "%BASE%", "%ARCH%", "%FILENAME%", "%CSIZE%", "%ISIZE%", "%SIZE%", "%SHA256SUM%",
		"%PGPSIG%", "%BUILDDATE%", "%INSTALLDATE%", "%PACKAGER%", "%REASON%", "%VALIDATION%", "%DEPENDS%",
		"%OPTDEPENDS%", "%PROVIDES%", "%CONFLICTS%", "%REPLACES%", "%GROUPS%":
		return true
	}
	return false
}

// set takes the values, of which there is at least one, of a known section.
func (p *Desc) set(section string, values []string) (err error) {
	v := values[0]
	switch section {
	case "%NAME%":
		err = setOnce(&p.Name, v)
	case "%VERSION%":
		err = setOnce(&p.Version, v)
	case "%BASE%":
		err = setOnce(&p.Base, v)
	case "%ARCH%":
		err = setOnce(&p.Arch, v)
	case "%FILENAME%":
		if err = checkFilename(v); err == nil {
			err = setOnce(&p.Filename, v)
		}
	case "%PACKAGER%":
		p.Packager = v
	case "%CSIZE%":
		p.Size, err = parseSize(v)
	case "%ISIZE%", "%SIZE%":
		p.InstalledSize, err = parseSize(v)
	case "%SHA256SUM%":
		if err = checkSHA256(v); err == nil {
			err = setOnce(&p.SHA256, v)
		}
	case "%PGPSIG%":
		p.Signature, err = base64.StdEncoding.DecodeString(v)
	case "%BUILDDATE%":
		p.BuildDate = parseDate(v)
	case "%INSTALLDATE%":
		p.InstallDate = parseDate(v)
	case "%REASON%":
		p.Dependency = v == "1"
	default:
		if l := p.list(section); l != nil {
			*l = append(*l, values...)
		}
	}
	return err
}

// list returns the field of a section that is a list.
func (p *Desc) list(section string) *[]string {
	switch section {
	case "%VALIDATION%":
		return &p.Validation
	case "%DEPENDS%":
		return &p.Depends
	case "%OPTDEPENDS%":
		return &p.OptDepends
	case "%PROVIDES%":
		return &p.Provides
	case "%CONFLICTS%":
		return &p.Conflicts
	case "%REPLACES%":
		return &p.Replaces
	case "%GROUPS%":
		return &p.Groups
	}
	return nil
}

// setOnce refuses a second value that differs: which of two counts is not for
// this package to guess.
func setOnce(field *string, v string) error {
	if *field != "" && *field != v {
		return fmt.Errorf("both %q and %q", *field, v)
	}
	*field = v
	return nil
}

func checkSHA256(s string) error {
	if _, err := hex.DecodeString(s); err != nil || len(s) != 64 || s != strings.ToLower(s) {
		return fmt.Errorf("%.80q is no SHA-256", s)
	}
	return nil
}

func parseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%.40q is no size", s)
	}
	return n, nil
}

// parseDate reads seconds since 1970. Databases of pacman 3 have dates in
// words: those are as good as none.
func parseDate(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
