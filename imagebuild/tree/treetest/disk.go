package treetest

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"testing"
)

// ErrWritten is the error of [Untouched].
var ErrWritten = errors.New("something was written")

// Untouched is a disk for writers that should find out first what they cannot
// hold: each writing fails with [ErrWritten].
type Untouched struct{}

// WriteAt implements [io.WriterAt].
func (Untouched) WriteAt([]byte, int64) (int, error) { return 0, ErrWritten }

// Nowhere is a disk that keeps nothing.
type Nowhere struct{}

// WriteAt implements [io.WriterAt].
func (Nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

var errBroken = errors.New("the disk is broken")

// failingDisk fails at one writing, and not at those after it.
type failingDisk struct {
	file *os.File
	left atomic.Int64
}

func (d *failingDisk) WriteAt(p []byte, at int64) (int, error) {
	if d.left.Add(-1) == -1 {
		return 0, errBroken
	}
	return d.file.WriteAt(p, at)
}

// RunBroken fails a test whose writer does not fail when one of its writings
// does: each of the first and last five, and so many between, evenly.
func RunBroken(t *testing.T, between int64, write func(w io.WriterAt) error) {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const enough = 1 << 40
	d := &failingDisk{file: f}
	d.left.Store(enough)
	if err := write(d); err != nil {
		t.Fatal(err)
	}
	writes := enough - d.left.Load()
	step := max(1, writes/between)
	for n := range writes {
		if n >= 5 && n < writes-5 && n%step != 0 {
			continue
		}
		d.left.Store(n)
		if err := write(d); !errors.Is(err, errBroken) {
			t.Errorf("the writing %d of %d failed, and the error is %v", n, writes, err)
		}
	}
}
