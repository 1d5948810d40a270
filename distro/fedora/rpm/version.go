package rpm

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// An EVR is the version of a package or of a dependency.
type EVR struct {
	// Epoch is NoEpoch where there is none.
	Epoch   int
	Version string
	// Release is empty where there is none, as in many dependencies.
	Release string
}

// String returns [epoch:]version[-release].
func (v EVR) String() string {
	s := v.Version
	if v.Release != "" {
		s += "-" + v.Release
	}
	if v.Epoch >= 0 {
		s = strconv.Itoa(v.Epoch) + ":" + s
	}
	return s
}

// ParseEVR reads [epoch:]version[-release]. The release is what follows the
// last hyphen.
func ParseEVR(s string) (EVR, error) {
	v := EVR{Epoch: NoEpoch}
	rest := s
	if epoch, after, ok := strings.Cut(s, ":"); ok {
		var err error
		if v.Epoch, err = parseEpoch(epoch); err != nil {
			return EVR{}, fmt.Errorf("%q: %w", s, err)
		}
		rest = after
	}
	v.Version = rest
	if version, release, ok := cutLast(rest, '-'); ok {
		v.Version, v.Release = version, release
		if err := checkPart(release, ":"); err != nil {
			return EVR{}, fmt.Errorf("%q: its release %w", s, err)
		}
	}
	if err := checkPart(v.Version, "-:"); err != nil {
		return EVR{}, fmt.Errorf("%q: its version %w", s, err)
	}
	return v, nil
}

// splitEVR is ParseEVR for text of any form, as rpm itself takes it apart. A
// release that is there may be empty.
func splitEVR(s string) (epoch, version, release string, hasRelease bool) {
	epoch = "0"
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	version = s
	if digits < len(s) && s[digits] == ':' {
		epoch, version = cmp.Or(s[:digits], "0"), s[digits+1:]
	}
	version, release, hasRelease = cutLast(version, '-')
	return epoch, version, release, hasRelease
}

// Compare is negative where v is older than o, positive where it is newer,
// else 0. No epoch counts as 0, and no release as older than any.
func (v EVR) Compare(o EVR) int {
	return cmp.Or(
		cmp.Compare(max(v.Epoch, 0), max(o.Epoch, 0)),
		CompareVersions(v.Version, o.Version),
		compareReleases(v.Release, o.Release, v.Release != "", o.Release != ""),
	)
}

// CompareEVR compares texts of the form [epoch:]version[-release] as
// [EVR.Compare] does. Texts of other forms have an order too.
func CompareEVR(a, b string) int {
	ae, av, ar, aHas := splitEVR(a)
	be, bv, br, bHas := splitEVR(b)
	return cmp.Or(CompareVersions(ae, be), CompareVersions(av, bv), compareReleases(ar, br, aHas, bHas))
}

func compareReleases(a, b string, aHas, bHas bool) int {
	switch {
	case aHas && bHas:
		return CompareVersions(a, b)
	case aHas:
		return 1
	case bHas:
		return -1
	}
	return 0
}

// CompareVersions compares two versions, or two releases, segment by segment
// (rpm's rpmvercmp): runs of digits by their number, runs of letters by their
// bytes, and a number is newer than letters. What separates segments does not
// count. A tilde is older than the end of the text and a caret newer than it,
// but older than any other segment.
func CompareVersions(a, b string) int {
	for a != b {
		a, b = skipSeparators(a), skipSeparators(b)
		switch {
		case strings.HasPrefix(a, "~") || strings.HasPrefix(b, "~"):
			if !strings.HasPrefix(a, "~") {
				return 1
			}
			if !strings.HasPrefix(b, "~") {
				return -1
			}
			a, b = a[1:], b[1:]
			continue
		case strings.HasPrefix(a, "^") || strings.HasPrefix(b, "^"):
			switch {
			case a == "":
				return -1
			case b == "":
				return 1
			case a[0] != '^':
				return 1
			case b[0] != '^':
				return -1
			}
			a, b = a[1:], b[1:]
			continue
		case a == "" || b == "":
			return cmp.Compare(len(a), len(b))
		}
		var x, y string
		number := isDigit(a[0])
		if number {
			x, a = cutSegment(a, isDigit)
			y, b = cutSegment(b, isDigit)
		} else {
			x, a = cutSegment(a, isLetter)
			y, b = cutSegment(b, isLetter)
		}
		if y == "" { // of the other kind
			if number {
				return 1
			}
			return -1
		}
		if c := compareSegments(x, y, number); c != 0 {
			return c
		}
	}
	return 0
}

func compareSegments(x, y string, number bool) int {
	if number {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Compare(len(x), len(y)); c != 0 {
			return c
		}
	}
	return strings.Compare(x, y)
}

func skipSeparators(s string) string {
	i := 0
	for i < len(s) && !isDigit(s[i]) && !isLetter(s[i]) && s[i] != '~' && s[i] != '^' {
		i++
	}
	return s[i:]
}

func cutSegment(s string, of func(byte) bool) (segment, rest string) {
	i := 0
	for i < len(s) && of(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
