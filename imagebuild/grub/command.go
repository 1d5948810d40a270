package grub

import (
	"fmt"
	"strings"
)

// plain are the bytes that GRUB gives no meaning of its own within a word,
// besides letters and digits.
const plain = "/.=,:_+-@%"

// Command is a line of a command with its words, quoted so that GRUB takes each
// for one. A word with the end of a line or a NUL is an error.
func Command(words ...string) (string, error) {
	var b strings.Builder
	for i, word := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if word == "" || strings.ContainsAny(word, "\n\x00") {
			return "", fmt.Errorf("%q cannot be a word of a command of GRUB's", word)
		}
		for _, c := range []byte(word) {
			if c < 0x80 && !isPlain(c) {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
	}
	b.WriteByte('\n')
	return b.String(), nil
}

func isPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(plain, c) >= 0
}

// Parameters are the parameters of a kernel's command line as words of GRUB's
// command linux, which puts those with spaces between quotes. Quotes within
// them, which the kernel reads as if they stood around the whole parameter, are
// left out. What the command would change is an error: backslashes and single
// quotes.
func Parameters(cmdline string) ([]string, error) {
	if i := strings.IndexAny(cmdline, `\'`); i >= 0 {
		return nil, fmt.Errorf("GRUB cannot give a kernel the character %q of its command line", cmdline[i])
	}
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	end := func() {
		if begun {
			words = append(words, word.String())
			word.Reset()
		}
		begun = false
	}
	for _, c := range []byte(cmdline) {
		switch {
		case c == '"':
			quoted = !quoted
		case (c == ' ' || c == '\t') && !quoted:
			end()
		default:
			begun = true
			word.WriteByte(c)
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote of the command line %q has no end", cmdline)
	}
	end()
	return words, nil
}
