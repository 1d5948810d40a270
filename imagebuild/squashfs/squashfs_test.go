package squashfs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func readFrom(f *os.File) (*tree.Tree, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	i, err := squashfs.Read(context.Background(), f, info.Size())
	if err != nil {
		return nil, err
	}
	return i.Tree, nil
}

func TestWriter(t *testing.T) {
	for name, golden := range map[string]string{
		"zstd":         "d871035476308458b2a3d011d42833ac2e532b880e0464b1b79574b8c54c351a",
		"gzip":         "162ff78e93647d958ad3f037a4b21b997ed60f81d55c00dca56b4cc085711d37",
		"small blocks": "917eb38f6d841f19a3d36821047984aaae2b51cc2b66069b2e9323629d8a1fab",
		"large blocks": "e7253008068988982f9270631a21ee44e2c820d2d706b4197607ccdcb80da7dc",
	} {
		t.Run(name, func(t *testing.T) {
			treetest.Run(t, treetest.Writer{
				Tree:      holdable(t),
				WriteFile: func(f *os.File, tr *tree.Tree) error { return writeTo(f, tr, kinds()[name]) },
				Golden:    golden,
				Read:      readFrom,
				Holds:     holds,
			})
		})
	}
}

func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 8 GiB")
	}
	f := image(t, treetest.Large(), squashfs.Options{BlockSize: 1 << 20})
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 64<<10 {
		t.Errorf("a file of zeros takes %d bytes", info.Size())
	}
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Large(), got, holds))
}

func with(t testing.TB, change func(*tree.Inode)) *tree.Tree {
	n := treetest.File(0o644, "x")
	change(&n)
	return treetest.Of(t, map[string]tree.Inode{"f": n})
}

func TestWhatSquashfsCannotHold(t *testing.T) {
	var many tree.Builder
	for i := range 33_000 {
		n := treetest.File(0o644, "")
		n.UID, n.GID = uint32(2*i+1), uint32(2*i+2)
		if err := many.Add(fmt.Sprint(i), n); err != nil {
			t.Fatal(err)
		}
	}
	owners, err := many.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for complaint, tr := range map[string]*tree.Tree{
		"/f: squashfs cannot hold the time 1969-12-31":                      with(t, func(n *tree.Inode) { n.ModTime.Sec = -1 }),
		"/f: squashfs cannot hold the time 2106-02-07":                      with(t, func(n *tree.Inode) { n.ModTime.Sec = 1 << 32 }),
		`/f: squashfs cannot hold the POSIX ACL "system.posix_acl_access"`:  with(t, func(n *tree.Inode) { n.Xattrs = []tree.Xattr{{Name: "system.posix_acl_access"}} }),
		`/f: squashfs cannot hold the extended attribute "system.x"`:        with(t, func(n *tree.Inode) { n.Xattrs = []tree.Xattr{{Name: "system.x"}} }),
		"/f: squashfs cannot hold the owner 4294967295:0; Linux knows none": with(t, func(n *tree.Inode) { n.UID = 1<<32 - 1 }),
		"/d: squashfs cannot hold the device number 4096:0":                 treetest.Of(t, map[string]tree.Inode{"d": tree.Inode{Mode: tree.CharDev, Major: 4096}}),
		"/d: squashfs cannot hold the device number 0:1048576":              treetest.Of(t, map[string]tree.Inode{"d": tree.Inode{Mode: tree.BlockDev, Minor: 1 << 20}}),
		"squashfs cannot hold more than 65535 different owners and groups":  owners,
	} {
		_, err := squashfs.Write(t.Context(), treetest.Untouched{}, tr, squashfs.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	tr := with(t, func(*tree.Inode) {})
	for complaint, o := range map[string]squashfs.Options{
		"no compression 2":       {Compression: 2},
		"a level of 5 for zstd":  {Level: 5},
		"a level of -1 for gzip": {Level: -1, Compression: squashfs.Gzip},
		"blocks of 2048 bytes":   {BlockSize: 2048},
		"blocks of 5000 bytes":   {BlockSize: 5000},
		"blocks of 2097152":      {BlockSize: 2 << 20},
	} {
		if _, err := squashfs.Write(t.Context(), treetest.Untouched{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error of %+v is %v, want one of %q", o, err, complaint)
		}
	}
	if _, err := squashfs.Write(t.Context(), treetest.Untouched{}, tr, squashfs.Options{}); !errors.Is(err, treetest.ErrWritten) {
		t.Errorf("an error of the disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := squashfs.Write(ctx, treetest.Untouched{}, tr, squashfs.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writing: %v", err)
	}
}

func TestOptionsLoseWhatTheySay(t *testing.T) {
	tr := with(t, func(n *tree.Inode) {
		n.ModTime = tree.Time{Sec: 1 << 33, Nsec: 5}
		n.Xattrs = []tree.Xattr{{Name: "system.posix_acl_access", Value: treetest.ACL(5)}, {Name: "user.kept", Value: "v"}}
	})
	got, err := readFrom(image(t, tr, squashfs.Options{ClampTimes: true, DropACLs: true}))
	if err != nil {
		t.Fatal(err)
	}
	want := with(t, func(n *tree.Inode) {
		n.ModTime = tree.Time{Sec: 1<<32 - 1}
		n.Xattrs = []tree.Xattr{{Name: "user.kept", Value: "v"}}
	})
	treetest.Report(t, treetest.Compare(want, got, treetest.All))
}

// Equal files take their room once, and zeros none.
func TestStoredOnce(t *testing.T) {
	size := func(contents ...[]byte) int64 {
		var b tree.Builder
		for i, c := range contents {
			if err := b.Add(fmt.Sprint(i), treetest.File(0o644, string(c))); err != nil {
				t.Fatal(err)
			}
		}
		tr, err := b.Freeze(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		info, err := image(t, tr, squashfs.Options{}).Stat()
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	big := treetest.Random(1, 1<<20)
	if once, twice := size(big), size(big, big, big); twice > once+4096 {
		t.Errorf("a file takes %d bytes, and three equal ones %d", once, twice)
	}
	holes := append(append(bytes.Clone(big), make([]byte, 8<<20)...), big...)
	if got := size(holes); got > 2<<20+8192 {
		t.Errorf("a file with a hole of 8 MiB and 2 MiB besides takes %d", got)
	}
}

// sample is the bytes of an image of a few files.
func sample(t testing.TB, o squashfs.Options) []byte {
	return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, treetest.Sample(t), o) })
}

func readRaw(raw []byte) (*squashfs.Image, error) {
	i, err := squashfs.Read(context.Background(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	return i, treetest.Read(i.Tree)
}

func TestBadImages(t *testing.T) {
	good := sample(t, squashfs.Options{Time: 7})
	i, err := readRaw(good)
	if err != nil || i.Time != 7 || i.Compression != "zstd" || i.BlockSize != 128<<10 || i.Fragments != 1 || i.Tree.Len() != 7 {
		t.Fatalf("%+v, %v", i, err)
	}
	for complaint, change := range map[string]func([]byte) []byte{
		"it is cut off":                func(b []byte) []byte { return b[:50] },
		"it has no superblock":         func(b []byte) []byte { b[0]++; return b },
		"of version 5.0":               func(b []byte) []byte { b[28]++; return b },
		"compressed by lzo":            func(b []byte) []byte { b[20] = 3; return b },
		"compressed by method 9":       func(b []byte) []byte { b[20] = 9; return b },
		"its blocks have 131073 bytes": func(b []byte) []byte { b[12]++; return b },
		"and there are 200":            func(b []byte) []byte { return b[:200] },
		"its tables are outside":       func(b []byte) []byte { b[70] = 1; return b },
		"it says to have 4278190087":   func(b []byte) []byte { b[7] = 255; b[4] = 7; return b },
		"the owners":                   func(b []byte) []byte { b[48] = 3; return b },
	} {
		if _, err := readRaw(change(bytes.Clone(good))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// Whatever byte is changed, reading ends, and without a panic.
func FuzzRead(f *testing.F) {
	f.Add(sample(f, squashfs.Options{}))
	f.Add(sample(f, squashfs.Options{Compression: squashfs.Gzip, BlockSize: 4096}))
	squashfs.LimitContent(1 << 20)
	f.Cleanup(func() { squashfs.LimitContent(256 << 30) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := readRaw(raw)
		if err != nil {
			return
		}
		// What was read can be written, and is the same then.
		size, err := squashfs.Write(t.Context(), treetest.Nowhere{}, i.Tree, squashfs.Options{})
		if !errors.Is(err, errors.ErrUnsupported) && (err != nil || size == 0) {
			t.Errorf("writing what was read: %v", err)
		}
	})
}
