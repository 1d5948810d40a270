package erofs_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// smallImage is a file system of ours in memory, of one file.
func smallImage(t testing.TB, c erofs.Compression) []byte {
	tr := treetest.Of(t, map[string]tree.Inode{"file": treetest.File(0o644, strings.Repeat("content", 4000))})
	o := erofs.Options{UUID: [16]byte{7}, Label: "samebits", BuildTime: treetest.Epoch, Compression: c}
	return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func TestSuperIsWhatWasWritten(t *testing.T) {
	for c, want := range map[erofs.Compression][]string{erofs.None: nil, erofs.LZ4: {"lz4"}, erofs.Zstd: {"zstd"}} {
		b := smallImage(t, c)
		s, err := erofs.ReadSuper(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.Compression, want) || s.UUID != [16]byte{7} || s.Label != "samebits" || s.BuildTime != treetest.Epoch ||
			s.BlockSize != 4096 || s.Size != int64(len(b)) || s.Inodes != 2 || !s.Checksum {
			t.Errorf("%s: %+v", c, s)
		}
	}
}

func TestSuperRefuses(t *testing.T) {
	good := smallImage(t, erofs.None)
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		want   string
	}{
		"cut off":        {func(b []byte) []byte { return b[:4096] }, "it says to have"},
		"nothing":        {func([]byte) []byte { return nil }, "EOF"},
		"no magic":       {func(b []byte) []byte { b[1024] = 0; return b }, "there is none"},
		"a flipped bit":  {func(b []byte) []byte { b[1024+50] ^= 1; return b }, "its checksum is"},
		"too large":      {func(b []byte) []byte { b[1024+12] = 40; return b }, "blocks of 2^40 bytes"},
		"a wrong moment": {func(b []byte) []byte { b[1024+35] = 0xFF; return b }, "more than a second"},
	} {
		b := c.damage(bytes.Clone(good))
		if _, err := erofs.ReadSuper(bytes.NewReader(b), int64(len(b))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What mkfs.erofs writes is as dump.erofs says, also what Read does not know.
func TestSupersOfMkfs(t *testing.T) {
	for _, program := range []string{"mkfs.erofs", "dump.erofs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), bytes.Repeat([]byte("content"), 4000), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{nil, {"-zlz4hc", "-C65536", "-Eztailpacking,fragments"}} {
		path := filepath.Join(t.TempDir(), "fs")
		if out, err := exec.Command("mkfs.erofs", append(options, "-U", "11111111-2222-3333-4444-555555555555", path, dir)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		s, err := erofs.ReadSuper(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("dump.erofs", "-s", path).Output()
		if err != nil {
			t.Fatal(err)
		}
		_, features, _ := strings.Cut(string(out), "Filesystem features:")
		features, _, _ = strings.Cut(features, "\n")
		for _, f := range strings.Fields(features) { // older programs do not name all
			if !slices.Contains(s.Features, f) {
				t.Errorf("%v: features %q, and dump.erofs says %q", options, s.Features, features)
			}
		}
		if s.UUID[0] != 0x11 || s.UUID[15] != 0x55 || !s.Checksum || (len(s.Compression) > 0) != (options != nil) {
			t.Errorf("%v: %+v", options, s)
		}
	}
}

func FuzzReadSuper(f *testing.F) {
	f.Add(smallImage(f, erofs.Zstd)[:8192], int64(1<<30))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		s, err := erofs.ReadSuper(bytes.NewReader(b), size)
		if err == nil && (s.Size > size || s.BlockSize < 512 || s.BuildTime.Nsec >= 1e9) {
			t.Errorf("%+v", s)
		}
	})
}
