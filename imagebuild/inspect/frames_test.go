package inspect

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// frameOf compresses with some settings.
func frameOf(t testing.TB, content []byte, o ...zstd.EOption) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, o...)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(content, nil)
}

// A frame ends where the next thing begins, whatever its header has.
func TestFramesEndWhereTheyDo(t *testing.T) {
	contents := map[string][]byte{
		"nothing": nil, "few": []byte("few"), "255": bytes.Repeat([]byte("0123456789abcde"), 17), "thousands": bytes.Repeat([]byte("text"), 3000),
		"one byte's": make([]byte, 1<<20), "many": []byte(strings.Repeat("All of it follows from the lock. ", 40_000)),
	}
	for name, content := range contents {
		for i := range 8 {
			packed := frameOf(t, content, zstd.WithEncoderCRC(i&1 != 0), zstd.WithSingleSegment(i&2 != 0), zstd.WithZeroFrames(true), zstd.WithEncoderLevel(zstd.EncoderLevel(1+i/4)))
			r := bufio.NewReader(io.MultiReader(bytes.NewReader(packed), strings.NewReader("behind")))
			u, err := oneStream(".zst", r)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(u)
			u.Close()
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s, %d: %d bytes, %v", name, i, len(got), err)
			}
			if rest, err := io.ReadAll(r); err != nil || string(rest) != "behind" {
				t.Errorf("%s, %d: behind it is %q, %v", name, i, rest, err)
			}
		}
	}
}

func TestMembersEndWhereTheyDo(t *testing.T) {
	var packed bytes.Buffer
	for _, text := range []string{"first", "second"} {
		z := gzip.NewWriter(&packed)
		if _, err := io.WriteString(z, text); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r := bufio.NewReader(&packed)
	for _, want := range []string{"first", "second"} {
		u, err := oneStream(".gz", r)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(u); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}

func TestBadFrames(t *testing.T) {
	good := frameOf(t, []byte(strings.Repeat("text", 1000)))
	for name, b := range map[string][]byte{
		"another number":  append([]byte("\x28\xb5\x2f\xfe"), good[4:]...),
		"to be skipped":   []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip"),
		"cut in a block":  good[:len(good)-9],
		"cut in the head": good[:5],
		"a reserved kind": append(bytes.Clone(good[:6]), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF),
	} {
		_, err := io.ReadAll(&frame{r: bufio.NewReader(bytes.NewReader(b))})
		if !errors.Is(err, errFrame) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// steps is a source that counts how often it is opened.
type steps struct {
	content string
	opened  int
}

func (s *steps) open() (io.ReadCloser, error) {
	s.opened++
	return io.NopCloser(struct{ io.Reader }{strings.NewReader(s.content)}), nil
}

// What can only be read from the beginning is read at random by beginning again,
// but not as long as it goes forward.
func TestReadingAgain(t *testing.T) {
	s := &steps{content: "0123456789"}
	r := source{size: 10, open: s.open}.random().at
	for _, c := range []struct {
		at, length int64
		want       string
		opened     int
		err        error
	}{
		{2, 3, "234", 1, nil}, {5, 2, "56", 1, nil}, {9, 1, "9", 1, nil}, {0, 4, "0123", 2, nil}, {4, 10, "456789", 2, io.EOF}, {20, 1, "", 2, io.EOF}, {3, 1, "3", 3, nil},
	} {
		b := make([]byte, c.length)
		n, err := r.ReadAt(b, c.at)
		if string(b[:n]) != c.want || !errors.Is(err, c.err) || s.opened != c.opened {
			t.Errorf("at %d: %q, %v, opened %d times, want %q, %v, %d", c.at, b[:n], err, s.opened, c.want, c.err, c.opened)
		}
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("before the beginning there is something")
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	s := source{size: 10, open: (&steps{content: "0123456789"}).open}
	if b, err := s.all(10); err != nil || len(b) != 10 {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.all(9); !errors.Is(err, errTooLong) {
		t.Error(err)
	}
}

// A kernel's version is where the boot protocol says, if that is in what is read.
func TestKernelVersion(t *testing.T) {
	b := make([]byte, 0x1000)
	copy(b[0x202:], "HdrS")
	b[0x20E], b[0x20F] = 0x00, 0x0D
	copy(b[0xF00:], "6.1.0 (someone) #1\x00")
	at := func(b []byte) source { return source{at: bytes.NewReader(b), size: int64(len(b))} }
	if got := kernelVersion(at(b)); got != "6.1.0 (someone) #1" {
		t.Errorf("it is %q", got)
	}
	for _, cut := range []int{0, 0x200, 0xF00, 0xF05} {
		if got := kernelVersion(at(b[:cut])); got != "" {
			t.Errorf("of %d bytes it is %q", cut, got)
		}
	}
}

// Archives of before there was a magic number are known by their sums.
func TestOldTar(t *testing.T) {
	b := make([]byte, 1024)
	copy(b, "name")
	copy(b[100:], "0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00")
	sum := 8 * int(' ')
	for i, c := range b[:512] {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	if !isTar(b, source{}) {
		t.Error("an archive is none")
	}
	b[0]++
	if isTar(b, source{}) || isTar(b[:100], source{}) || isTar(make([]byte, 512), source{}) {
		t.Error("what is no archive is one")
	}
}
