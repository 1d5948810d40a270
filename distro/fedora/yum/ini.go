package yum

import (
	"fmt"
	"strings"
)

// Limits on a configuration file.
const (
	maxConfig   = 4 << 20 // bytes
	maxSections = 10_000
)

// A section is one of a configuration file.
type section struct {
	name   string
	line   int
	values map[string]value
}

type value struct {
	text string
	line int
}

// parseINI reads the form of configuration that dnf shares with Python: lines
// that begin with white space continue the value before them, and of a key
// that is there twice the last counts. Errors begin with "file:line:".
func parseINI(file string, data []byte) ([]section, error) {
	if len(data) > maxConfig {
		return nil, fmt.Errorf("%s: longer than %d bytes", file, maxConfig)
	}
	var out []section
	byName := map[string]int{}
	current, key, n := -1, "", 0
	for raw := range strings.Lines(string(data)) {
		n++
		line := strings.TrimRight(raw, " \t\r\n")
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		text := strings.TrimLeft(line, " \t")
		switch {
		case text == "":
			if strings.TrimRight(raw, "\r\n") == "" {
				key = ""
			}
		case text[0] == '#' || text[0] == ';':
			// A comment does not end the value that lines after it continue.
		case len(text) < len(line) && key != "":
			v := out[current].values[key]
			v.text += "\n" + text
			out[current].values[key] = v
		case text[0] == '[':
			name, after, ok := strings.Cut(text[1:], "]")
			if after = strings.TrimSpace(after); !ok || name == "" || after != "" && after[0] != '#' && after[0] != ';' {
				return nil, fmt.Errorf("%s:%d: %q is not [the name of a section]", file, n, clip(text))
			}
			at, known := byName[name]
			if !known {
				if len(out) == maxSections {
					return nil, fmt.Errorf("%s:%d: more than %d sections", file, n, maxSections)
				}
				at = len(out)
				byName[name] = at
				out = append(out, section{name: name, line: n, values: map[string]value{}})
			}
			current, key = at, ""
		default:
			k, v, ok := strings.Cut(text, "=")
			k = strings.TrimSpace(k)
			if !ok || k == "" {
				return nil, fmt.Errorf("%s:%d: %q is neither [a section] nor key=value", file, n, clip(text))
			}
			if current < 0 {
				return nil, fmt.Errorf("%s:%d: the key %q stands before any [section]", file, n, clip(k))
			}
			key = k
			out[current].values[key] = value{strings.TrimSpace(v), n}
		}
	}
	return out, nil
}

func clip(s string) string { return s[:min(len(s), 60)] }
