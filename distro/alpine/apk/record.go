package apk

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Record describes one package: of an index, of the database of installed
// packages, or what a package file says of itself.
type Record struct {
	Name, Version, Arch string
	// Origin is the name of the source package.
	Origin string
	// Identity is what the package is known by: 20 bytes, the SHA-1 of the
	// control segment (apk 2), or as the index of apk 3 gives it, 20 or 32
	// bytes, begin of or whole SHA-256 of the package's ADB block. It is empty
	// where nothing tells it.
	Identity []byte
	// Size is that of the file in bytes, InstalledSize that of its contents; 0
	// where nothing tells it.
	Size, InstalledSize int64
	// BuildTime is zero where nothing tells it.
	BuildTime time.Time
	// The relations, each spelled as [ParseDependency] reads it.
	Depends, Provides, Replaces, InstallIf []string
	ProviderPriority, ReplacesPriority     int
	Description, License, URL              string
	Maintainer                             string
	Commit                                 string // of the aports tree, hexadecimal
	// DataHash is the SHA-256 of the data segment in hexadecimal; only
	// [ReadPackage] knows it, and only of packages of apk 2.
	DataHash string
	// Tag is the tag, "@" included, of the repository that an installed
	// package is pinned to; only [ReadInstalled] knows it.
	Tag string
	// Broken tells what went wrong when the package was installed and waits for
	// "apk fix": "f" (files), "s" (a script) or both. Empty for a package that
	// is whole. Only [ReadInstalled] knows it.
	Broken string
	// Unsupported says that an index has a field of the package in a capital
	// letter that is not known. apk does not install such packages.
	Unsupported bool
}

// Bounds on the parts of a record that become parts of paths.
const (
	maxName    = 255
	maxVersion = 255
)

// setField stores the field of the text form that letter names.
func (r *Record) setField(letter byte, value string) error {
	var err error
	switch letter {
	case 'P':
		r.Name = value
	case 'V':
		r.Version = value
	case 'A':
		r.Arch = value
	case 'C':
		r.Identity, err = parseIdentity(value)
	case 'S':
		r.Size, err = parseSize(value)
	case 'I':
		r.InstalledSize, err = parseSize(value)
	case 't':
		r.BuildTime, err = parseTime(value)
	case 'D':
		r.Depends = append(r.Depends, strings.Fields(value)...)
	case 'p':
		r.Provides = append(r.Provides, strings.Fields(value)...)
	case 'i':
		r.InstallIf = append(r.InstallIf, strings.Fields(value)...)
	case 'r':
		r.Replaces = append(r.Replaces, strings.Fields(value)...)
	case 'k':
		r.ProviderPriority, err = strconv.Atoi(value)
	case 'q':
		r.ReplacesPriority, err = strconv.Atoi(value)
	default:
		r.setText(letter, value)
	}
	if err != nil {
		return malformed("field %c: %w", letter, err)
	}
	return nil
}

// setText stores a field that is told to people only, or takes note of one
// that is not known.
func (r *Record) setText(letter byte, value string) {
	switch letter {
	case 'o':
		r.Origin = value
	case 'T':
		r.Description = value
	case 'U':
		r.URL = value
	case 'L':
		r.License = value
	case 'm':
		r.Maintainer = value
	case 'c':
		r.Commit = value
	case 's':
		r.Tag = value
	case 'f':
		// Of the other letters, x says that the file system takes no extended
		// attributes, and S is no fault at all.
		r.Broken = strings.Map(func(c rune) rune {
			if c == 'f' || c == 's' {
				return c
			}
			return -1
		}, value)
	default:
		if letter >= 'A' && letter <= 'Z' {
			r.Unsupported = true
		}
	}
}

// check refuses a record without a name and a version, and what must not
// become part of a path.
func (r *Record) check() error {
	for _, part := range []struct {
		what, value string
		max         int
	}{{"name", r.Name, maxName}, {"version", r.Version, maxVersion}} {
		if part.value == "" {
			return malformed("a package has no %s", part.what)
		}
		if len(part.value) > part.max || !plainWord(part.value) {
			return malformed("%q is no %s of a package", clip(part.value), part.what)
		}
	}
	if len(r.Arch) > maxName || !plainWord(r.Arch) {
		return malformed("%q is no architecture", clip(r.Arch))
	}
	return nil
}

// plainWord tells whether s may be part of a file name: no slash, no space,
// nothing outside printable ASCII, and no dot in front.
func plainWord(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '/' {
			return false
		}
	}
	return !strings.HasPrefix(s, ".")
}

// clip shortens what goes into an error.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}

// parseIdentity reads apk's spelling of a digest: Q and base64 or X and
// hexadecimal digits, between them 1 for SHA-1 or 2 for SHA-256.
func parseIdentity(s string) ([]byte, error) {
	if len(s) < 2 || s[1] != '1' && s[1] != '2' {
		return nil, fmt.Errorf("%q is no digest", clip(s))
	}
	var b []byte
	var err error
	switch s[0] {
	case 'Q':
		b, err = decodeBase64(s[2:])
	case 'X':
		b, err = hex.DecodeString(s[2:])
	default:
		err = strconv.ErrSyntax
	}
	// Behind 1, apk 3 also takes the 32 bytes of a SHA-256.
	if err != nil || len(b) != 32 && (len(b) != 20 || s[1] != '1') {
		return nil, fmt.Errorf("%q is no digest", clip(s))
	}
	return b, nil
}

// decodeBase64 reads digests. Those of 32 bytes behind "Q1" are spelled in two
// pieces, so that apk 2 reads the first 20 bytes.
func decodeBase64(s string) ([]byte, error) {
	const half = 28 // characters of 20 bytes
	if len(s) != half+16 || s[half-1] != '=' {
		return base64.StdEncoding.DecodeString(s)
	}
	b, err := base64.StdEncoding.DecodeString(s[:half])
	if err != nil {
		return nil, err
	}
	rest, err := base64.StdEncoding.DecodeString(s[half:])
	return append(b, rest...), err
}

func parseSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err
}

func parseTime(s string) (time.Time, error) {
	n, err := strconv.ParseUint(s, 10, 40)
	if err != nil || n == 0 {
		return time.Time{}, err
	}
	return time.Unix(int64(n), 0).UTC(), nil
}
