package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A lineFile is a file that only ever grows by whole lines. What a crash left
// of a line is cut off when it is opened.
type lineFile struct {
	mu   sync.Mutex
	f    *os.File
	size int64
}

// maxLine bounds a line of a lineFile.
const maxLine = 16 << 10

func openLines(name string) (*lineFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &lineFile{f: f}
	info, err := f.Stat()
	if err == nil {
		l.size = info.Size()
		err = l.cutTorn()
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	return l, nil
}

func (l *lineFile) cutTorn() error {
	tail := make([]byte, min(l.size, maxLine))
	if _, err := l.f.ReadAt(tail, l.size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	torn := len(tail) - 1 - bytes.LastIndexByte(tail, '\n')
	if torn == 0 || len(tail) == 0 {
		return nil
	}
	l.size -= int64(torn)
	return l.f.Truncate(l.size)
}

// add appends whole lines and returns where they begin. Either all of them are
// in the file then or, but for a crash in the middle, none.
func (l *lineFile) add(lines []byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.size
	if _, err := l.f.WriteAt(lines, at); err != nil {
		return at, errors.Join(err, l.f.Truncate(at))
	}
	l.size += int64(len(lines))
	return at, nil
}

func (l *lineFile) length() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size
}

func (l *lineFile) close() error { return errors.Join(l.f.Sync(), l.f.Close()) }

// A journal records what came from where and when. Each line has the time, an
// event (got, set, frozen, refused, changed, evicted), the upstream's prefix,
// a path, a digest or "-", a size in bytes or "-", and a place or reason; the
// fields stand between tabs.
type journal struct{ lines *lineFile }

type event struct {
	what, prefix, path string
	digest             lockfile.Digest
	size               int64
	note               string
}

func (j *journal) record(at time.Time, e event) error {
	digest, size := "-", "-"
	if !e.digest.IsZero() {
		digest = e.digest.String()
	}
	if e.size > 0 {
		size = fmt.Sprint(e.size)
	}
	line := fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s\n", at.UTC().Format(time.RFC3339), e.what, oneField(e.prefix), oneField(e.path), digest, size, oneField(e.note))
	_, err := j.lines.add([]byte(line))
	return err
}

// oneField takes out what would end a field or a line.
func oneField(s string) string {
	if s == "" {
		return "-"
	}
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = ' '
		}
	}
	return string(b[:min(len(b), 1000)])
}
