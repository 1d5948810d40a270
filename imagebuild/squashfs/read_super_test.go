package squashfs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// smallImage is a file system of ours in memory, of one file.
func smallImage(t testing.TB) []byte {
	tr := treetest.Of(t, map[string]tree.Inode{"file": treetest.File(0o644, "content")})
	o := squashfs.Options{Time: 1_772_323_200}
	return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestSuperIsWhatWasWritten(t *testing.T) {
	b := smallImage(t)
	s, err := squashfs.ReadSuper(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if s.Compression != "zstd" || s.BlockSize != 128<<10 || s.Time != 1_772_323_200 || s.Inodes != 2 || s.Fragments != 1 || s.Owners != 1 || s.Xattrs || !s.Exportable {
		t.Errorf("%+v", s)
	}
}

func TestSuperRefuses(t *testing.T) {
	good := smallImage(t)
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"cut off":           {func(b []byte) []byte { return b[:100] }, "it says to have"},
		"nothing":           {func([]byte) []byte { return nil }, "EOF"},
		"no magic":          {func(b []byte) []byte { b[0] = 0; return b }, "there is none"},
		"another version":   {func(b []byte) []byte { b[28] = 3; return b }, "version 3.0"},
		"another method":    {func(b []byte) []byte { b[20] = 7; return b }, "method 7"},
		"another log":       {func(b []byte) []byte { b[22] = 12; return b }, "its blocks have"},
		"a size of 64 bits": {func(b []byte) []byte { b[47] = 0xFF; return b }, "it says to have"},
	} {
		b := c.damage(bytes.Clone(good))
		if _, err := squashfs.ReadSuper(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What mksquashfs writes, in each of its compressions, is as unsquashfs says.
func TestSupersOfMksquashfs(t *testing.T) {
	for _, program := range []string{"mksquashfs", "unsquashfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, compression := range []string{"gzip", "lzo", "xz", "lz4", "zstd"} {
		path := filepath.Join(t.TempDir(), "fs")
		if out, err := exec.Command("mksquashfs", dir, path, "-quiet", "-no-progress", "-comp", compression, "-b", "64K").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := squashfs.ReadSuper(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("unsquashfs", "-stat", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		said := string(out)
		for _, want := range []string{
			"Compression " + s.Compression, "Block size " + strconv.Itoa(s.BlockSize), "Filesystem size " + strconv.FormatInt(s.Used, 10) + " bytes",
			"Number of inodes " + strconv.FormatInt(s.Inodes, 10), "Number of fragments " + strconv.FormatInt(s.Fragments, 10), "Number of ids " + strconv.Itoa(s.Owners),
		} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: %+v, and unsquashfs says %s", compression, s, said)
				break
			}
		}
		if s.Compression != compression || s.BlockSize != 64<<10 {
			t.Errorf("%s: %+v", compression, s)
		}
	}
}

func FuzzReadSuper(f *testing.F) {
	f.Add(smallImage(f)[:96], int64(1<<20))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		s, err := squashfs.ReadSuper(bytes.NewReader(b), size)
		if err == nil && (s.Used > size || s.BlockSize < 4096 || s.BlockSize > 1<<20 || s.Compression == "") {
			t.Errorf("%+v", s)
		}
	})
}
