package ext4_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func readFrom(f *os.File) (*tree.Tree, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	v, err := ext4.Read(context.Background(), f, info.Size())
	if err != nil {
		return nil, err
	}
	return v.Tree, nil
}

func TestWriter(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		WriteFile: func(f *os.File, tr *tree.Tree) error {
			o := golden()
			o.Free = 20 << 20
			return writeTo(f, tr, o)
		},
		Golden: "f35de148edf689462af993a6c7fe8b1f9696b7b3df7434770de5e39c9d38cb18",
		Read:   readFrom,
		Holds:  treetest.All,
	})
}

// sample is a small file system.
func sample(t testing.TB) []byte {
	t.Helper()
	var b tree.Builder
	file := treetest.File(0o644, strings.Repeat("0123456789", 1500))
	file.Xattrs = []tree.Xattr{{Name: "user.large", Value: strings.Repeat("x", 500)}}
	for path, n := range map[string]tree.Inode{"dir": {Mode: tree.Directory | 0o755}, "dir/file": file,
		"link": {Mode: tree.Symlink, Target: "dir/file"}, "null": {Mode: tree.CharDev | 0o600, Major: 1, Minor: 3}} {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(image(t, tr, ext4.Options{NoJournal: true}).Name())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBadVolumes(t *testing.T) {
	good := sample(t)
	for complaint, change := range map[string]func(b []byte) []byte{
		"the superblock: EOF":           func(b []byte) []byte { return b[:100] },
		"the superblock: there is none": func(b []byte) []byte { b[1024+0x38]++; return b },
		"checksum is wrong":             func(b []byte) []byte { b[1024+0x78]++; return b },
		"features that are not":         func(b []byte) []byte { b[1024+0x60]++; ext4.FixSums(b); return b },
		"it is cut off":                 func(b []byte) []byte { return b[:len(b)-4096] },
		"the checksum of inode 2":       func(b []byte) []byte { b[4*4096+256]++; return b },
	} {
		bad := change(bytes.Clone(good))
		if _, err := ext4.Read(t.Context(), bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// What only a lie with right checksums brings about.
func TestHostileVolumes(t *testing.T) {
	good := sample(t)
	at := func(what string) int {
		i := bytes.Index(good, []byte(what))
		if i < 0 {
			t.Fatalf("no %q", what)
		}
		return i
	}
	entry := at("link") - 8 // in the root's block
	table := 4096 * int(good[4096+8])
	xattr := at("\x00\x00\x02\xea\x01\x00\x00\x00") + 32
	for complaint, change := range map[string]func(b []byte){
		"/link: wrong extents":              func(b []byte) { b[table+(13-1+1)*256+4] = 60 },
		"wrong extended attributes":         func(b []byte) { b[xattr+3] = 0xFF },
		"a wrong entry of a directory":      func(b []byte) { b[entry+4] = 6 },
		"the inode 4294967295 is not there": func(b []byte) { copy(b[entry:], "\xff\xff\xff\xff") },
		"a slash":                           func(b []byte) { b[entry+8] = '/' },
		"directory":                         func(b []byte) { b[entry] = 2 },
		"wrong extents":                     func(b []byte) { b[table+256+0x28] = 0 },
		"inode 13 has 140 bytes besides":    func(b []byte) { b[table+(13-1)*256+0x80] = 140 },
		"inode 13 has encrypted data":       func(b []byte) { b[table+(13-1)*256+0x21] |= 8 },
		"features that are not supported: compression, meta_bg, inline_data, encrypt, FEATURE_I31": func(b []byte) {
			le := binary.LittleEndian
			le.PutUint32(b[1024+0x60:], le.Uint32(b[1024+0x60:])|0x80018011)
		},
		"its journal is to be played back, which is not supported; e2fsck does it": func(b []byte) { b[1024+0x60] |= 4 },
		"blocks of 65536 and inodes of 256": func(b []byte) {
			le := binary.LittleEndian
			le.PutUint32(b[1024+0x18:], 6)
			clear(b[1024+4 : 1024+5])
			le.PutUint32(b[1024+4:], 1)
			le.PutUint32(b[1024+8:], 0)
			le.PutUint32(b[1024+12:], 0)
		},
		"blocks of 4096 and inodes of 192":        func(b []byte) { b[1024+0x58], b[1024+0x59] = 192, 0 },
		"groups of 0 blocks":                      func(b []byte) { copy(b[1024+0x20:], "\x00\x00\x00\x00") },
		"groups of 32768 blocks from the block 2": func(b []byte) { b[1024+0x14] = 2 },
		"wrong numbers of inodes":                 func(b []byte) { b[1024+0x28]++ },
		"described in 63 bytes":                   func(b []byte) { b[1024+0xFE] = 63 },
		"an inode table is not there":             func(b []byte) { copy(b[4096+0x28:], "\x00\x01") },
		"holes that are too large":                func(b []byte) { b[table+(13-1)*256+0x6C] = 1 },
		"a directory of a wrong size":             func(b []byte) { b[table+256+6] = 0xF0; b[table+256+7] = 0xFF },
	} {
		bad := bytes.Clone(good)
		change(bad)
		ext4.FixSums(bad)
		if _, err := ext4.Read(t.Context(), bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func FuzzRead(f *testing.F) {
	good := sample(f)
	f.Add(uint32(0x1000), []byte{1})
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := bytes.Clone(good)
		copy(b[at%uint32(len(b)):], change)
		ext4.FixSums(b)
		if v, err := ext4.Read(t.Context(), bytes.NewReader(b), int64(len(b))); err == nil {
			if err := treetest.Read(v.Tree); err != nil {
				t.Fatal(err)
			}
		}
	})
}
