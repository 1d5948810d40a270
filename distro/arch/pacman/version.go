package pacman

import "strings"

// Compare orders versions of the form [epoch:]version[-release] as pacman
// does: -1 where a is older than b, 0 where they are equal, 1 where a is newer.
// The release counts only where both have one, so "1.2" equals "1.2-3".
func Compare(a, b string) int {
	if a == b {
		return 0
	}
	epochA, verA, relA, hasA := splitVersion(a)
	epochB, verB, relB, hasB := splitVersion(b)
	if c := comparePart(epochA, epochB); c != 0 {
		return c
	}
	if c := comparePart(verA, verB); c != 0 {
		return c
	}
	if !hasA || !hasB {
		return 0
	}
	return comparePart(relA, relB)
}

// splitVersion cuts a version into its parts. An epoch is digits before the
// first colon that nothing but digits precedes; without one it is "0".
func splitVersion(s string) (epoch, version, release string, hasRelease bool) {
	epoch, version = "0", s
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits < len(s) && s[digits] == ':' {
		version = s[digits+1:]
		if digits > 0 {
			epoch = s[:digits]
		}
	}
	if i := strings.LastIndexByte(version, '-'); i >= 0 {
		return epoch, version[:i], version[i+1:], true
	}
	return epoch, version, "", false
}

// comparePart orders two strings by their runs of digits and of letters, all
// else being separators: digits as numbers, letters by their bytes, and digits
// before letters. Where one is the beginning of the other the longer is newer,
// unless what it has more begins with a letter: "1.0rc" is older than "1.0".
func comparePart(a, b string) int {
	if a == b {
		return 0
	}
	for a != "" && b != "" {
		restA, restB := dropSeparators(a), dropSeparators(b)
		sepA, sepB := len(a)-len(restA), len(b)-len(restB)
		a, b = restA, restB
		if a == "" || b == "" {
			break
		}
		if sepA != sepB {
			return sign(sepA - sepB)
		}
		kind, number := isAlpha, isDigit(a[0])
		if number {
			kind = isDigit
		}
		runA, runB := run(a, kind), run(b, kind)
		if runB == "" {
			if number {
				return 1
			}
			return -1
		}
		a, b = a[len(runA):], b[len(runB):]
		if number {
			runA, runB = strings.TrimLeft(runA, "0"), strings.TrimLeft(runB, "0")
			if c := sign(len(runA) - len(runB)); c != 0 {
				return c
			}
		}
		if c := strings.Compare(runA, runB); c != 0 {
			return c
		}
	}
	switch {
	case a == "" && b == "":
		return 0
	case a == "" && !isAlpha(b[0]), a != "" && isAlpha(a[0]):
		return -1
	}
	return 1
}

func dropSeparators(s string) string {
	for s != "" && !isDigit(s[0]) && !isAlpha(s[0]) {
		s = s[1:]
	}
	return s
}

// run returns the beginning of s whose bytes are all of a kind.
func run(s string, kind func(byte) bool) string {
	i := 0
	for i < len(s) && kind(s[i]) {
		i++
	}
	return s[:i]
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlpha(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
