package iso

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zlib"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// pack compresses as zisofs does, in blocks of 32 KiB.
func pack(t testing.TB, content []byte) []byte {
	t.Helper()
	le := binary.LittleEndian
	count := (len(content) + 32767) / 32768
	b := append([]byte(zisofsMagic), make([]byte, 8+4*(count+1))...)
	le.PutUint32(b[8:], uint32(len(content)))
	b[12], b[13] = 4, 15
	for i := range count {
		le.PutUint32(b[16+4*i:], uint32(len(b)))
		part := content[i*32768 : min(len(content), (i+1)*32768)]
		if len(bytes.Trim(part, "\x00")) > 0 {
			var packed bytes.Buffer
			w := zlib.NewWriter(&packed)
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			b = append(b, packed.Bytes()...)
		}
		le.PutUint32(b[16+4*(i+1):], uint32(len(b)))
	}
	return b
}

// unpackAll is the content of a file of so many bytes.
func unpackAll(raw []byte, size int64) ([]byte, error) {
	p := &reader{ctx: context.Background()}
	n := tree.Inode{Content: &content{bytes.NewReader(raw), []tree.Extent{{Length: int64(len(raw))}}}}
	z, err := parseZisofs(append([]byte("pz\x04\x0f"), binary.LittleEndian.AppendUint32(nil, uint32(size))...))
	if err != nil {
		return nil, err
	}
	if err := p.unpack(&n, z); err != nil {
		return nil, err
	}
	r, err := n.Content.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestZisofs(t *testing.T) {
	for _, want := range [][]byte{
		{}, []byte("short"), make([]byte, 100_000), treetest.Random(1, 32768), treetest.Random(2, 65537),
		append(append(treetest.Random(3, 32768), make([]byte, 32768*3)...), "text"...),
	} {
		got, err := unpackAll(pack(t, want), int64(len(want)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes are %d, %v", len(want), len(got), err)
		}
	}
}

func TestBadZisofs(t *testing.T) {
	le := binary.LittleEndian
	content := append(treetest.Random(1, 40_000), make([]byte, 60_000)...)
	good := pack(t, content)
	for complaint, change := range map[string]func([]byte) []byte{
		"does not begin so":                       func(b []byte) []byte { b[0]++; return b },
		"compressed: EOF":                         func(b []byte) []byte { return b[:10] },
		"the block 0 is from byte 4294967295 to ": func(b []byte) []byte { le.PutUint32(b[16:], 1<<32-1); return b },
		"the block 1 is from byte ":               func(b []byte) []byte { le.PutUint32(b[24:], 1<<31); return b },
		"the block 0: zlib":                       func(b []byte) []byte { b[le.Uint32(b[16:])] = 0xFF; return b },
		"the block 1: unexpected EOF":             func(b []byte) []byte { le.PutUint32(b[24:], le.Uint32(b[24:])-200); return b },
	} {
		if got, err := unpackAll(change(bytes.Clone(good)), int64(len(content))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%d bytes, %v, want %q", len(got), err, complaint)
		}
	}
	if _, err := unpackAll(good, int64(len(content)+1)); err == nil || !strings.Contains(err.Error(), "does not begin so") {
		t.Errorf("another size: %v", err)
	}
	// What is bounded is the sum.
	p := &reader{ctx: t.Context()}
	var err error
	for range 65 {
		n := tree.Inode{Content: &content1}
		if err = p.unpack(&n, &zisofs{15, 1<<32 - 1}); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "are compressed") {
		t.Errorf("260 GiB: %v", err)
	}
	n := tree.Inode{Content: &content2}
	if err := (&reader{ctx: t.Context()}).unpack(&n, &zisofs{15, 1}); err == nil {
		t.Error("several extents are no error")
	}
}

var (
	content1 = content{strings.NewReader(""), make([]tree.Extent, 1)}
	content2 = content{strings.NewReader(""), make([]tree.Extent, 2)}
)

// Whatever is there, no more comes out than was said.
func FuzzZisofs(f *testing.F) {
	f.Add(pack(f, []byte("text")), uint32(4))
	f.Add(pack(f, append(treetest.Random(1, 33_000), make([]byte, 70_000)...)), uint32(103_000))
	f.Fuzz(func(t *testing.T, raw []byte, size uint32) {
		size %= 1 << 20
		if got, err := unpackAll(raw, int64(size)); err == nil && len(got) != int(size) {
			t.Errorf("%d bytes of %d", len(got), size)
		}
	})
}
