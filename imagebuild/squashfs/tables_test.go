package squashfs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// written is a file system of the odd tree with its tables read, and the tree.
func written(t *testing.T, o Options) (*reader, *tree.Tree) {
	t.Helper()
	tr := treetest.Odd()
	f, err := os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	o.DropACLs, o.ClampTimes = true, true
	size, err := Write(t.Context(), f, tr, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	p := &reader{ctx: t.Context(), r: f, met: map[uint64]string{}, cache: map[uint64]*metaBlock{}}
	if err := p.super(size); err != nil {
		t.Fatal(err)
	}
	if err := p.tables(); err != nil {
		t.Fatal(err)
	}
	return p, tr
}

// The export table, by which NFS finds inodes, leads from each number to the
// inode that says to have it, and the numbers are those of the tree's order.
func TestExportTable(t *testing.T) {
	p, tr := written(t, Options{})
	export, err := p.table(p.s.exportTable, 8*int(p.s.inodes))
	if err != nil {
		t.Fatal(err)
	}
	if int(p.s.inodes) != tr.NumInodes() || little.Uint64(export) != p.s.root {
		t.Fatalf("%d inodes of %d, the first at %x and the root at %x", p.s.inodes, tr.NumInodes(), little.Uint64(export), p.s.root)
	}
	for n := range tr.Inodes() {
		c := p.cursor(p.s.inodeTable, little.Uint64(export[8*n.InodeIndex():]))
		kind := c.u16()
		head := c.bytes(14)
		if c.err != nil {
			t.Fatal(c.err)
		}
		if got := little.Uint32(head[10:]); got != number(n) {
			t.Errorf("%s: the inode is number %d, want %d", n.Path(), got, number(n))
		}
		if want := typeOf(n.Mode()); kind != want && kind != want+typeExtended {
			t.Errorf("%s: the inode is of type %d, want %d", n.Path(), kind, want)
		}
		if uid, gid := p.ids[little.Uint16(head[2:])], p.ids[little.Uint16(head[4:])]; uid != n.Inode().UID || gid != n.Inode().GID {
			t.Errorf("%s: the owner is %d:%d", n.Path(), uid, gid)
		}
	}
}

// Each owner and group is there once, and each list of attributes.
func TestTablesHaveEachOnce(t *testing.T) {
	p, tr := written(t, Options{Compression: Gzip, Level: 1})
	owners, lists := map[uint32]bool{}, map[string]bool{}
	o := &Options{DropACLs: true}
	for n := range tr.Inodes() {
		inode := n.Inode()
		owners[inode.UID], owners[inode.GID] = true, true
		if x := o.kept(inode.Xattrs); len(x) > 0 {
			lists[fmt.Sprint(x)] = true
		}
	}
	if len(p.ids) != len(owners) {
		t.Errorf("%d owners and groups, want %d", len(p.ids), len(owners))
	}
	if len(p.xattrs) != 16*len(lists) {
		t.Errorf("%d lists of attributes, want %d", len(p.xattrs)/16, len(lists))
	}
	for i := range len(p.xattrs) / 16 {
		size := int(little.Uint32(p.xattrs[16*i+12:]))
		list, err := p.attributes(uint32(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			_, rest, _ := splitName(x.Name)
			size -= 4 + len(rest) + 4 + len(x.Value)
		}
		if size != 0 {
			t.Errorf("the list %d says to have %d bytes more than it has", i, size)
		}
	}
}

// The index of a large directory leads to runs, in the order of names, by which
// the kernel begins to look in the right block.
func TestDirectoryIndex(t *testing.T) {
	p, tr := written(t, Options{})
	export, err := p.table(p.s.exportTable, 8*int(p.s.inodes))
	if err != nil {
		t.Fatal(err)
	}
	many, _ := tr.Lookup("many")
	c := p.cursor(p.s.inodeTable, little.Uint64(export[8*many.InodeIndex():]))
	if kind := c.u16(); kind != typeDirectory+typeExtended {
		t.Fatalf("a directory of %d entries is of type %d", many.LinkCount(), kind)
	}
	c.bytes(14)
	_, size, first, _, count, offset, _ := c.u32(), c.u32(), c.u32(), c.u32(), c.u16(), c.u16(), c.u32()
	if count < 5 {
		t.Fatalf("%d entries of the index for a list of %d bytes", count, size)
	}
	last := ""
	for range count {
		at, block := c.u32(), c.u32()
		name := string(c.bytes(int(c.u32()) + 1))
		if c.err != nil {
			t.Fatal(c.err)
		}
		if name <= last || block <= first || at >= size {
			t.Errorf("the index has %q after %q, at %d in the block %d", name, last, at, block)
		}
		last = name
		// What is there is a run that begins with this name.
		d := p.cursor(p.s.dirTable, uint64(first)<<16|uint64(offset))
		d.bytes(int(at))
		run := d.u32()
		d.bytes(8)
		d.bytes(6)
		if got := string(d.bytes(int(d.u16()) + 1)); d.err != nil || got != name || run >= maxHeader {
			t.Errorf("at %d is a run of %d that begins with %q, want %q, %v", at, run+1, got, name, d.err)
		}
	}
}

// Metadata are read as they were written, across blocks of 8 KiB, whether they
// can be made smaller or not.
func TestMetadataBlocks(t *testing.T) {
	for name, content := range map[string][]byte{"random": treetest.Random(9, 50_000), "text": []byte(strings.Repeat("metadata ", 6000)), "a block": make([]byte, metaSize), "short": {1}} {
		o := &Options{Compression: Gzip, Level: 6}
		m := newMeta(o.newCompressor())
		var references []uint64
		for part := content; len(part) > 0; part = part[min(len(part), 777):] {
			references = append(references, m.reference())
			m.write(part[:min(len(part), 777)])
		}
		m.flush()
		p := &reader{r: bytes.NewReader(m.out), s: superblock{used: uint64(len(m.out))}, d: &decompressor{method: methodGzip}, cache: map[uint64]*metaBlock{}}
		for i, r := range references {
			want := content[777*i : min(777*(i+1), len(content))]
			// A place at the very end of a block is the beginning of the next.
			if got := p.cursor(0, r); !bytes.Equal(got.bytes(len(want)), want) || got.err != nil {
				t.Errorf("%s: the part %d at %x is another, %v", name, i, r, got.err)
			}
		}
		if name == "random" && len(m.out) > len(content)+2*7 {
			t.Errorf("%d bytes that cannot be made smaller take %d", len(content), len(m.out))
		}
		end := p.cursor(0, references[len(references)-1])
		if end.bytes(len(content) + 1); end.err == nil {
			t.Errorf("%s: there is more than was written", name)
		}
	}
}

// A higher level is smaller, and each is read.
func TestLevels(t *testing.T) {
	last := map[Compression]int64{}
	for _, o := range []Options{{Level: 1}, {Level: 2}, {Level: 4}, {Compression: Gzip, Level: 1}, {Compression: Gzip, Level: 6}, {Compression: Gzip, Level: 9}} {
		text := &o
		if err := text.check(); err != nil {
			t.Fatal(err)
		}
		c, size := o.newCompressor(), int64(0)
		d, err := newDecompressor(map[Compression]uint16{Zstd: methodZstd, Gzip: methodGzip}[o.Compression])
		if err != nil {
			t.Fatal(err)
		}
		source := sourceText(t)
		for len(source) > 0 {
			part := source[:min(len(source), o.BlockSize)]
			source = source[len(part):]
			out := c.compress(nil, part)
			size += int64(len(out))
			if got, err := d.decompress(out, o.BlockSize); err != nil || !bytes.Equal(got, part) {
				t.Fatalf("%v at level %d: %d bytes, %v", o.Compression, o.Level, len(got), err)
			}
			if _, err := d.decompress(out, len(part)-1); err == nil {
				t.Errorf("%v: more bytes than there may be are no error", o.Compression)
			}
		}
		if before := last[o.Compression]; before > 0 && size >= before {
			t.Errorf("%v at level %d: %d bytes, and %d at the level below", o.Compression, o.Level, size, before)
		}
		last[o.Compression] = size
	}
}

// sourceText is the code of this package.
func sourceText(t *testing.T) (all []byte) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
