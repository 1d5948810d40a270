package pacman

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/samebits/samebits/distro/decompress"
)

// Limits on the search for a package's .PKGINFO, which is among the first
// members of the tar: pacman's own files come before those it installs.
const (
	maxMembers = 1 << 10
	maxUnpack  = 256 << 20
)

// ReadPackage reads the .PKGINFO of a package file, a tar, plain or compressed
// as its first bytes say. It reads no further than that.
func ReadPackage(r io.Reader) (*Desc, error) {
	plain, err := decompress.Sniff(r)
	if err != nil {
		return nil, fmt.Errorf("the package cannot be read: %w", err)
	}
	defer plain.Close()
	t := tar.NewReader(&bounded{plain, maxUnpack})
	for range maxMembers {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the package cannot be read: %w", err)
		}
		if h.Typeflag == tar.TypeReg && strings.TrimPrefix(h.Name, "./") == ".PKGINFO" {
			p, err := ReadPkginfo(t)
			if err != nil {
				return nil, fmt.Errorf(".PKGINFO: %w", err)
			}
			return p, nil
		}
	}
	return nil, errors.New("the package has no .PKGINFO")
}

// ReadPkginfo reads a .PKGINFO file: lines "key = value" and comments.
func ReadPkginfo(r io.Reader) (*Desc, error) {
	data, err := readBounded(r, maxDesc)
	if err != nil {
		return nil, err
	}
	var p Desc
	for n := 1; len(data) > 0; n++ {
		var line []byte
		line, data = cutLine(data)
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, value, ok := strings.Cut(string(line), "=")
		if !ok {
			return nil, fmt.Errorf("line %d: %.40q is neither a comment nor key = value", n, line)
		}
		section, known := pkginfoSections[strings.TrimSpace(key)]
		value = strings.TrimSpace(value)
		if !known || value == "" {
			continue
		}
		if err := p.set(section, []string{value}); err != nil {
			return nil, fmt.Errorf("line %d: %s: %w", n, strings.TrimSpace(key), err)
		}
	}
	return &p, p.check()
}

// pkginfoSections are the sections of a database that say the same.
var pkginfoSections = map[string]string{
	"pkgname": "%NAME%", "pkgver": "%VERSION%", "pkgbase": "%BASE%", "arch": "%ARCH%", "size": "%ISIZE%",
	"builddate": "%BUILDDATE%", "packager": "%PACKAGER%", "depend": "%DEPENDS%", "optdepend": "%OPTDEPENDS%",
	"provides": "%PROVIDES%", "conflict": "%CONFLICTS%", "replaces": "%REPLACES%", "group": "%GROUPS%",
}
