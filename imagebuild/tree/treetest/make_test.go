package treetest_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func TestReversedIsTheSame(t *testing.T) {
	odd := treetest.Odd()
	treetest.Report(t, treetest.Compare(odd, treetest.Reversed(t, odd), treetest.All))
	if s := treetest.Sample(t); s.Len() != 7 || s.Digest() != treetest.Reversed(t, s).Digest() {
		t.Errorf("a sample of %d paths", s.Len())
	}
}

func TestDisks(t *testing.T) {
	if _, err := (treetest.Untouched{}).WriteAt(nil, 0); !errors.Is(err, treetest.ErrWritten) {
		t.Error(err)
	}
	if n, err := (treetest.Nowhere{}).WriteAt([]byte("abc"), 1<<40); n != 3 || err != nil {
		t.Error(n, err)
	}
}

// Each writing that is chosen fails once, the first and the last among them.
func TestBrokenDisks(t *testing.T) {
	for between, want := range map[int64]int{1: 11, 10: 17, 1 << 40: 100} {
		runs, failed := 0, map[int]bool{}
		treetest.RunBroken(t, between, func(w io.WriterAt) error {
			runs++
			for i := range 100 {
				if _, err := w.WriteAt(bytes.Repeat([]byte{1}, i), int64(i)); err != nil {
					failed[i] = true
					return err
				}
			}
			return nil
		})
		if runs != len(failed)+1 || len(failed) < want-2 || len(failed) > want+3 || !failed[0] || !failed[99] {
			t.Errorf("of 100 writings %d fail in %d runs, want some %d", len(failed), runs, want)
		}
	}
}
