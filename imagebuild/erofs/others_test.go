package erofs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// compressible are files of many lengths whose parts are worth compressing, or
// not, so that clusters begin anywhere in a block and are of many sizes.
func compressible(t testing.TB) *tree.Tree {
	t.Helper()
	inodes := map[string]tree.Inode{}
	for i, size := range []int{1, 4095, 4096, 4097, 8192, 12289, 40_000, 65_536, 131_073, 400_000, 1_500_000} {
		var b bytes.Buffer
		for k := 0; b.Len() < size; k++ {
			switch k % (i + 3) {
			case 0:
				b.Write(treetest.Random(uint64(k), 3000))
			case 1:
				b.Write(make([]byte, 9000*(i%3)))
			default:
				fmt.Fprintf(&b, "line %d of the file %d, which is one of several\n", k, i)
			}
		}
		n := treetest.File(0o644, b.String()[:size])
		n.ModTime.Sec = 1_700_000_000
		inodes[fmt.Sprint("file-", size)] = n
	}
	return treetest.Of(t, inodes)
}

// What mkfs.erofs writes is read, however it was told to, and what is not read is
// named.
func TestReadsWhatMkfsWrites(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make devices")
	}
	// mkfs.erofs 1.5 cannot read all of it.
	odd := tree.Filter(treetest.Odd(), func(n tree.Node) bool {
		return n.Mode().Type() != tree.Symlink && n.Path() != "deep" && n.Path() != "names" && (n.Name() < "file-0600" || n.Name() > "file-z")
	})
	files := compressible(t)
	oddAt, filesAt := filepath.Join(t.TempDir(), "odd"), filepath.Join(t.TempDir(), "files")
	for at, tr := range map[string]*tree.Tree{oddAt: odd, filesAt: files} {
		if err := dir.Write(t.Context(), at, tr, dir.Options{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		source, options string
		tr              *tree.Tree
	}{
		{oddAt, "-x-1", odd}, {oddAt, "-x1", odd}, {oddAt, "-zlz4", odd}, {filesAt, "-Eforce-inode-compact", files}, {oddAt, "--chunksize=4096", odd},
		{oddAt, "-Eforce-chunk-indexes --chunksize=8192", odd}, {oddAt, "-E^sb_chksum", odd},
		{filesAt, "-zlz4", files}, {filesAt, "-zlz4hc,12", files}, {filesAt, "-zlz4hc -Elegacy-compress", files},
		{filesAt, "-zlz4hc -C16384", files}, {filesAt, "-zlz4 -C65536", files}, {filesAt, "-zlz4 -C1048576", files},
		{filesAt, "-zlz4 --max-extent-bytes=8192", files},
	} {
		path := filepath.Join(t.TempDir(), "image")
		imagetest.Tool(t, append(append([]string{"mkfs.erofs", "--quiet"}, strings.Fields(c.options)...), path, c.source)...)
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
		holds := treetest.All
		if strings.Contains(c.options, "-x-1") {
			holds &^= treetest.Xattrs
		}
		if strings.Contains(c.options, "compact") {
			holds &^= treetest.Seconds | treetest.Nanoseconds
		}
		differences := treetest.Compare(c.tr, got, holds)
		treetest.Report(t, differences)
		if len(differences) > 0 {
			t.Errorf("these are the differences of %s", c.options)
		}
		if err := treetest.Read(got); err != nil {
			t.Errorf("%s: %v", c.options, err)
		}
	}
	for options, complaint := range map[string]string{
		"-zlz4 -Eztailpacking":            "features that are not known: ztailpacking",
		"-zlz4 -C65536 -Elegacy-compress": "compressed data that does not end where its blocks do",
	} {
		path := filepath.Join(t.TempDir(), "image")
		imagetest.Tool(t, append(append([]string{"mkfs.erofs", "--quiet"}, strings.Fields(options)...), path, filesAt)...)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := readRaw(raw); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%s: the error is %v", options, err)
		}
	}
}

// there stands for the block in which the data of a compact file is.
const there = 1<<32 - 1

// compact is a sample with a file of so many blocks that has compact indexes,
// which are not written here.
func compact(sample []byte, advise byte, blocks int, pack ...uint32) []byte {
	raw := bytes.Clone(sample)
	le := binary.LittleEndian
	at := len(raw)
	raw = append(raw, make([]byte, 2*4096)...)
	i := raw[at:]
	le.PutUint16(i, 3<<1|1)
	le.PutUint16(i[4:], 0o100644)
	le.PutUint64(i[8:], uint64(blocks)*4096)
	i[64+4] = advise
	for k, v := range pack {
		if v == there {
			if v = uint32(len(raw)/4096 - 1); advise&2 == 0 {
				v-- // the block before, where each cluster has one
			}
		}
		le.PutUint32(i[72+4*k:], v)
	}
	copy(i[4096:], "what is not compressed")
	le.PutUint32(raw[1024+36:], uint32(len(raw)/4096))
	// The first entry of the root that is a file leads there.
	for e := rootEntries(raw); ; e += 12 {
		if raw[e+10] == 1 {
			le.PutUint64(raw[e:], uint64(at/32))
			break
		}
	}
	fixSum(raw)
	return raw
}

func TestHostileIndexes(t *testing.T) {
	good := sample(t, erofs.Options{Compression: erofs.LZ4})
	const plain, head, other = 0 << 12, 1 << 12, 2 << 12
	for _, c := range []struct {
		name      string
		advise    byte
		blocks    int
		pack      []uint32 // entries of 16 bits in pairs, and then the block before
		complaint string
	}{
		{"all is well", 0, 1, []uint32{plain, there}, ""},
		{"no head", 0, 1, []uint32{other | 1, there}, "a cluster that does not begin at byte 0"},
		{"elsewhere in the block", 0, 1, []uint32{head | 7, there}, "a cluster that does not begin at byte 0"},
		{"no end", 0, 2, []uint32{plain | other<<16, there}, "it is cut off"},
		{"behind the end", 0, 1, []uint32{plain, 1 << 30}, "it is cut off"},
		{"many blocks", 2, 2, []uint32{head | (other|1<<11|2047)<<16, there}, "a cluster of 8192 bytes in 2047 blocks"},
		{"a form", 8, 1, []uint32{plain, there}, "compression in the form 0x8"},
		{"more indexes than there are", 1, 1 << 20, []uint32{plain}, "it is cut off"},
		{"back by one", 2, 4, []uint32{head | (other|1<<11|2)<<16, there, other | 1 | head<<16, there}, "an index of 1 blocks back in a pack"},
	} {
		raw := compact(good, c.advise, c.blocks, c.pack...)
		if _, err := readRaw(raw); (err == nil) != (c.complaint == "") || err != nil && !strings.Contains(err.Error(), c.complaint) {
			t.Errorf("%s: the error is %v, want one of %q", c.name, err, c.complaint)
		}
	}
}

func FuzzIndexes(f *testing.F) {
	f.Add(byte(0), uint16(1), []byte{0, 0, 0, 0, 9, 0, 0, 0})
	f.Add(byte(2), uint16(40), bytes.Repeat([]byte{0, 0x10, 2, 0x28, 9, 0, 0, 0}, 20))
	f.Add(byte(3), uint16(40), bytes.Repeat([]byte{0, 0x10, 2, 0x28, 9, 0, 0, 0}, 20))
	good := sample(f, erofs.Options{Compression: erofs.LZ4})
	erofs.LimitContent(1 << 24)
	f.Cleanup(func() { erofs.LimitContent(256 << 30) })
	f.Fuzz(func(t *testing.T, advise byte, blocks uint16, packs []byte) {
		raw := compact(good, advise&7, int(blocks))
		at := len(raw) - 8192 + 72
		copy(raw[at:len(raw)-4096], packs)
		if i, err := readRaw(raw); err == nil {
			if err := treetest.Read(i.Tree); err != nil {
				t.Fatal(err)
			}
		}
	})
}
