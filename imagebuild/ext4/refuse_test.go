package ext4_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// linked is a tree of a file with so many links.
func linked(t testing.TB, n int) *tree.Tree {
	t.Helper()
	var b tree.Builder
	err := b.Add("00000", treetest.File(0o644, "linked\n"))
	for i := 1; i < n && err == nil; i++ {
		err = b.Link(fmt.Sprintf("%05d", i), "00000")
	}
	if err != nil {
		t.Fatal(err)
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// unread is a file of a size whose content nobody may open.
func unread(size int64) tree.Inode {
	return tree.Inode{Mode: tree.Regular | 0o644, Size: size, Digest: tree.Digest{1}}
}

func attributed(list ...tree.Xattr) tree.Inode {
	return tree.Inode{Mode: tree.Regular, Xattrs: list}
}

// What ext4 cannot hold is an error that says so and names the path, before
// anything is written.
func TestWhatExt4CannotHold(t *testing.T) {
	acl := treetest.ACL(5)
	for complaint, tr := range map[string]*tree.Tree{
		"/f: ext4 cannot hold a time outside of 1901 to 2446":                       build(t, "f", tree.Inode{Mode: tree.Regular, ModTime: tree.Time{Sec: 1<<34 - 1<<31}}),
		"/d: ext4 cannot hold a time outside of 1901 to 2446":                       build(t, "d", tree.Inode{Mode: tree.Directory, ModTime: tree.Time{Sec: -1<<31 - 1}}),
		"/c: ext4 cannot hold a device number that large":                           build(t, "c", tree.Inode{Mode: tree.CharDev, Major: 4096}),
		"/b: ext4 cannot hold a device number that large":                           build(t, "b", tree.Inode{Mode: tree.BlockDev, Minor: 1 << 20}),
		"/f: ext4 cannot hold the owner 4294967295:0; Linux knows none above":       build(t, "f", tree.Inode{Mode: tree.Regular, UID: 1<<32 - 1}),
		"/00000: ext4 cannot hold more than 65,000 links":                           linked(t, 65001),
		"/large: ext4 cannot hold a file of 16 TiB":                                 build(t, "large", unread((1<<32-1)*4096+1)),
		"/x: ext4 cannot hold an extended attribute of the name system.other":       build(t, "x", attributed(tree.Xattr{Name: "system.other"})),
		"/x: ext4 cannot hold an extended attribute of the name user.":              build(t, "x", attributed(tree.Xattr{Name: "user."})),
		"/x: ext4 cannot hold an attribute system.posix_acl_access that is no":      build(t, "x", attributed(tree.Xattr{Name: "system.posix_acl_access", Value: acl[:len(acl)-1]})),
		"/x: ext4 cannot hold an attribute system.posix_acl_default that is no":     build(t, "x", attributed(tree.Xattr{Name: "system.posix_acl_default", Value: "\x03" + acl[1:]})),
		"/tag: ext4 cannot hold an attribute system.posix_acl_access that is no":    build(t, "tag", attributed(tree.Xattr{Name: "system.posix_acl_access", Value: acl[:4] + "\x03" + acl[5:]})),
		"/id: ext4 cannot hold an attribute system.posix_acl_access that is no":     build(t, "id", attributed(tree.Xattr{Name: "system.posix_acl_access", Value: acl[:8] + "\x03" + acl[9:]})),
		"/x: ext4 cannot hold extended attributes that are larger than a block":     build(t, "x", attributed(tree.Xattr{Name: "user.big", Value: strings.Repeat("x", 4096-32-4-16-4+1)})),
		"/two: ext4 cannot hold extended attributes that are larger than a block":   build(t, "two", attributed(tree.Xattr{Name: "user.a", Value: strings.Repeat("x", 2500)}, tree.Xattr{Name: "user.b", Value: strings.Repeat("x", 2500)})),
		"/lost+found: ext4 cannot hold a lost+found that is no directory":           build(t, "lost+found", tree.Inode{Mode: tree.Regular}),
		"/lost+found: ext4 cannot hold a lost+found that is no directory (symlink)": build(t, "lost+found", tree.Inode{Mode: tree.Symlink, Target: "x"}),
	} {
		complaint, _, _ = strings.Cut(complaint, " (")
		_, err := ext4.Write(t.Context(), treetest.Untouched{}, tr, ext4.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %.300v, want one of %q", err, complaint)
		}
		if _, sizeErr := ext4.Size(tr, ext4.Options{}); !errors.Is(sizeErr, errors.ErrUnsupported) {
			t.Errorf("Size of what is refused with %q: %v", complaint, sizeErr)
		}
	}
}

// What is just possible is held as it is.
func TestLimitsAreHeld(t *testing.T) {
	var b tree.Builder
	for path, n := range map[string]tree.Inode{
		"early":  {Mode: tree.Regular, ModTime: tree.Time{Sec: -1 << 31}},
		"late":   {Mode: tree.Regular, ModTime: tree.Time{Sec: 1<<34 - 1<<31 - 1, Nsec: 999_999_999}},
		"device": {Mode: tree.CharDev, Major: 4095, Minor: 1<<20 - 1},
		"old":    {Mode: tree.BlockDev, Major: 255, Minor: 255},
		"new":    {Mode: tree.BlockDev, Major: 256, Minor: 0},
		"newer":  {Mode: tree.CharDev, Major: 0, Minor: 256},
		"block":  attributed(tree.Xattr{Name: "user.big", Value: strings.Repeat("x", 4096-32-4-16-4)}),
		"name":   attributed(tree.Xattr{Name: "user." + strings.Repeat("n", 250), Value: "v"}),
		"inside": attributed(tree.Xattr{Name: "user.in", Value: strings.Repeat("i", 72)}),
		"both":   attributed(tree.Xattr{Name: "security.in", Value: "i"}, tree.Xattr{Name: "trusted.out", Value: strings.Repeat("o", 3900)}),
		"fast":   {Mode: tree.Symlink, Target: strings.Repeat("f", 59)},
		"slow":   {Mode: tree.Symlink, Target: strings.Repeat("s", 60)},
		"owner":  {Mode: tree.Regular, UID: 1<<32 - 2, GID: 1 << 16},
		"block1": treetest.File(0o600, strings.Repeat("b", 4095)), "block2": treetest.File(0o600, strings.Repeat("b", 4096)),
		"block3": treetest.File(0o600, strings.Repeat("b", 4097)), "zeros": treetest.File(0o600, strings.Repeat("\x00", 8192)),
	} {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	tr, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := checked(t, tr)
	treetest.Report(t, treetest.Compare(tr, got, treetest.All))
	if n, found := checked(t, linked(t, 65000)).Lookup("64999"); !found || n.LinkCount() != 65000 {
		t.Errorf("not all of 65,000 links are there: %t, %d", found, n.LinkCount())
	}
}

// checked is what is read of a file system that e2fsck finds nothing in.
func checked(t *testing.T, tr *tree.Tree) *tree.Tree {
	t.Helper()
	f := image(t, tr, ext4.Options{})
	imagetest.Tool(t, "e2fsck", "-fn", f.Name())
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestWrongOptions(t *testing.T) {
	tr := build(t, "f", treetest.File(0o644, "x"))
	for complaint, o := range map[string]ext4.Options{
		"only one of them may be given":   {Size: 1 << 30, Free: 1},
		"a size of -1":                    {Size: -1},
		"and -5 free bytes":               {Free: -5},
		"more than 16 TiB: that is not":   {Size: 16<<40 + 1},
		"only one of both may be given":   {NoJournal: true, Journal: 8 << 20},
		"a journal of 5000000 bytes":      {Journal: 5_000_000},
		"a journal of 2097152 bytes":      {Journal: 2 << 20},
		"a journal of 42949677056 bytes":  {Journal: 40<<30 + 4096},
		"an inode for each 1023 bytes":    {BytesPerInode: 1023},
		"an inode for each -4096 bytes":   {BytesPerInode: -4096},
		"an inode for each 67108865":      {BytesPerInode: 64<<20 + 1},
		"51 percent reserved":             {Reserved: 51},
		"-1 percent reserved":             {Reserved: -1},
		"has 17 bytes":                    {Label: "0123456789abcdefg"},
		"the time -1 is before 1970":      {Time: tree.Time{Sec: -1}},
		"the time 1099511627776 is":       {Time: tree.Time{Sec: 1 << 40}},
		"the tree's 2 inodes in a size o": {Size: 100 << 10},
	} {
		if _, err := ext4.Write(t.Context(), treetest.Untouched{}, tr, o); err == nil || errors.Is(err, treetest.ErrWritten) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error of %+v is %v, want one of %q", o, err, complaint)
		}
	}
}

// What options ask for is what others find.
func TestOptionsAreKept(t *testing.T) {
	tr := build(t, "f", treetest.File(0o644, "x"))
	for name, c := range map[string]struct {
		o       ext4.Options
		journal int64
		inodes  int64 // at least
	}{
		"small":     {ext4.Options{Size: 64 << 20}, 4 << 20, 4096},
		"128 MiB":   {ext4.Options{Size: 128 << 20}, 16 << 20, 8192},
		"1 GiB":     {ext4.Options{Size: 1 << 30}, 32 << 20, 65536},
		"2 GiB":     {ext4.Options{Size: 2 << 30}, 64 << 20, 131072},
		"16 GiB":    {ext4.Options{Size: 16 << 30}, 128 << 20, 1 << 20},
		"own":       {ext4.Options{Size: 256 << 20, Journal: 12 << 20, BytesPerInode: 4096, Reserved: 10}, 12 << 20, 65536},
		"none":      {ext4.Options{Size: 256 << 20, NoJournal: true, BytesPerInode: 1 << 20}, 0, 256},
		"16 labels": {ext4.Options{Label: "sixteen letters!", Free: 10 << 20}, 4 << 20, 12},
	} {
		c.o.UUID, c.o.Time = [16]byte{9, 8, 7}, tree.Time{Sec: 1 << 33}
		f := image(t, tr, c.o)
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		s, err := ext4.ReadSuper(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		if s.Journal != c.journal || s.Inodes < c.inodes || s.Inodes > c.inodes*5/4+4096 || s.Label != c.o.Label || s.UUID != c.o.UUID || s.Created != c.o.Time {
			t.Errorf("%s: %+v", name, s)
		}
		if want := s.Blocks / 100 * int64(c.o.Reserved); s.Reserved != want {
			t.Errorf("%s: %d blocks of %d reserved, want %d", name, s.Reserved, s.Blocks, want)
		}
		if c.o.Free > 0 && s.Free*s.BlockSize < c.o.Free {
			t.Errorf("%s: %d bytes are free, and %d were asked for", name, s.Free*s.BlockSize, c.o.Free)
		}
	}
}

// Whichever writing fails, so does the whole.
func TestErrorsOfTheDisk(t *testing.T) {
	treetest.RunBroken(t, 8, func(w io.WriterAt) error {
		_, err := ext4.Write(t.Context(), w, treetest.Odd(), ext4.Options{Free: 300 << 20})
		return err
	})
}

// A tree that was put together in the reverse order is the same one.
func TestOrderOfConstruction(t *testing.T) {
	write := func(tr *tree.Tree) []byte {
		return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, tr, ext4.Options{}) })
	}
	if odd := treetest.Odd(); !bytes.Equal(write(odd), write(treetest.Reversed(t, odd))) {
		t.Error("the bytes depend on the order of construction")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ext4.Write(ctx, treetest.Untouched{}, treetest.Odd(), ext4.Options{NoJournal: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writing: %v", err)
	}
	raw := sample(t)
	if _, err := ext4.Read(ctx, strings.NewReader(string(raw)), int64(len(raw))); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled reading: %v", err)
	}
}

// told is a content that tells extents.
type told struct {
	tree.Content
	extents []tree.Extent
}

func (c told) Extents() []tree.Extent { return c.extents }

// Where a source says that its data is makes no difference.
func TestExtentsAreHints(t *testing.T) {
	const size = 66 << 20
	at := []tree.Extent{{Offset: 1 << 20, Length: 5000}, {Offset: 50<<20 + 3, Length: 100_000}, {Offset: size - 10, Length: 10}}
	n := treetest.Holes(size, at)
	plain, other := n, n
	plain.Content = opened(n.Content.Open)
	other.Content = told{n.Content, []tree.Extent{{Offset: 1<<20 - 5000, Length: 20_000}, {Offset: 50 << 20, Length: 200_000}, {Offset: 60 << 20, Length: 1 << 20}, {Offset: size - 4096, Length: 4096}}}
	var images []string
	for _, n := range []tree.Inode{n, plain, other} {
		raw, err := os.ReadFile(image(t, build(t, "sparse", n), ext4.Options{}).Name())
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, string(raw))
	}
	if images[0] != images[1] || images[0] != images[2] {
		t.Error("the bytes depend on the extents that the source tells")
	}
}

type opened func() (io.ReadCloser, error)

func (o opened) Open() (io.ReadCloser, error) { return o() }
