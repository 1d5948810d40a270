package arch

import "strings"

// matches reports whether a string is one of those that patterns stand for, as
// pacman reads them: the last that fits decides, and one that begins with "!"
// takes back what others say.
func matches(patterns []string, s string) bool {
	for i := len(patterns) - 1; i >= 0; i-- {
		pattern, not := strings.CutPrefix(patterns[i], "!")
		if !not {
			pattern = strings.TrimPrefix(pattern, `\`) // which may be before a "!"
		}
		if fits(pattern, s) {
			return !not
		}
	}
	return false
}

// fits is fnmatch(3) without flags: "*" also stands for slashes.
func fits(pattern, s string) bool {
	// Where to go on after a mismatch: behind the last "*", one byte further.
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, mark = p, i
			p++
			continue
		}
		if n, ok := fitsOne(pattern[p:], s[i]); ok {
			p += n
			i++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, i = star+1, mark
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// fitsOne reports whether the beginning of a pattern, of n bytes, stands for a
// byte.
func fitsOne(pattern string, c byte) (n int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, pattern[1] == c
		}
	case '[':
		if n, ok, isSet := fitsSet(pattern, c); isSet {
			return n, ok
		}
	}
	return 1, pattern[0] == c
}

// fitsSet reads a set such as "[!a-c]". A bracket that is never closed is no
// set.
func fitsSet(pattern string, c byte) (n int, ok, isSet bool) {
	i, not := 1, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		not = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, ok != not, true
		}
		low := pattern[i]
		high := low
		if i+2 < len(pattern) && pattern[i+1] == '-' && pattern[i+2] != ']' {
			high = pattern[i+2]
			i += 2
		}
		i++
		ok = ok || low <= c && c <= high
	}
	return 0, false, false
}
