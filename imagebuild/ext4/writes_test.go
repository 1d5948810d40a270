package ext4_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// recorder notes what is written where.
type recorder struct {
	file  *os.File
	spans [][2]int64
	zeros int // blocks of nothing else
}

func (r *recorder) WriteAt(p []byte, at int64) (int, error) {
	r.spans = append(r.spans, [2]int64{at, at + int64(len(p))})
	for b := range slices.Chunk(p, 4096) {
		if len(bytes.Trim(b, "\x00")) == 0 {
			r.zeros++
		}
	}
	return r.file.WriteAt(p, at)
}

// Each byte is written once at most, within the size, and what is nothing but
// zeros hardly ever: disks with holes keep theirs.
func TestWhatIsWritten(t *testing.T) {
	content := treetest.Random(1, 140<<20)
	clear(content[3<<20 : 5<<20])
	clear(content[100<<20:][:12345])
	holes := tree.Inode{Mode: tree.Regular | 0o644, Size: int64(len(content)), Content: tree.Bytes(content)}
	for name, c := range map[string]struct {
		tr *tree.Tree
		o  ext4.Options
	}{
		"odd":    {treetest.Odd(), golden()},
		"10 GiB": {treetest.Odd(), ext4.Options{Size: 10 << 30}},
		// It lies in several groups, around the tables of one.
		"holes":    {build(t, "holes", holes), ext4.Options{Size: 200 << 20, NoJournal: true}},
		"lost way": {build(t, "lost+found", tree.Inode{Mode: tree.Directory | 0o700}), ext4.Options{Size: 256 << 20, BytesPerInode: 1024}},
	} {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := &recorder{file: f}
		size, err := ext4.Write(t.Context(), r, c.tr, c.o)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(r.spans, func(a, b [2]int64) int { return cmp.Compare(a[0], b[0]) })
		end, written := int64(0), int64(0)
		for _, s := range r.spans {
			if s[0] < end || s[1] > size {
				t.Errorf("%s: bytes %d to %d are written, after those up to %d of %d", name, s[0], s[1], end, size)
				break
			}
			end, written = s[1], written+s[1]-s[0]
		}
		if most := c.tr.ContentSize() + int64(c.tr.NumInodes())*5000 + 8<<20; written > most {
			t.Errorf("%s: %d bytes are written for %d of contents", name, written, c.tr.ContentSize())
		}
		if r.zeros > 600 { // ends of inode tables and of groups of descriptors
			t.Errorf("%s: %d blocks of zeros are written", name, r.zeros)
		}
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if name == "holes" { // the others are elsewhere
			imagetest.Tool(t, "e2fsck", "-fn", f.Name())
			got, err := readFrom(f)
			if err != nil {
				t.Fatal(err)
			}
			treetest.Report(t, treetest.Compare(c.tr, got, treetest.All))
		}
	}
}

// Contents that turn out too large for the size are an error that names the
// file, wherever it is that the room ends.
func TestNoRoom(t *testing.T) {
	var b tree.Builder
	for i := range 40 {
		n := treetest.File(0o644, string(treetest.Random(uint64(i), 100_000)))
		n.Xattrs = []tree.Xattr{{Name: "user.own", Value: strings.Repeat(fmt.Sprint(i), 1000)}}
		dir := fmt.Sprintf("dir-%02d", i)
		for _, err := range []error{
			b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755}),
			b.Add(dir+"/link", tree.Inode{Mode: tree.Symlink, Target: strings.Repeat("l", 70+i)}),
			b.Add(dir+"/file", n),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for size := int64(1 << 20); ; size += 4096 * 7 {
		f := image(t, treetest.WithSocket(), ext4.Options{NoJournal: true})
		_, err := ext4.Write(t.Context(), f, tr, ext4.Options{Size: size, NoJournal: true})
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "ext4 cannot hold it does not fit") && !strings.Contains(err.Error(), "/dir-") {
			t.Fatalf("in %d bytes: %v", size, err)
		}
		_, path, _ := strings.Cut(err.Error(), "/dir-")
		path, _, _ = strings.Cut(path, ":")
		named[path] = true
	}
	if len(named) < 30 {
		t.Errorf("the errors name only %d paths: %v", len(named), named)
	}
}

// Attributes that others wrote and that cannot be are errors.
func TestHostileAttributes(t *testing.T) {
	n := treetest.File(0o640, "acl\n")
	n.Xattrs = []tree.Xattr{{Name: "system.posix_acl_access", Value: treetest.ACL(5)}}
	raw, err := os.ReadFile(image(t, build(t, "acl", n), ext4.Options{NoJournal: true}).Name())
	if err != nil {
		t.Fatal(err)
	}
	table := 4096 * int(binary.LittleEndian.Uint32(raw[4096+8:]))
	inode := table + 11*256
	value := inode + 256 - 28 // 4 bytes, 4 for the owner, 8 for a name, 4 for each of three
	if binary.LittleEndian.Uint32(raw[value:]) != 1 || binary.LittleEndian.Uint16(raw[value+4:]) != 1 {
		t.Fatalf("no ACL in %x", raw[inode:inode+256])
	}
	entry := inode + 0xA4
	for name, change := range map[string]func(b []byte){
		"version":        func(b []byte) { b[value] = 2 },
		"cut off":        func(b []byte) { b[entry+8] = 26 },
		"cut in a name":  func(b []byte) { b[entry+8] = 12 },
		"empty":          func(b []byte) { b[entry+8] = 3 },
		"behind the end": func(b []byte) { b[entry+2] = 0xFF },
		"name":           func(b []byte) { b[entry] = 255 },
		"namespace":      func(b []byte) { b[entry+1] = 9 },
		"other inode":    func(b []byte) { b[entry+4] = 1 },
	} {
		bad := bytes.Clone(raw)
		change(bad)
		ext4.FixSums(bad)
		if _, err := ext4.Read(t.Context(), bytes.NewReader(bad), int64(len(bad))); err == nil || !strings.Contains(err.Error(), "/acl: ") || !strings.Contains(err.Error(), " extended attribute") {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// Errors of a content that is read where it has data name the path, too.
func TestErrorsOfSparseContents(t *testing.T) {
	n := treetest.Holes(70<<20, []tree.Extent{{Offset: 1 << 20, Length: 5000}})
	n.Digest = tree.Digest{1}
	errBroken := errors.New("the source is broken")
	n.Content = told{opened(func() (io.ReadCloser, error) { return nil, errBroken }), []tree.Extent{{Offset: 1 << 20, Length: 5000}}}
	f := image(t, treetest.WithSocket(), ext4.Options{})
	_, err := ext4.Write(t.Context(), f, build(t, "sparse", n), ext4.Options{})
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "/sparse: ") {
		t.Errorf("the error is %v", err)
	}
}
