package xz

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	other "github.com/mikelolasagasti/xz"
)

const most = 128 << 20

// sample is a text with all that compression makes use of: runs, repeats near
// and far, and noise that does not compress.
func sample(size int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 7))
	b := make([]byte, 0, size)
	for len(b) < size {
		switch n := r.IntN(300) + 1; r.IntN(4) {
		case 0:
			b = append(b, bytes.Repeat([]byte{byte(r.IntN(256))}, n)...)
		case 1:
			for range n {
				b = append(b, byte(r.IntN(256)))
			}
		default:
			if len(b) > 0 {
				from := r.IntN(len(b))
				b = append(b, b[from:min(from+n, len(b))]...)
			}
			b = append(b, "some words "[:r.IntN(11)]...)
		}
	}
	return b[:size]
}

// packed is what the real xz makes of data.
func packed(t testing.TB, data []byte, args ...string) []byte {
	t.Helper()
	path, err := exec.LookPath("xz")
	if err != nil {
		t.Skip("xz is needed: install xz-utils")
	}
	cmd := exec.Command(path, append([]string{"-c"}, args...)...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("xz %v: %v", args, err)
	}
	return out
}

// unpack reads a file that fits, in pieces of no particular size.
func unpack(file []byte) ([]byte, error) {
	r, err := NewReader(bytes.NewReader(file), most)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	_, err = io.CopyBuffer(struct{ io.Writer }{&out}, struct{ io.Reader }{r}, make([]byte, 777))
	return out.Bytes(), err
}

func TestWhatXZMakes(t *testing.T) {
	noise := make([]byte, 100_000)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	contents := map[string][]byte{
		"nothing": nil, "a byte": {'x'}, "text": sample(100_000, 1), "zeros": make([]byte, 600_000), "noise": noise,
		"much": sample(5<<20, 2), // more than a window and what is moved at a time
	}
	for name, data := range contents {
		for _, args := range []string{
			"-0", "-6", "-9e", "--check=none", "--check=crc32", "--check=sha256", "-T2 --block-size=100000", "--block-size=65536 --check=sha256",
			"--lzma2=dict=4KiB", "--lzma2=dict=64KiB,lc=0,lp=4,pb=0", "--lzma2=dict=1MiB,lc=4,lp=0,pb=4", "--lzma2=dict=1536KiB,lc=1,lp=3",
		} {
			if name == "much" && args != "--lzma2=dict=64KiB,lc=0,lp=4,pb=0" {
				continue // it would take long
			}
			t.Run(name+" "+args, func(t *testing.T) {
				file := packed(t, data, strings.Fields(args)...)
				if !Fits(file[:min(len(file), HeadBytes)]) {
					t.Fatal("it does not fit")
				}
				got, err := unpack(file)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, not the %d: %v", len(got), len(data), err)
				}
			})
		}
	}
}

// Streams follow each other, with zeros between.
func TestSeveralStreams(t *testing.T) {
	a, b := packed(t, []byte("one "), "--check=crc32"), packed(t, []byte("two"))
	zeros := make([]byte, 8)
	for _, file := range [][]byte{bytes.Join([][]byte{a, b}, nil), bytes.Join([][]byte{a, b}, zeros), bytes.Join([][]byte{a, b, nil}, zeros)} {
		if got, err := unpack(file); err != nil || string(got) != "one two" {
			t.Errorf("%q, %v", got, err)
		}
	}
	for _, after := range []string{"\x00", "\x00\x00\x00", "junk", "\x00\x00\x00\x00x", string(b[:20])} {
		if _, err := unpack([]byte(string(a) + after)); err == nil {
			t.Errorf("%q behind the end was passed over", after)
		}
	}
}

// No damage of a byte that changes what comes out, and no end before the end,
// goes unnoticed.
func TestDamage(t *testing.T) {
	data := sample(900, 3)
	for _, args := range [][]string{{"--check=crc32"}, {"--check=sha256", "--block-size=400"}} {
		file := packed(t, data, args...)
		for i := range file {
			for _, bit := range []byte{1, 0x80} {
				bad := bytes.Clone(file)
				bad[i] ^= bit
				// Some say how to decode what is not there to be decoded.
				if got, err := unpack(bad); err == nil && !bytes.Equal(got, data) {
					t.Errorf("%v: byte %d ^ %#x: other bytes and no error", args, i, bit)
				}
			}
			if _, err := unpack(file[:i]); err == nil {
				t.Errorf("%v: cut off at %d: no error", args, i)
			}
		}
	}
}

// What has other filters, or wants too much memory, is told apart.
func TestOthersDoNotFit(t *testing.T) {
	for _, args := range []string{"--x86 --lzma2", "--delta --lzma2", "--format=lzma"} {
		file := packed(t, sample(1000, 4), strings.Fields(args)...)
		if Fits(file[:min(len(file), HeadBytes)]) {
			t.Errorf("%s fits", args)
		}
	}
	file := packed(t, sample(1000, 5), "--lzma2=dict=64MiB")
	r, err := NewReader(bytes.NewReader(file), 32<<20)
	if err == nil {
		_, err = io.ReadAll(r)
	}
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a window of 64 MiB where 32 are allowed: %v", err)
	}
	for _, head := range []string{"", "plain text", magic, magic + "\x00\x03......"} {
		if Fits([]byte(head)) {
			t.Errorf("%q fits", head)
		}
	}
}

// FuzzReader holds the decoder to another one: what both accept has the same
// bytes, and this one accepts nothing that the other refuses.
func FuzzReader(f *testing.F) {
	for i, args := range [][]string{{"-6"}, {"--check=none", "--lzma2=dict=4KiB,lc=0,lp=2,pb=0"}, {"--block-size=500", "--check=crc32"}, {"-0"}} {
		f.Add(packed(f, sample(2000, uint64(i)), args...), false)
		f.Add(packed(f, sample(200, uint64(i)), args...), true)
	}
	f.Fuzz(func(t *testing.T, file []byte, raw bool) {
		if raw {
			// The chunks alone, so that no sum hides what they can do.
			d := &lzma2{}
			d.begin(bytes.NewReader(file), 1<<16)
			for range 100 {
				if d.next() != nil {
					return
				}
				d.read = d.pos
			}
			return
		}
		if !Fits(file[:min(len(file), HeadBytes)]) {
			return
		}
		got, err := unpack(file)
		if err != nil {
			return
		}
		r, err := other.NewReader(bytes.NewReader(file), most)
		if err != nil {
			t.Fatalf("the other refuses it: %v", err)
		}
		want, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, the other has %d: %v", len(got), len(want), err)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	data := sample(4<<20, 6)
	file := packed(b, data)
	for _, c := range []struct {
		name string
		open func() (io.Reader, error)
	}{
		{"this", func() (io.Reader, error) { return NewReader(bytes.NewReader(file), most) }},
		{"other", func() (io.Reader, error) { return other.NewReader(bytes.NewReader(file), most) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r, err := c.open()
				if err == nil {
					_, err = io.Copy(io.Discard, r)
				}
				if err != nil {
					b.Fatal(fmt.Errorf("%s: %w", c.name, err))
				}
			}
		})
	}
}
