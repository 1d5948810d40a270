package squashfs

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Machine code that mksquashfs filtered before xz is as it was.
func TestFilteredCode(t *testing.T) {
	program, err := exec.LookPath("mksquashfs")
	if err != nil {
		t.Skip(err)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	source, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(filepath.Join(source, "code"), code, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mksquashfs", source, image, "-quiet", "-no-progress", "-comp", "xz", "-Xbcj", "x86").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	raw, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	// The header of a block says that there are two filters, and the sizes.
	if !bytes.Contains(raw, []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x04\xc1")) {
		t.Fatal("nothing in the image was filtered")
	}
	i, err := Read(t.Context(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := i.Tree.Lookup("code")
	r, err := n.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || i.Compression != "xz" || !bytes.Equal(got, code) {
		t.Errorf("%d bytes of %d by %s, %v", len(got), len(code), i.Compression, err)
	}
}

// Of a bomb no more is unpacked than a block may have.
func TestBombs(t *testing.T) {
	if _, err := exec.LookPath("xz"); err != nil {
		t.Skip(err)
	}
	for _, c := range []struct{ options, complaint string }{
		{"--lzma2=dict=1MiB", "a block of more than 1048576 bytes"},
		{"--x86 --lzma2=dict=1MiB", "a block of more than 1048576 bytes"},
		{"--lzma2=dict=2MiB", "memory"},
		{"--x86 --lzma2=dict=2MiB", "exceeds max"},
	} {
		cmd := exec.Command("xz", append([]string{"-c", "--check=crc32"}, strings.Fields(c.options)...)...)
		cmd.Stdin = io.LimitReader(zeroes{}, 4<<20)
		bomb, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDecompressor(methodXZ)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := d.decompress(bomb, maxBlock); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%s: %d bytes, %v, want %q", c.options, len(out), err, c.complaint)
		}
	}
}

type zeroes struct{}

func (zeroes) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// Whatever a block has, no more comes out than may.
func FuzzDecompress(f *testing.F) {
	f.Add(uint16(methodLZ4), []byte("\x1fa\x01\x00\x40\x50aaaaa"))
	f.Add(uint16(methodXZ), []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x16"))
	f.Add(uint16(methodXZ), []byte("\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36\x02\x01\x04\x00\x21\x01\x16"))
	f.Add(uint16(methodGzip), []byte("\x78\x9c\x4b\x04\x00\x00\x62\x00\x62"))
	f.Fuzz(func(t *testing.T, method uint16, b []byte) {
		d, err := newDecompressor(method % 8)
		if err != nil {
			return
		}
		if out, err := d.decompress(b, metaSize); err == nil && len(out) > metaSize {
			t.Errorf("%d bytes", len(out))
		}
	})
}
