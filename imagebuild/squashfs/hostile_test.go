package squashfs_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// What mksquashfs writes is read, whatever of it is compressed
// and wherever the ends of files are.
func TestReadsWhatMksquashfsWrites(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices")
	}
	tr := tree.Filter(holdable(t), func(n tree.Node) bool { return n.Path() != "links/a/symlink" }) // a link to a link is not always one
	source := filepath.Join(t.TempDir(), "source")
	if err := dir.Write(t.Context(), source, tr, dir.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		options string
		holds   treetest.Mask
	}{
		{"-comp zstd -Xcompression-level 1", holds},
		{"-comp gzip -Xcompression-level 1 -b 4096 -always-use-fragments", holds},
		{"-comp gzip -Xcompression-level 1 -no-fragments -no-exports -no-sparse", holds},
		{"-comp zstd -Xcompression-level 1 -noI -noId -noD -noF -noX -b 1M -no-duplicates", holds},
		{"-comp lz4", holds},
		{"-comp lz4 -Xhc -b 4096 -no-fragments", holds},
		{"-comp xz -b 1M -noD", holds}, // what is no metadata takes xz long
		{"-comp xz -Xdict-size 8K -b 64K -noD", holds},
		{"-comp gzip -Xcompression-level 1 -no-xattrs -all-root", holds &^ (treetest.Xattrs | treetest.Owner)},
	} {
		path := filepath.Join(t.TempDir(), "image")
		imagetest.Tool(t, append([]string{"mksquashfs", source, path, "-quiet", "-no-progress"}, strings.Fields(c.options)...)...)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := readFrom(f)
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		differences := treetest.Compare(tr, got, c.holds)
		treetest.Report(t, differences)
		if len(differences) > 0 {
			t.Errorf("these are the differences of %s", c.options)
		}
		if err := treetest.Read(got); err != nil {
			t.Errorf("%s: %v", c.options, err)
		}
	}
}

// plain is an image of mksquashfs in which nothing is compressed.
func plain(t testing.TB) []byte {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root can set trusted attributes")
	}
	var b tree.Builder
	small := treetest.File(0o644, strings.Repeat("s", 12345))
	small.Xattrs = []tree.Xattr{{Name: "trusted.theattribute", Value: "thevalue"}}
	for path, n := range map[string]tree.Inode{
		"sub": {Mode: tree.Directory | 0o755}, "sub/small": small, "large": treetest.File(0o644, string(treetest.Random(1, 300_000))),
		"symlink": {Mode: tree.Symlink, Target: "thetarget"}, "zdevice": {Mode: tree.CharDev | 0o600, Major: 1, Minor: 3},
	} {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	source, path := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "image")
	if err := dir.Write(t.Context(), source, tr, dir.Options{}); err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "mksquashfs", source, path, "-quiet", "-no-progress", "-comp", "gzip", "-noI", "-noId", "-noD", "-noF", "-noX")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// What only a lie in the metadata brings about is an error, and no panic.
func TestHostileImages(t *testing.T) {
	good := plain(t)
	if _, err := readRaw(good); err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	at := func(what string) int {
		i := bytes.LastIndex(good, []byte(what))
		if i < 0 {
			t.Fatalf("no %q", what)
		}
		return i
	}
	size := func(n uint32) int { return at(string(le.AppendUint32(nil, n))) }
	table := func(field int) int { return int(le.Uint64(good[field:])) }
	root := table(64) + 2 + int(le.Uint64(good[32:])&0xFFFF)
	link, small, large, attribute := at("thetarget"), size(12345), size(300_000), at("theattribute")
	put16 := func(at int, v uint16) func([]byte) { return func(b []byte) { le.PutUint16(b[at:], v) } }
	put32 := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	put64 := func(at int, v uint64) func([]byte) { return func(b []byte) { le.PutUint64(b[at:], v) } }
	entry := func(name string) int { return table(72) + bytes.Index(good[table(72):], []byte(name)) }
	for _, c := range []struct {
		complaint string
		change    func([]byte)
	}{
		{"/: an inode of type 99", put16(root, 99)},
		{"/: a link", put16(root, 3)},
		{"/: an inode of mode 10000", put16(root+2, 0o10000)},
		{"the owners of numbers 1 and 0", put16(root+4, 1)},
		{"the owners of numbers 0 and 1", put16(root+6, 1)},
		{"/: it is cut off", put64(32, 0xFFFF_0000)},
		{"/: it is cut off", put64(32, 0x2000)},
		{"symlink: a symbolic link of 0 bytes", put32(link-4, 0)},
		{"symlink: a symbolic link of 4096 bytes", put32(link-4, 4096)},
		{"small: ", put32(small, 0xFFFF_FFFF)},
		{"large: a file in fragment 1 at", put32(large-8, 1)},
		{"small: a file in fragment 1 at", put32(small+20, 1)},
		{"small: a file in fragment 2147483648 at", put32(small+20, 1<<31)},
		{"small: the list of attributes 1", put32(small+28, 1)},
		{"small: a file in fragment 0 at 4294967295", put32(small+24, 0xFFFF_FFFF)},
		{"small: a file in fragment 0 at 118728", put32(small+24, 131072-12345+1)},
		{"/sub/small: it is cut off", put32(small+24, 131072-12345)},
		{"large: a block of metadata of ", put32(large, 0xFFFF_FFFF)},
		{"/large: a block of 16777215 bytes", put32(large+4, 0x00FF_FFFF)},
		{"/large: a block of 131071 bytes, and not 131072", put32(large+4, 1<<24|131071)},
		{"/large: ", put32(large+8, 131072)}, // it says to be compressed
		{"/large: it is cut off", put32(large-12, 0xFFFF_FF00)},
		{"an attribute of kind 0x9", put16(attribute-4, 9)},
		{"with a name of 0 bytes", put16(attribute-2, 0)},
		{"with a name of 256 bytes", put16(attribute-2, 256)},
		{"an attribute of 65537 bytes", put32(attribute+len("theattribute"), 65537)},
		{"4294967295 lists of attributes", put32(table(56)+8, 0xFFFF_FFFF)},
		{"the list of attributes 0", put32(table(56)+8, 0)},
		{"the attributes: it is cut off", put64(table(56)+16, 1<<40)},
		{"the owners: it is cut off", put64(table(48), 1<<62)},
		{"the fragments: it is cut off", put64(table(80), uint64(len(good)))},
		{"the fragments: it is cut off", put64(80, 1<<63)},
		{"its tables are outside", put64(64, uint64(table(40)))},
		{"its tables are outside", put64(72, uint64(table(40)+1))},
		{"its tables are outside", put64(48, uint64(table(40)))},
		{"it says to have 2000001 inodes", put32(4, 2_000_001)},
		{"a block of metadata of 0 bytes", put16(table(64), 0x8000)},
		{"a block of metadata of 8193 bytes", put16(table(64), 0x8000|8193)},
		{"slash", func(b []byte) { b[entry("symlink")+3] = '/' }},
		{"directory", func(b []byte) { copy(b[entry("sub")-8:], b[32:34]) }},
		{"/: a list that ends in an entry", func(b []byte) { b[root+24] -= 2 }},
	} {
		bad := bytes.Clone(good)
		c.change(bad)
		if _, err := readRaw(bad); err == nil || !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("the error is %v, want one of %q", err, c.complaint)
		}
	}
}

// Whatever byte of metadata that is not compressed is changed, reading ends, and
// without a panic.
func FuzzReadPlain(f *testing.F) {
	good := plain(f)
	f.Add(uint32(le32(good[64:])), []byte{1, 2, 3, 4})
	f.Add(uint32(le32(good[72:])), []byte{0xFF})
	f.Add(uint32(32), []byte{0, 1})
	squashfs.LimitContent(1 << 20)
	f.Cleanup(func() { squashfs.LimitContent(256 << 30) })
	f.Fuzz(func(t *testing.T, at uint32, change []byte) {
		b := bytes.Clone(good)
		// What is in front of the tables are contents.
		if from := le32(good[64:]); at >= 96 {
			at = from + at%(uint32(len(b))-from)
		}
		copy(b[at:], change)
		i, err := readRaw(b)
		if err != nil {
			return
		}
		if _, err := squashfs.Write(t.Context(), treetest.Nowhere{}, i.Tree, squashfs.Options{}); err != nil {
			t.Errorf("writing what was read: %v", err)
		}
	})
}

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
