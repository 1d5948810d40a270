package erofs_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// edges is a tree of files whose ends are where ways of storing end.
func edges(t testing.TB) *tree.Tree {
	inodes := map[string]tree.Inode{
		"time":   {Mode: tree.Regular, ModTime: tree.Time{Sec: -1 << 62, Nsec: 999_999_999}},
		"future": {Mode: tree.Regular, ModTime: tree.Time{Sec: 1 << 62, Nsec: 1}},
		"device": {Mode: tree.CharDev, Major: 4095, Minor: 1<<20 - 1},
		"block":  {Mode: tree.BlockDev | 0o600, Major: 8, Minor: 256, ModTime: treetest.Epoch},
		"owner":  {Mode: tree.Regular | 0o600, UID: 65535, GID: 65535, ModTime: treetest.Epoch},
		"owner2": {Mode: tree.Regular | 0o600, UID: 65536, ModTime: treetest.Epoch},
		"group":  {Mode: tree.Regular | 0o600, GID: 65536, ModTime: treetest.Epoch},
		"value":  {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "user.value", Value: string(treetest.Random(1, 1<<16-1))}}},
		"name":   {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "trusted." + strings.Repeat("n", 247), Value: ""}}},
		"link":   {Mode: tree.Symlink, Target: strings.Repeat("t", 4095)},
		"linked": {Mode: tree.Symlink, Target: "x", Xattrs: []tree.Xattr{{Name: "security.x", Value: "of a link"}}},
		"holes":  treetest.Holes(500_000, []tree.Extent{{Offset: 8192, Length: 100}, {Offset: 400_000, Length: 100_000}}),
		"zeros":  treetest.Holes(1<<20, nil),
		"tail":   treetest.Holes(200_001, []tree.Extent{{Offset: 200_000, Length: 1}}),
	}
	for _, size := range []int{1, 3967, 3968, 4031, 4032, 4033, 4064, 4095, 4096, 4097, 8192, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1 << 20, 1<<20 + 1, 1<<20 + 4097} {
		for kind, content := range map[string][]byte{
			"random": treetest.Random(uint64(size), size), "text": bytes.Repeat([]byte("some text; "), size)[:size],
			"mixed": append(bytes.Repeat([]byte{7}, size/2), treetest.Random(2, size-size/2)...),
		} {
			n := treetest.File(0o644, string(content))
			if size%2 == 0 {
				n.ModTime = tree.Time{Sec: 5}
			}
			inodes[fmt.Sprintf("%s-%d", kind, size)] = n
		}
	}
	return treetest.Of(t, inodes)
}

func TestEdgesAreHeld(t *testing.T) {
	tr := edges(t)
	for name, o := range kinds() {
		f := image(t, tr, o)
		got, err := readFrom(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, differences := range [][]string{
			treetest.Compare(tr, got, treetest.All),
			// Linux has no moments that far away.
			slices.DeleteFunc(treetest.Compare(tr, imagetest.Mounted(t, "erofs", f.Name()), treetest.All), func(d string) bool {
				return strings.HasPrefix(d, "/time: time") || strings.HasPrefix(d, "/future: time")
			}),
		} {
			treetest.Report(t, differences)
			if len(differences) > 0 {
				t.Errorf("these are the differences of %s", name)
			}
		}
		if name != "zstd" {
			imagetest.Tool(t, "fsck.erofs", f.Name())
		}
	}
}

// More links than a small inode counts, and directories of many blocks.
func TestLargeDirectories(t *testing.T) {
	var b tree.Builder
	err := b.Add("first", tree.Inode{Mode: tree.Regular | 0o644, ModTime: treetest.Epoch})
	for i := range 66_000 {
		err = errors.Join(err, b.Link(fmt.Sprintf("l%05d", i), "first"))
	}
	err = errors.Join(err, b.Add("long", tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}))
	for i := range 3000 {
		err = errors.Join(err, b.Add("long/"+strings.Repeat("n", 1+i%250)+fmt.Sprintf("%05d", i), tree.Inode{Mode: tree.Fifo | 0o600}))
	}
	if err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := image(t, tr, kinds()["plain"])
	imagetest.Tool(t, "fsck.erofs", f.Name())
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	// All links are compared by one of them: each would tell of all.
	long, err := tree.Sub(got, "long")
	if err != nil {
		t.Fatal(err)
	}
	want, err := tree.Sub(tr, "long")
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(want, long, treetest.All))
	if n, found := got.Lookup("l65999"); !found || n.LinkCount() != 66_001 {
		t.Errorf("a file of 66,001 links has %d", n.LinkCount())
	}
}

// Files of the time of the file system have the smaller inodes.
func TestSmallInodes(t *testing.T) {
	inodes := map[string]tree.Inode{}
	for i := range 4096 {
		inodes[fmt.Sprint(i)] = tree.Inode{Mode: tree.Regular | 0o644, ModTime: treetest.Epoch}
	}
	tr := treetest.Of(t, inodes)
	size := func(o erofs.Options) int64 {
		info, err := image(t, tr, o).Stat()
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if small, large := size(erofs.Options{BuildTime: treetest.Epoch}), size(erofs.Options{}); large-small != 32*4096 {
		t.Errorf("%d bytes with the time of the files, and %d without", small, large)
	}
}

// Whichever writing fails, so does the whole.
func TestErrorsOfTheDisk(t *testing.T) {
	tr := edges(t)
	for name, o := range kinds() {
		t.Run(name, func(t *testing.T) {
			treetest.RunBroken(t, 25, func(w io.WriterAt) error {
				_, err := erofs.Write(t.Context(), w, tr, o)
				return err
			})
		})
	}
}

// A tree that was put together in the reverse order is the same one.
func TestOrderOfConstruction(t *testing.T) {
	write := func(tr *tree.Tree) []byte {
		return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, kinds()["lz4"]) })
	}
	if odd := treetest.Odd(); !bytes.Equal(write(odd), write(treetest.Reversed(t, odd))) {
		t.Error("the bytes depend on the order of construction")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, o := range kinds() {
		for range 20 { // what comes first is by chance
			if _, err := erofs.Write(ctx, treetest.Untouched{}, treetest.Odd(), o); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: a cancelled writing: %v", name, err)
			}
		}
	}
	raw := sample(t, erofs.Options{})
	if _, err := erofs.Read(ctx, bytes.NewReader(raw), int64(len(raw))); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled reading: %v", err)
	}
}

// fixSum makes the checksum of the superblock right.
func fixSum(b []byte) {
	copy(b[1028:], "\x00\x00\x00\x00")
	binary.LittleEndian.PutUint32(b[1028:], ^crc32.Checksum(b[1024:4096], crc32.MakeTable(crc32.Castagnoli)))
}

// What only a lie with a right checksum brings about is an error, and no panic.
func TestHostileImages(t *testing.T) {
	text := treetest.File(0o644, strings.Repeat("text ", 9000))
	tr := treetest.Of(t, map[string]tree.Inode{"large": text, "symlink": {Mode: tree.Symlink, Target: "thetarget"},
		"sub": {Mode: tree.Directory | 0o755}, "sub/file": treetest.File(0o644, "inside"),
		"xattr": {Mode: tree.Regular, Xattrs: []tree.Xattr{{Name: "user.theattribute", Value: "thevalue"}}},
		"holes": treetest.Holes(1<<20, []tree.Extent{{Offset: 1 << 19, Length: 5}})})
	le := binary.LittleEndian
	for _, c := range []struct {
		kind      erofs.Compression
		complaint string
		change    func(b []byte, at func(string) int)
	}{
		{erofs.None, "features that are not known: incompat_0x80000000", func(b []byte, _ func(string) int) { le.PutUint32(b[1024+80:], 1<<31) }},
		{erofs.None, "/: it is cut off", func(b []byte, _ func(string) int) { le.PutUint16(b[1024+14:], 0xFFFF) }},
		{erofs.None, "/: a file", func(b []byte, at func(string) int) { le.PutUint16(b[4096+4:], 0o100644) }},
		{erofs.None, "more than a second of nanoseconds", func(b []byte, _ func(string) int) { le.PutUint32(b[1024+32:], 1e9) }},
		{erofs.None, "/: names that begin at 0", func(b []byte, at func(string) int) { le.PutUint16(b[rootEntries(b)+8:], 0) }},
		{erofs.None, "/: names that begin at 13", func(b []byte, at func(string) int) { le.PutUint16(b[rootEntries(b)+8:], 13) }},
		{erofs.None, "/: a name from ", func(b []byte, at func(string) int) { le.PutUint16(b[rootEntries(b)+12+8:], 4000) }},
		{erofs.None, "slash", func(b []byte, at func(string) int) { b[at("symlink")+2] = '/' }},
		{erofs.None, "it is cut off", func(b []byte, at func(string) int) { le.PutUint64(b[rootEntries(b)+2*12:], 1<<44) }},
		{erofs.None, "directory", func(b []byte, at func(string) int) { // an entry leads back to the root
			for e := rootEntries(b); e < rootEntries(b)+8*12; e += 12 {
				if b[e+10] == 2 && le.Uint64(b[e:]) != 4096/32 {
					le.PutUint64(b[e:], 4096/32)
				}
			}
		}},
		{erofs.None, "symlink: a symbolic link of 4096 bytes", func(b []byte, at func(string) int) { le.PutUint64(b[at("thetarget")-64+8:], 4096) }},
		{erofs.None, "symlink: a symbolic link of 0 bytes", func(b []byte, at func(string) int) { le.PutUint64(b[at("thetarget")-64+8:], 0) }},
		{erofs.None, "symlink: an inode with a size or time", func(b []byte, at func(string) int) { le.PutUint64(b[at("thetarget")-64+8:], 1<<63) }},
		{erofs.None, "symlink: an inode with a size or time", func(b []byte, at func(string) int) { le.PutUint32(b[at("thetarget")-64+40:], 1e9) }},
		{erofs.None, "xattr: 9 shared attributes in ", func(b []byte, at func(string) int) { b[at("theattribute")-4-12+4] = 9 }},
		{erofs.None, "xattr: it is cut off", func(b []byte, at func(string) int) {
			b[at("theattribute")-4-12+4] = 1
			copy(b[at("theattribute")-4:], "\xff\xff\xff\xff")
		}},
		{erofs.None, "xattr: an attribute of kind 0 and 4 bytes", func(b []byte, at func(string) int) {
			name := at("theattribute")
			b[name-4-12+4] = 1
			clear(b[name-4 : name]) // where the image begins
		}},
		{erofs.None, "xattr: an attribute of kind 5", func(b []byte, at func(string) int) { b[at("theattribute")-3] = 5 }},
		{erofs.None, "xattr: an attribute of kind 1 and 65", func(b []byte, at func(string) int) { le.PutUint16(b[at("theattribute")-2:], 0xFFF0) }},
		{erofs.None, "bytes in all files", func(b []byte, at func(string) int) { le.PutUint64(b[at("theattribute")-4-12-64+8:], 1<<40) }},
		{erofs.None, "/holes: chunks of the form", func(b []byte, at func(string) int) { le.PutUint32(b[at("\x00\x00\x10\x00\x00\x00\x00\x00")+8:], 1<<6) }},
		{erofs.None, "/holes: a chunk on the device 65535", func(b []byte, at func(string) int) { b[at("\x00\x00\x10\x00\x00\x00\x00\x00")+8] |= 1 << 5 }},
		{erofs.LZ4, "/large: compression in the form", func(b []byte, at func(string) int) { b[mapOf(b, at)+6] = 1 }},
		{erofs.LZ4, "/large: compression in the form", func(b []byte, at func(string) int) { b[mapOf(b, at)+7] = 1 }},
		{erofs.LZ4, "/large: a cluster that does not begin at byte 0", func(b []byte, at func(string) int) { b[mapOf(b, at)+16] = 2 }},
		{erofs.LZ4, "/large: a cluster that does not begin at byte 0", func(b []byte, at func(string) int) { b[mapOf(b, at)+16+2] = 1 }},
		{erofs.LZ4, "/large: compression in the form 0x8 by 0x0", func(b []byte, at func(string) int) { b[mapOf(b, at)+4] = 8 }},
		{erofs.LZ4, "/large: compression in the form 0x1 by 0x0", func(b []byte, at func(string) int) { b[mapOf(b, at)+4] = 1 }},
		{erofs.LZ4, "/large: it is cut off", func(b []byte, at func(string) int) { le.PutUint32(b[mapOf(b, at)+16+4:], 1<<20) }},
		{erofs.LZ4, "/large: ", func(b []byte, at func(string) int) { le.PutUint32(b[mapOf(b, at)+16+4:], 0) }},
		{erofs.Zstd, "/large: a cluster of ", func(b []byte, at func(string) int) { le.PutUint32(b[mapOf(b, at)+16+8+4:], 1<<11|257) }},
	} {
		f := image(t, tr, erofs.Options{Compression: c.kind, BuildTime: tree.Time{Sec: 1}})
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		c.change(b, func(what string) int {
			i := bytes.Index(b[4096:], []byte(what))
			if i < 0 {
				t.Fatalf("no %q", what)
			}
			return 4096 + i
		})
		fixSum(b)
		if _, err := readRaw(b); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("the error is %v, want one of %q", err, c.complaint)
		}
	}
}

// rootEntries is where the root directory's list is, which is behind its inode.
func rootEntries(b []byte) int {
	size := 32
	if b[4096]&1 == 1 {
		size = 64
	}
	return 4096 + size
}

// mapOf is where what tells of the clusters of the file of 45,000 bytes is.
func mapOf(_ []byte, at func(string) int) int {
	return at("\xc8\xaf\x00\x00\x00\x00\x00\x00") - 8 + 64
}
