package sparse_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

// memory is a disk that counts what is written to it.
type memory struct {
	b       []byte
	written int
	writes  int
	broken  int // the number of the writing that fails, from 1 on
}

var errBroken = errors.New("the disk is broken")

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	m.writes++
	if m.writes == m.broken {
		return 0, errBroken
	}
	if end := int(at) + len(p); end > len(m.b) {
		m.b = append(m.b, make([]byte, end-len(m.b))...)
	}
	m.written += len(p)
	return copy(m.b[at:], p), nil
}

// pieces are a content in pieces of sizes around those where the writer does
// something else.
func pieces(seed uint64, n int) (list [][]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	sizes := []int{0, 1, 100, 4095, 4096, 4097, 32<<10 - 1, 32 << 10, 32<<10 + 1, 100_000, 1 << 20, 1<<20 + 1}
	for range n {
		b := bytes.Repeat([]byte{byte(r.IntN(255) + 1)}, sizes[r.IntN(len(sizes))])
		if r.IntN(2) == 0 {
			clear(b)
		} else if len(b) > 50_000 {
			clear(b[r.IntN(len(b)/2) : len(b)/2])
		}
		list = append(list, b)
	}
	return list
}

// However the bytes come, they are what is written.
func TestBytesAreThoseGiven(t *testing.T) {
	for seed := range uint64(8) {
		const from = 777
		var m memory
		want := make([]byte, from)
		w := sparse.NewWriter(&m, from)
		for i, p := range pieces(seed, 40) {
			if n, err := w.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
			want = append(want, p...)
			if i%3 == 0 {
				want = append(want, make([]byte, i*1000)...)
				if err := w.Skip(int64(len(want))); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got := append(m.b, make([]byte, max(0, len(want)-len(m.b)))...) // the size is the caller's
		if !bytes.Equal(got, want) {
			t.Errorf("seed %d: %d bytes are not the %d that were given", seed, len(m.b), len(want))
		}
	}
}

// Zeros are not written, and what is small is written together.
func TestWhatIsWritten(t *testing.T) {
	var m memory
	w := sparse.NewWriter(&m, 0)
	for range 1000 {
		if _, err := w.Write(bytes.Repeat([]byte{1}, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), w.Skip(1<<30)); err != nil || m.writes != 1 || m.written != 1_000_000 {
		t.Errorf("%d writings of %d bytes, %v", m.writes, m.written, err)
	}
	if _, err := w.Write(make([]byte, 8<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || m.writes != 1 {
		t.Errorf("zeros are written: %d writings, %v", m.writes, err)
	}
	if err := w.Skip(1 << 30); err == nil {
		t.Error("it went back")
	}
}

// An error of the disk is one of what asks for the writing.
func TestErrorsOfTheDisk(t *testing.T) {
	for name, act := range map[string]func(w *sparse.Writer) error{
		"a large piece":     func(w *sparse.Writer) error { _, err := w.Write(bytes.Repeat([]byte{1}, 1<<16)); return err },
		"before it":         func(w *sparse.Writer) error { w.Write([]byte("x")); _, err := w.Write(make([]byte, 1<<16)); return err },
		"a full buffer":     func(w *sparse.Writer) error { return fill(w) },
		"skipping":          func(w *sparse.Writer) error { w.Write([]byte("x")); return w.Skip(1 << 20) },
		"flushing":          func(w *sparse.Writer) error { w.Write([]byte("x")); return w.Flush() },
		"flushing the last": func(w *sparse.Writer) error { w.Write(append(make([]byte, 8192), 1)); return w.Flush() },
	} {
		if err := act(sparse.NewWriter(&memory{broken: 1}, 0)); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fill(w *sparse.Writer) error {
	for range 1 << 10 {
		if _, err := w.Write(bytes.Repeat([]byte("12"), 1000)); err != nil {
			return err
		}
	}
	return nil
}

func TestIsZero(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 10_000} {
		b := make([]byte, n)
		if !sparse.IsZero(b) {
			t.Errorf("%d zeros are none", n)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if n > 0 {
				b[at] = 1
				if sparse.IsZero(b) {
					t.Errorf("a byte at %d of %d is overlooked", at, n)
				}
				b[at] = 0
			}
		}
	}
}
