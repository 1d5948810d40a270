package apk

import (
	"cmp"
	"math"
	"strings"
)

// A versionPart is a piece of a version: a kind and a value.
type versionPart struct {
	kind  partKind
	value int64
	text  string // of partHash only
}

// partKind orders the pieces: of two versions that are equal up to a piece,
// the one that goes on with the lower kind is newer.
type partKind int8

const (
	partInvalid  partKind = iota // nothing that is known; the version ends here
	partDot                      // .2, or the zeros in front of .002
	partNumber                   // the first number, or one after a letter or zeros
	partLetter                   // 1.0b
	partSuffix                   // _alpha, _p
	partSuffixNo                 // _p1
	partHash                     // ~5fa7c1 (apk 3)
	partRevision                 // -r1
	partEnd
)

// suffixes are the words after an underscore. Those below zero are older than
// the version without them. Longer words stand before their own beginnings.
var suffixes = []struct {
	word  string
	value int64
}{
	{"alpha", -4}, {"beta", -3}, {"pre", -2}, {"rc", -1},
	{"cvs", 0}, {"svn", 1}, {"git", 2}, {"hg", 3}, {"p", 4},
}

// maxDigits is how many digits a number may have.
const maxDigits = 17

// Compare orders versions as apk 2 does: -1 if a is older than b, 0 if they
// are equal, +1 if a is newer. A "~" and a commit's hash, which only apk 3
// knows, have their place between suffix and revision, as there.
//
// A version is "digits{.digits}[letter]{_suffix[digits]}[~hash][-rdigits]".
// Of one that is not, what is well formed in front counts; it is newer than
// the same without the rest, if that has no more to say.
//
// It differs from apk 3 in numbers after a dot that begin with zeros: apk 3
// compares these as text, so that for it 1.010 is older than 1.09.
func Compare(a, b string) int { return compareVersions(a, b, false) }

// ValidVersion tells whether v is a version throughout.
func ValidVersion(v string) bool {
	if v == "" {
		return false
	}
	for s := newVersionScanner(v); ; {
		p := s.next()
		if p.kind == partEnd || p.kind == partInvalid {
			return p.kind == partEnd
		}
	}
}

// compareVersions compares; if fuzzy, an a that only says more than b equals it.
func compareVersions(a, b string, fuzzy bool) int {
	sa, sb := newVersionScanner(a), newVersionScanner(b)
	for {
		pa, pb := sa.next(), sb.next()
		if pa.kind != pb.kind {
			if fuzzy && pb.kind == partEnd {
				return 0
			}
			return compareKinds(pa, pb)
		}
		if c := cmp.Or(cmp.Compare(pa.value, pb.value), strings.Compare(pa.text, pb.text)); c != 0 {
			return c
		}
		if pa.kind == partEnd || pa.kind == partInvalid {
			return 0
		}
	}
}

// compareKinds orders two versions that go on with pieces of different kinds.
func compareKinds(a, b versionPart) int {
	switch {
	case a.kind == partSuffix && a.value < 0:
		return -1
	case b.kind == partSuffix && b.value < 0:
		return 1
	}
	return cmp.Compare(b.kind, a.kind)
}

// A versionScanner takes a version apart.
type versionScanner struct {
	rest string
	kind partKind // of the piece that rest begins with
}

func newVersionScanner(v string) *versionScanner { return &versionScanner{rest: v, kind: partNumber} }

// next returns the next piece. The last one is of kind partEnd or partInvalid
// and is returned again and again.
func (s *versionScanner) next() versionPart {
	p := versionPart{kind: s.kind}
	ok := true
	switch s.kind {
	case partEnd, partInvalid:
		return p
	case partDot:
		if zeros := len(s.rest) - len(strings.TrimLeft(s.rest, "0")); zeros > 0 {
			// More zeros in front are less; the last one goes with the number.
			p.value = int64(1 - zeros)
			s.rest = s.rest[zeros-1:]
			s.kind = partNumber
			return p
		}
		p.value, ok = s.number()
	case partNumber, partSuffixNo, partRevision:
		p.value, ok = s.number()
	case partLetter:
		p.value = int64(s.rest[0])
		s.rest = s.rest[1:]
	case partSuffix:
		p.value, ok = s.suffix()
	case partHash:
		n := 0
		for n < len(s.rest) && isHex(s.rest[n]) {
			n++
		}
		p.text, s.rest, ok = s.rest[:n], s.rest[n:], n > 0
	}
	if !ok {
		s.kind = partInvalid
		return p
	}
	s.kind = s.following()
	return p
}

// number reads digits, none of which is zero. Too many are not a number.
func (s *versionScanner) number() (int64, bool) {
	var v int64
	n := 0
	for n < len(s.rest) && isDigit(s.rest[n]) {
		if v < math.MaxInt64/100 {
			v = v*10 + int64(s.rest[n]-'0')
		}
		n++
	}
	if n > maxDigits {
		return -1, false
	}
	s.rest = s.rest[n:]
	return v, true
}

// suffix reads the word after an underscore; none at the end counts as zero.
func (s *versionScanner) suffix() (int64, bool) {
	if s.rest == "" {
		return 0, true
	}
	for _, x := range suffixes {
		if rest, ok := strings.CutPrefix(s.rest, x.word); ok {
			s.rest = rest
			return x.value, true
		}
	}
	return -1, false
}

// following finds the kind of the piece after one of kind s.kind, and takes
// the characters that announce it.
func (s *versionScanner) following() partKind {
	if s.rest == "" {
		return partEnd
	}
	c := s.rest[0]
	switch {
	case isDigit(c) && s.kind == partLetter:
		return partNumber
	case isDigit(c) && s.kind == partSuffix:
		return partSuffixNo
	case c >= 'a' && c <= 'z' && s.kind <= partNumber:
		return partLetter
	case c == '.' && s.kind <= partNumber:
		s.rest = s.rest[1:]
		return partDot
	case c == '_' && s.kind <= partSuffixNo:
		s.rest = s.rest[1:]
		return partSuffix
	case c == '~' && s.kind < partHash:
		s.rest = s.rest[1:]
		return partHash
	case strings.HasPrefix(s.rest, "-r"):
		s.rest = s.rest[2:]
		return partRevision
	}
	return partInvalid
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isHex(c byte) bool { return isDigit(c) || c >= 'a' && c <= 'f' }
