package erofs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// Inodes do not overlap, and what has room in one block does not cross to the
// next, which the kernel would not read.
func TestSlots(t *testing.T) {
	var s slots
	s.end = rootAt
	taken := map[int64]int{}
	for i := range 5000 {
		size := int64(32 + i*7919%9000)
		if i%3 > 0 {
			size = int64(32 + i*7919%300)
		}
		at := s.take(size)
		if at < rootAt || at%slotSize != 0 || at+size > s.end {
			t.Fatalf("%d bytes at %d, and all ends at %d", size, at, s.end)
		}
		if size <= blockSize && at/blockSize != (at+size-1)/blockSize {
			t.Fatalf("%d bytes at %d cross a block", size, at)
		}
		for slot := at / slotSize; slot*slotSize < at+size; slot++ {
			if other, found := taken[slot]; found {
				t.Fatalf("the slot %d is that of %d and of %d", slot, other, i)
			}
			taken[slot] = i
		}
	}
	if used := int64(len(taken)) * slotSize; used < (s.end-rootAt)*9/10 {
		t.Errorf("of %d bytes only %d are used", s.end-rootAt, used)
	}
}

// A layout has nothing that overlaps, and the root where the superblock's 16
// bits reach.
func TestLayoutOfOdd(t *testing.T) {
	odd := treetest.Odd()
	for _, c := range []Compression{None, LZ4, Zstd} {
		o := &Options{Compression: c, BuildTime: treetest.Epoch}
		l, err := newLayout(odd, o)
		if err != nil {
			t.Fatal(err)
		}
		if l.places[0].at != rootAt || l.places[0].id() > 1<<16-1 {
			t.Errorf("the root is at %d", l.places[0].at)
		}
		next := roundUp(l.slots.end, blockSize) / blockSize
		for n := range odd.Inodes() {
			p := l.places[n.InodeIndex()]
			isLarge := n.Mode().IsRegular() && n.Inode().Size >= o.smallest()
			if p.streamed != isLarge {
				t.Errorf("%s: %d bytes, streamed: %t", n.Path(), n.Inode().Size, p.streamed)
			}
			if p.start > 0 {
				if p.start != next {
					t.Errorf("%s begins in the block %d and not %d", n.Path(), p.start, next)
				}
				size := n.Inode().Size
				if n.Mode().IsDir() {
					size = int64(len(l.directory(n)))
				} else if n.Mode().Type() == tree.Symlink {
					size = int64(len(n.Inode().Target))
				}
				next += roundUp(size-int64(p.inline), blockSize) / blockSize
			}
			want := n.Inode().ModTime != o.BuildTime || n.Inode().UID > 65535 || n.Inode().GID > 65535
			if p.extended != want {
				t.Errorf("%s: extended: %t", n.Path(), p.extended)
			}
		}
		if next != l.blocks {
			t.Errorf("%v: the layout ends at %d, and says %d", c, next, l.blocks)
		}
	}
}

// Each block of a directory has entries in the order of their bytes, of which
// the kernel searches by halves, and the first blocks' first names ascend.
func TestDirectories(t *testing.T) {
	odd := treetest.Odd()
	l, err := newLayout(odd, &Options{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range odd.All() {
		if !n.Mode().IsDir() {
			continue
		}
		b := l.directory(n)
		if int64(len(b)) != directorySize(n) {
			t.Fatalf("%s: %d bytes, and %d were planned", n.Path(), len(b), directorySize(n))
		}
		var names []string
		for block := range slices.Chunk(b, blockSize) {
			first := int(little.Uint16(block[8:]))
			for at := 0; at < first; at += direntSize {
				begin, end := int(little.Uint16(block[at+8:])), len(block)
				if at+direntSize < first {
					end = int(little.Uint16(block[at+direntSize+8:]))
				}
				name := strings.TrimRight(string(block[begin:end]), "\x00")
				names = append(names, name)
				of, found := n.Child(name)
				switch name {
				case ".":
					of, found = n, true
				case "..":
					of, found = n.Parent(), true
				}
				if !found || little.Uint64(block[at:]) != l.places[of.InodeIndex()].id() || block[at+10] != fileType(of.Mode()) {
					t.Fatalf("%s: the entry of %q leads elsewhere", n.Path(), name)
				}
			}
		}
		want := []string{".", ".."}
		for child := range n.Children() {
			want = append(want, child.Name())
		}
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s has the names %.300q", n.Path(), names)
		}
	}
}

// Chunks are as small as they may be, with at most 16,384 of a file.
func TestChunkBits(t *testing.T) {
	for size, want := range map[int64]int{1: 12, 128 << 10: 12, 64 << 20: 12, 64<<20 + 1: 13, 1 << 30: 16, 1 << 40: 26, 16 << 40: 30} {
		if got := chunkBits(size); got != want {
			t.Errorf("a file of %d bytes has chunks of 1<<%d, want %d", size, got, want)
		}
	}
}

type counting struct {
	sync.Mutex
	written, end int64
}

func (c *counting) WriteAt(p []byte, at int64) (int, error) {
	c.Lock()
	defer c.Unlock()
	c.written += int64(len(p))
	c.end = max(c.end, at+int64(len(p)))
	return len(p), nil
}

// Blocks come one behind the other, with the last of each content filled.
func TestBlockWriter(t *testing.T) {
	var c counting
	b := &blockWriter{w: &c, next: 10}
	want := int64(10)
	for _, size := range []int{1, 4096, 4097, blockBuffer, blockBuffer - 1, 3*blockBuffer + 5, 0, 100} {
		if b.block() != want {
			t.Fatalf("%d bytes are in the block %d, want %d", size, b.block(), want)
		}
		if err := b.write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		want += roundUp(int64(size), blockSize) / blockSize
	}
	if err := errors.Join(b.flush(), b.flush()); err != nil {
		t.Fatal(err)
	}
	if c.end != want*blockSize || c.written != (want-10)*blockSize {
		t.Errorf("%d bytes up to %d, want them to end at %d", c.written, c.end, want*blockSize)
	}
}

// Contents of more than 16 TiB are refused before anything is written or read.
func TestTooLarge(t *testing.T) {
	var b tree.Builder
	for i := range 17 {
		if err := b.Add(fmt.Sprint(i), tree.Inode{Mode: tree.Regular, Size: 1 << 40, Digest: tree.Digest{1}}); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLayout(tr, &Options{})
	if err != nil {
		t.Fatal(err) // they may be holes
	}
	if err := l.checkSize(maxBlocks); err != nil {
		t.Errorf("as many blocks as there may be: %v", err)
	}
	if err := l.checkSize(maxBlocks + 1); err == nil || !strings.Contains(err.Error(), "make it smaller") {
		t.Errorf("a block more: %v", err)
	}
}

// Segments of files end where they should, whatever the pieces are that their
// contents come in.
func TestSplitter(t *testing.T) {
	content := treetest.Random(3, 2*segmentSize+segmentSize/2)
	for _, piece := range []int{1 << 16, segmentSize, segmentSize - 1, len(content)} {
		var got []byte
		var sizes []int
		last := 0
		s := &splitter{give: func(g *segment) error {
			got = append(got, g.data...)
			sizes = append(sizes, len(g.data))
			if g.isLast {
				last++
			}
			return nil
		}}
		if _, err := io.CopyBuffer(struct{ io.Writer }{s}, struct{ io.Reader }{bytes.NewReader(content)}, make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		if err := s.end(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, content) || last != 1 || !slices.Equal(sizes, []int{segmentSize, segmentSize, segmentSize / 2}) {
			t.Errorf("in pieces of %d: segments of %d, %d of them the last", piece, sizes, last)
		}
	}
}

// What compression does not make smaller is stored as it is, and zeros are
// chunks that are not there.
func TestRoomThatContentsTake(t *testing.T) {
	const size = 1 << 20
	for name, c := range map[string]struct {
		content  []byte
		compress Compression
		most     int64 // blocks besides the metadata
	}{
		"random":       {treetest.Random(1, size), None, 256},
		"random, lz4":  {treetest.Random(1, size), LZ4, 256},
		"random, zstd": {treetest.Random(1, size), Zstd, 256},
		"zeros":        {make([]byte, size), None, 0},
		"zeros, lz4":   {make([]byte, size), LZ4, 2},
		"zeros, zstd":  {make([]byte, size), Zstd, 8},
		"text, lz4":    {bytes.Repeat([]byte("some text; "), size/11), LZ4, 2},
	} {
		var b tree.Builder
		if err := b.Add("file", treetest.File(0o644, string(c.content))); err != nil {
			t.Fatal(err)
		}
		tr, err := b.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l, err := newLayout(tr, &Options{Compression: c.compress})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Write(context.Background(), &counting{}, tr, Options{Compression: c.compress})
		if blocks := got/blockSize - l.blocks; err != nil || blocks > c.most {
			t.Errorf("%s: %d blocks, want %d at most; %v", name, blocks, c.most, err)
		}
	}
}
