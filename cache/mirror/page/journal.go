package page

import (
	"io"
	"os"
	"strings"
	"time"
)

// A Failure is a line of the mirror's journal about what was refused or has
// changed.
type Failure struct {
	Time   time.Time
	What   string // "refused" or "changed"
	Path   string // with the prefix
	Reason string
}

// journalTail is how much of a journal's end is looked at, in bytes.
const journalTail = 1 << 20

// failures returns the last failures of a journal, newest first, at most n.
func failures(name string, n int) []Failure {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	from := max(info.Size()-journalTail, 0)
	data, err := io.ReadAll(io.NewSectionReader(f, from, info.Size()-from))
	if err != nil {
		return nil
	}
	lines := strings.Split(string(data), "\n")
	if from > 0 {
		lines = lines[1:] // part of one
	}
	var out []Failure
	for i := len(lines) - 1; i >= 0 && len(out) < n; i-- {
		if l, ok := parseFailure(lines[i]); ok {
			out = append(out, l)
		}
	}
	return out
}

// parseFailure reads a line of a journal; ok is false for those of which
// nothing went wrong, and for what is no line.
func parseFailure(line string) (f Failure, ok bool) {
	fields := strings.Split(line, "\t")
	if len(fields) != 7 || fields[1] != "refused" && fields[1] != "changed" {
		return f, false
	}
	at, err := time.Parse(time.RFC3339, fields[0])
	if err != nil {
		return f, false
	}
	return Failure{at, fields[1], fields[2] + "/" + fields[3], strings.ToValidUTF8(fields[6], "\uFFFD")}, true
}
