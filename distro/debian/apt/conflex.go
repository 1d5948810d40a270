package apt

import (
	"errors"
	"iter"
	"strings"
)

// A confStatement is the text of a file of apt.conf(5) up to one of ";", "{"
// and "}", with comments dropped and lines joined by a blank. What is left at
// the end of the file has end 0.
type confStatement struct {
	text string
	end  byte
	line int // of end, from 1
}

// confStatements cuts a file into statements.
func confStatements(text string) iter.Seq[confStatement] {
	return func(yield func(confStatement) bool) {
		var pending []string
		inComment := false
		n := 0
		for line := range strings.Lines(text) {
			n++
			line = strings.TrimSpace(strings.ReplaceAll(line, "\t", " "))
			line, inComment = stripComments(line, inComment)
			for line != "" {
				i := unquotedIndex(line, ";{}")
				if i < 0 {
					pending = append(pending, strings.TrimSpace(line))
					break
				}
				if s := strings.TrimSpace(line[:i]); s != "" {
					pending = append(pending, s)
				}
				if !yield(confStatement{strings.Join(pending, " "), line[i], n}) {
					return
				}
				pending = pending[:0]
				line = strings.TrimSpace(line[i+1:])
			}
		}
		if s := strings.Join(pending, " "); s != "" {
			yield(confStatement{s, 0, n})
		}
	}
}

// unquotedIndex returns where the first of chars stands outside of quotes.
func unquotedIndex(s, chars string) int {
	quoted := false
	for i := range len(s) {
		if s[i] == '"' {
			quoted = !quoted
		}
		if !quoted && strings.IndexByte(chars, s[i]) >= 0 {
			return i
		}
	}
	return -1
}

// confDirectives are the words that make "#" something else than a comment.
var confDirectives = []string{"clear", "include", "x-apt-configure-index"}

// stripComments drops "//", "#" and "/* */" outside of quotes.
func stripComments(line string, inComment bool) (string, bool) {
	var out strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		rest := line[i:]
		switch {
		case inComment:
			if strings.HasPrefix(rest, "*/") {
				inComment = false
				i++
			}
			continue
		case line[i] == '"':
			quoted = !quoted
		case quoted:
		case strings.HasPrefix(rest, "//"):
			return out.String(), false
		case strings.HasPrefix(rest, "/*"):
			inComment = true
			i++
			continue
		case line[i] == '#' && !isDirective(rest[1:]):
			return out.String(), false
		}
		out.WriteByte(line[i])
	}
	return out.String(), inComment
}

func isDirective(s string) bool {
	for _, d := range confDirectives {
		if strings.HasPrefix(s, d) {
			return true
		}
	}
	return false
}

// quoteWord reads a word as apt does in its one-line formats: blanks end it,
// but not within double quotes or brackets; %xx stands for a byte.
func quoteWord(s string) (word, rest string, err error) {
	s = strings.TrimLeft(s, " \t")
	if s == "" {
		return "", "", errors.New("a word is missing")
	}
	i := 0
	for ; i < len(s) && s[i] != ' ' && s[i] != '\t'; i++ {
		closing := byte('"')
		switch s[i] {
		case '[':
			closing = ']'
		case '"':
		default:
			continue
		}
		j := strings.IndexByte(s[i+1:], closing)
		if j < 0 {
			return "", "", errors.New("a quote or bracket that is not closed")
		}
		i += j + 1
	}
	var b strings.Builder
	for k := 0; k < i; k++ {
		switch c := s[k]; {
		case c == '"':
		case c == '%' && k+2 < i && isHex(s[k+1]) && isHex(s[k+2]):
			b.WriteByte(unhex(s[k+1])<<4 | unhex(s[k+2]))
			k += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), strings.TrimLeft(s[i:], " \t"), nil
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
