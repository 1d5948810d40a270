package ext4_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// What mke2fs writes is read: with blocks of other sizes, as ext2 and ext3, and
// with features that our writer has not.
func TestReadsWhatMke2fsWrites(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices")
	}
	// As mke2fs 1.47 can.
	odd := tree.Filter(treetest.Odd(), func(n tree.Node) bool {
		return len(n.Inode().Target) < 1000 && n.Name() != "large" && (n.Name() < "file-0600" || n.Name() > "file-z")
	})
	source := filepath.Join(t.TempDir(), "source")
	if err := dir.Write(t.Context(), source, odd, dir.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]string{
		"as ours": "-t ext4 -b 4096 -I 256 -O none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum",
		"ext4":    "-t ext4", "small blocks": "-t ext4 -b 1024", "blocks of 2048": "-t ext4 -b 2048", "large blocks": "-t ext4 -F -b 16384",
		"ext3": "-t ext3 -b 1024", "ext2": "-t ext2 -b 1024", "ext2 of large blocks": "-t ext2 -b 4096", "first revision": "-t ext2 -r 0 -I 128 -O none",
		"no sums": "-t ext4 -O ^metadata_csum,^64bit", "other sums": "-t ext4 -O ^metadata_csum,uninit_bg", "sums of a seed": "-t ext4 -O metadata_csum_seed",
		"small inodes": "-t ext4 -I 128", "large inodes": "-t ext4 -I 1024", "clusters": "-t ext4 -b 1024 -O bigalloc", "no cases": "-t ext4 -O casefold",
		"all else": "-t ext4 -O ea_inode,mmp,quota,large_dir,project,sparse_super2,^resize_inode",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "image")
			imagetest.Tool(t, append([]string{"mke2fs", "-q", "-L", "theirs", "-d", source}, append(strings.Fields(options), path, "100M")...)...)
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			v, err := ext4.Read(t.Context(), f, 100<<20)
			if err != nil {
				t.Fatal(err)
			}
			if v.Label != "theirs" || v.Size != 100<<20 || v.Free <= 0 || v.Free > v.Size {
				t.Errorf("%+v", v)
			}
			// It takes whole seconds, and of names and attributes not all.
			treetest.Report(t, treetest.Compare(odd, v.Tree, treetest.Permissions|treetest.Owner|treetest.Devices|treetest.Content))
			if err := treetest.Read(v.Tree); err != nil {
				t.Error(err)
			}
		})
	}
}

// Blocks that were set aside and not written are a hole, whatever is in them, and
// so is what is behind the end.
func TestBlocksSetAside(t *testing.T) {
	path := image(t, build(t, "file", treetest.File(0o644, strings.Repeat("x", 5000))), ext4.Options{Free: 1 << 20}).Name()
	imagetest.Tool(t, "debugfs", "-w", "-R", "fallocate file 4 9", path)
	imagetest.Tool(t, "debugfs", "-w", "-R", "sif file size 30000", path)
	got := readPath(t, path)
	n, _ := got.Lookup("file")
	if b := contents(t, n); len(b) != 30000 || strings.Trim(string(b[5000:]), "\x00") != "" || strings.Trim(string(b[:5000]), "x") != "" {
		t.Errorf("%d bytes that begin with %q", len(b), b[:10])
	}
	for _, x := range n.Inode().Content.(tree.Sparse).Extents() {
		if x.Offset+x.Length > 8192 {
			t.Errorf("%+v has data", x)
		}
	}
}

// Blocks of extents have their checksum behind the last extent that they have room
// for, which is not at their end where they have 2 KiB.
func TestBlocksOfExtents(t *testing.T) {
	var holes []tree.Extent
	for i := range int64(500) {
		holes = append(holes, tree.Extent{Offset: i * 16384, Length: 100})
	}
	want := treetest.Holes(500*16384, holes)
	source, path := filepath.Join(t.TempDir(), "source"), filepath.Join(t.TempDir(), "image")
	if err := dir.Write(t.Context(), source, build(t, "file", want), dir.Options{}); err != nil {
		t.Fatal(err)
	}
	imagetest.Tool(t, "mke2fs", "-q", "-t", "ext4", "-b", "2048", "-O", "metadata_csum", "-d", source, path, "20M")
	got := readPath(t, path)
	n, _ := got.Lookup("file")
	if list := n.Inode().Content.(tree.Sparse).Extents(); len(list) < 500 {
		t.Errorf("%d extents", len(list))
	}
	treetest.Report(t, treetest.Compare(build(t, "file", want), got, treetest.Content))
}

// readPath reads an image, which stays open for the contents till the test's end.
func readPath(t testing.TB, path string) *tree.Tree {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func contents(t testing.TB, n tree.Node) []byte {
	t.Helper()
	r, err := n.Inode().Content.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tabled is a volume with one file, whose inode is at a place, that is as ext2 has
// it: with a table of blocks, a table of tables, and a hole where the first block
// of each was.
func tabled(t testing.TB) (raw []byte, inode int, want []byte) {
	t.Helper()
	const count = 12 + 1024 + 20
	want = treetest.Random(5, count*4096-7)
	raw, err := os.ReadFile(image(t, build(t, "file", treetest.File(0o644, string(want))), ext4.Options{NoJournal: true, Free: 1 << 20}).Name())
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	inode = 4096*int(le.Uint32(raw[4096+8:])) + 11*256
	if le.Uint32(raw[inode+4:]) != uint32(len(want)) || le.Uint16(raw[inode+0x28+6:]) != 0 {
		t.Fatalf("%x is not the inode of the file, or not with one extent", raw[inode:inode+64])
	}
	var at []uint32
	for x := raw[inode+0x28+12:]; len(at) < count; x = x[12:] {
		for k := range le.Uint16(x[4:]) {
			at = append(at, le.Uint32(x[8:])+uint32(k))
		}
	}
	free := uint32(len(raw)/4096 - 3) // the last blocks are free
	for _, hole := range []int{0, 12, 12 + 1024} {
		at[hole] = 0
		clear(want[hole*4096 : hole*4096+4096])
	}
	put := func(to int, blocks ...uint32) {
		for i, b := range blocks {
			le.PutUint32(raw[to+4*i:], b)
		}
	}
	put(inode+0x20, le.Uint32(raw[inode+0x20:])&^0x80000)
	put(inode+0x28, append(at[:12:12], free, free+1, 0)...)
	put(int(free)*4096, at[12:12+1024]...)
	put(int(free+1)*4096, free+2)
	put(int(free+2)*4096, at[12+1024:]...)
	ext4.FixSums(raw)
	return raw, inode, want
}

func TestTablesOfBlocks(t *testing.T) {
	raw, inode, want := tabled(t)
	v, err := ext4.Read(t.Context(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := v.Tree.Lookup("file")
	if !bytes.Equal(contents(t, n), want) {
		t.Error("the content is another")
	}
	le := binary.LittleEndian
	free := int(le.Uint32(raw[inode+0x28+48:])) * 4096
	for complaint, change := range map[string]func(b []byte){
		"/file: wrong extents":        func(b []byte) { le.PutUint32(b[inode+0x28+4:], uint32(len(b)/4096)) },
		"/file: the block 1048576 is": func(b []byte) { le.PutUint32(b[inode+0x28+48:], 1<<20) },
		"is not there":                func(b []byte) { le.PutUint32(b[free+4096:], 1<<31) },
	} {
		bad := bytes.Clone(raw)
		change(bad)
		ext4.FixSums(bad)
		v, err := ext4.Read(t.Context(), bytes.NewReader(bad), int64(len(bad)))
		if err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q (%v)", err, complaint, v != nil)
		}
	}
}

func FuzzTables(f *testing.F) {
	good, inode, _ := tabled(f)
	f.Add(uint16(0x28+48), []byte{1})
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		b := bytes.Clone(good)
		copy(b[inode+int(at%256):inode+256], change)
		ext4.FixSums(b)
		if v, err := ext4.Read(t.Context(), bytes.NewReader(b), int64(len(b))); err == nil {
			if err := treetest.Read(v.Tree); err != nil {
				t.Fatal(err)
			}
		}
	})
}
