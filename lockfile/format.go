package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

const dateLayout = "2006-01-02T15:04:05Z"

func formatDate(t time.Time) string { return t.UTC().Format(dateLayout) }

// Format returns the lock in its canonical form; reading that back gives the
// same lock. The lock must be sorted, as [Parse] and [Lock.Sort] leave it.
func (l *Lock) Format() []byte {
	var b bytes.Buffer
	line := func(words ...string) {
		for i, w := range words {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(w)
		}
		b.WriteByte('\n')
	}
	line(versionLine)
	for _, c := range l.Header {
		line(c)
	}
	if !l.System.IsZero() {
		line("#: distro", l.System.String())
	}
	if !l.Date.IsZero() {
		line("#: date", formatDate(l.Date))
	}
	for _, m := range l.Missing {
		line("#: missing", m.String())
	}
	for _, d := range slices.SortedFunc(maps.Keys(l.CIDs), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) }) {
		line("#: cid", d.String(), l.CIDs[d])
	}
	var group Entry // the archive and mark that hold for what follows
	for _, e := range l.Entries {
		if e.Archive != group.Archive {
			line("#: archive", e.Archive.String())
			group = Entry{Archive: e.Archive}
		}
		if e.Unsigned != group.Unsigned {
			line("#: unsigned")
			group.Unsigned = true
		}
		for _, c := range e.Comments {
			line(c)
		}
		line(e.Digest.String() + "  " + e.Path)
	}
	for _, c := range l.Trailer {
		line(c)
	}
	return b.Bytes()
}

// WriteTo writes the canonical form of the lock. It writes nothing and returns
// an error if that could not be read back as it is, because a field holds what
// the format has no room for, such as white space in the name of a system.
func (l *Lock) WriteTo(w io.Writer) (int64, error) {
	data := l.Format()
	again, err := Parse("lock", bytes.NewReader(data))
	if err != nil {
		return 0, fmt.Errorf("the lock cannot be written so that it can be read again: %w", err)
	}
	if !bytes.Equal(again.Format(), data) {
		return 0, errors.New("the lock cannot be written so that it can be read again: it is not in canonical order, or a comment is not one")
	}
	n, err := w.Write(data)
	return int64(n), err
}
