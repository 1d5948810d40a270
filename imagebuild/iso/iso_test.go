package iso_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

// holds is what the format holds of a tree that it can hold.
const holds = treetest.All

// holdable is the odd tree as the format holds it.
func holdable(t testing.TB) *tree.Tree {
	t.Helper()
	kept := tree.Filter(treetest.Odd(), func(n tree.Node) bool { return len(n.Name()) <= 253 })
	got, err := tree.Map(t.Context(), kept, func(_ tree.Node, n tree.Inode) (tree.Inode, error) {
		n.Xattrs = nil
		n.ModTime = tree.Time{Sec: min(max(n.ModTime.Sec, -2208988800), 5869583999)}
		if n.Mode.IsDevice() && n.Major == 0 {
			n.Minor &= 255
		}
		return n, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func bootImage(seed uint64, size int) *iso.BootImage {
	return &iso.BootImage{Content: tree.Bytes(treetest.Random(seed, size)), Size: int64(size)}
}

func options() iso.Options {
	return iso.Options{
		VolumeID: "SAMEBITS_1", Time: tree.Time{Sec: 1772323200, Nsec: 50_000_000}, Application: "samebits", Publisher: "a test",
		BIOS: bootImage(1, 3000), BIOSInfoTable: true, UEFI: bootImage(2, 2<<20), Reserve: 33 * 512,
	}
}

func writeTo(f *os.File, tr *tree.Tree, o iso.Options) error {
	l, err := iso.Write(context.Background(), f, tr, o)
	if err != nil {
		return err
	}
	return f.Truncate(l.Size)
}

func volume(f *os.File) (*iso.Volume, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return iso.Read(context.Background(), f, info.Size())
}

func TestWriter(t *testing.T) {
	treetest.Run(t, treetest.Writer{
		Tree:      holdable(t),
		WriteFile: func(f *os.File, tr *tree.Tree) error { return writeTo(f, tr, options()) },
		Golden:    "7b22ac703f9cb8dbd036e1ca2047bf2c48d6c4e173d8fcc4cc7e4aab0a4b2e94",
		Read: func(f *os.File) (*tree.Tree, error) {
			v, err := volume(f)
			if err != nil {
				return nil, err
			}
			return v.Tree, nil
		},
		Holds: holds,
	})
}

// image writes a tree to a file.
func image(t testing.TB, tr *tree.Tree, o iso.Options) *os.File {
	return imagetest.File(t, func(f *os.File) error { return writeTo(f, tr, o) })
}

func one(t testing.TB, path string, n tree.Inode) *tree.Tree {
	t.Helper()
	return treetest.Of(t, map[string]tree.Inode{path: n})
}

func TestVolume(t *testing.T) {
	f := image(t, one(t, "f", treetest.File(0o644, "x")), options())
	v, err := volume(f)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if v.VolumeID != "SAMEBITS_1" || v.Time != options().Time || !v.RockRidge || v.Size != info.Size() {
		t.Errorf("%+v", v)
	}
	if len(v.Boot) != 2 || v.Boot[0].UEFI || v.Boot[0].Sectors != 4 || !v.Boot[1].UEFI || v.Boot[1].Sectors != 4096 {
		t.Errorf("the boot catalog has %+v", v.Boot)
	}
	l, err := iso.Write(t.Context(), discard{}, one(t, "f", treetest.File(0o644, "x")), options())
	if err != nil || l.UEFI.Offset != v.Boot[1].Offset || l.BIOS.Offset != v.Boot[0].Offset || l.UEFI.Length != 2<<20 || l.Size != info.Size() {
		t.Errorf("%+v, %v", l, err)
	}
	got := make([]byte, 2<<20)
	if _, err := f.ReadAt(got, l.UEFI.Offset); err != nil || string(got) != string(treetest.Random(2, 2<<20)) {
		t.Errorf("the UEFI image is another: %v", err)
	}
	for _, c := range []struct {
		change func(*iso.Options)
		want   string
	}{
		{func(o *iso.Options) { o.BIOS, o.UEFI = nil, nil }, "[]"},
		{func(o *iso.Options) { o.BIOS = nil }, "[{true 49152 4096}]"},
		{func(o *iso.Options) { o.UEFI = nil }, "[{false 49152 4}]"},
		{func(o *iso.Options) { o.BIOS, o.UEFI = nil, bootImage(3, 40<<20) }, "[{true 49152 0}]"},
	} {
		o := options()
		c.change(&o)
		v, err := volume(image(t, one(t, "f", treetest.File(0o644, "x")), o))
		if err != nil || fmt.Sprint(v.Boot) != c.want {
			t.Errorf("the boot catalog has %v, %v; want %s", v.Boot, err, c.want)
		}
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// A file that 32 bits cannot measure has several extents. Its last bytes are in
// the second.
func TestLargeFile(t *testing.T) {
	n := treetest.Holes(treetest.LargeSize, []tree.Extent{{Offset: 1 << 32, Length: 5}})
	raw, err := hex.DecodeString("9440f79d2bb1af981f98122f9a8815bc1cfb8b51ec7a812b4af8963ba081dce6")
	if err != nil {
		t.Fatal(err)
	}
	n.Digest = tree.Digest(raw)
	tr := one(t, "large", n)
	v, err := volume(image(t, tr, iso.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, v.Tree, holds))
}

func TestSockets(t *testing.T) {
	v, err := volume(image(t, treetest.WithSocket(), iso.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.WithSocket(), v.Tree, holds))
}

// Targets of all forms and lengths come back as they were.
func TestSymlinks(t *testing.T) {
	nodes := map[string]tree.Inode{}
	for i, target := range []string{"/", "a", "/a", "../a", "..", ".", "./a/.", "a/", "a//b", "//a", "///", "a/./../b", strings.Repeat("x", 255),
		strings.Repeat("x", 4095), strings.Repeat("long/", 800), strings.Repeat("/", 1000), strings.Repeat("../", 1000), strings.Repeat("a", 248) + "/b", strings.Repeat("a", 247) + "/b/c",
		strings.Repeat("a", 246) + "/b", strings.Repeat("a", 250) + "/" + strings.Repeat("b", 250)} {
		nodes[fmt.Sprintf("%02d", i)] = tree.Inode{Mode: tree.Symlink | 0o777, Target: target, ModTime: treetest.Epoch}
	}
	tr := treetest.Of(t, nodes)
	v, err := volume(image(t, tr, iso.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, v.Tree, holds))
}

func TestWhatTheFormatCannotHold(t *testing.T) {
	at := func(sec int64) tree.Inode {
		n := treetest.File(0o644, "")
		n.ModTime = tree.Time{Sec: sec}
		return n
	}
	x := treetest.File(0o644, "")
	x.Xattrs = []tree.Xattr{{Name: "user.a"}}
	for complaint, tr := range map[string]*tree.Tree{
		"cannot hold a name of 254 bytes; Linux reads":                    one(t, strings.Repeat("n", 254), x),
		"/d: ISO 9660 cannot hold the device 0,256":                       one(t, "d", tree.Inode{Mode: tree.CharDev | 0o600, Minor: 256}),
		`/f: ISO 9660 cannot hold the extended attribute "user.a"`:        one(t, "f", x),
		"/f: ISO 9660 cannot hold the time 1899-12-31 23:59:59 +0000 UTC": one(t, "f", at(-2208988801)),
		"/f: ISO 9660 cannot hold the time 2156-01-01 00:00:00 +0000 UTC": one(t, "f", at(5869584000)),
		"/f: ISO 9660 cannot hold the owner 0:4294967295":                 one(t, "f", tree.Inode{Mode: tree.Regular, GID: 1<<32 - 1}),
	} {
		if _, err := iso.Write(t.Context(), broken{}, tr, iso.Options{}); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
	lossy := x
	lossy.ModTime = tree.Time{Sec: 1 << 40}
	v, err := volume(image(t, one(t, "f", lossy), iso.Options{DropXattrs: true, ClampTimes: true}))
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(one(t, "f", at(5869583999)), v.Tree, holds))
}

func TestWrongOptions(t *testing.T) {
	tr := one(t, "f", treetest.File(0o644, "x"))
	for complaint, change := range map[string]func(*iso.Options){
		"the volume id has 33 bytes":           func(o *iso.Options) { o.VolumeID = strings.Repeat("V", 33) },
		"more than plain ASCII":                func(o *iso.Options) { o.Publisher = "é" },
		"the system has 33":                    func(o *iso.Options) { o.System = strings.Repeat("V", 33) },
		"a negative number":                    func(o *iso.Options) { o.Reserve = -1 },
		"the volume's time":                    func(o *iso.Options) { o.Time.Sec = 1 << 40 },
		"for BIOSes of 63 bytes":               func(o *iso.Options) { o.BIOS.Size = 63 },
		"for UEFI of 1000 bytes":               func(o *iso.Options) { o.UEFI.Size = 1000 },
		"for BIOSes: it has not the size that": func(o *iso.Options) { o.BIOS.Size = 2999 },
		"for UEFI: it has not the size that w": func(o *iso.Options) { o.UEFI.Size += 512 },
		"at most 8 TiB":                        func(o *iso.Options) { o.Reserve = 9 << 40 },
	} {
		o := options()
		change(&o)
		if _, err := iso.Write(t.Context(), discard{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

type broken struct{}

func (broken) WriteAt([]byte, int64) (int, error) { return 0, errors.New("something was written") }

func TestDiskErrorsArePassedOn(t *testing.T) {
	tr := one(t, "f", treetest.File(0o644, string(treetest.Random(1, 5<<20))))
	all := &positions{}
	if _, err := iso.Write(t.Context(), all, tr, options()); err != nil {
		t.Fatal(err)
	}
	for i := range all.n {
		if _, err := iso.Write(t.Context(), &positions{fail: i + 1}, tr, options()); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("write %d of %d failed, and the error is %v", i, all.n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := iso.Write(ctx, discard{}, tr, options()); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

type positions struct{ n, fail int }

func (p *positions) WriteAt(b []byte, _ int64) (int, error) {
	if p.n++; p.n == p.fail {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}
