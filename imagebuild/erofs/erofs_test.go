package erofs_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func readFrom(f *os.File) (*tree.Tree, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	i, err := erofs.Read(context.Background(), f, info.Size())
	if err != nil {
		return nil, err
	}
	return i.Tree, nil
}

func TestWriter(t *testing.T) {
	for name, golden := range map[string]string{
		"plain": "385e80e2d828075398192f5f750c84cc735bb7322f32f503ca7e9503620763ef",
		"lz4":   "b00c80ece1db0e038393019eddcdfadef10b34a2b1823c3419d1a6f325665b78",
		"zstd":  "03ae5d05c9352f27be94d4399969e3a5292a5680bf0513fd1b29ba66af1640a8",
	} {
		t.Run(name, func(t *testing.T) {
			treetest.Run(t, treetest.Writer{
				Tree:      treetest.Odd(),
				WriteFile: func(f *os.File, tr *tree.Tree) error { return writeTo(f, tr, kinds()[name]) },
				Golden:    golden,
				Read:      readFrom,
				Holds:     treetest.All,
			})
		})
	}
}

func TestLarge(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 8 GiB")
	}
	f := image(t, treetest.Large(), erofs.Options{})
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() > 128<<10 {
		t.Errorf("a file of zeros takes %d bytes", info.Size())
	}
	got, err := readFrom(f)
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(treetest.Large(), got, treetest.All))
}

func with(t testing.TB, change func(*tree.Inode)) *tree.Tree {
	n := treetest.File(0o644, "x")
	change(&n)
	return treetest.Of(t, map[string]tree.Inode{"f": n})
}

func TestWhatErofsCannotHold(t *testing.T) {
	for complaint, tr := range map[string]*tree.Tree{
		`/f: EROFS cannot hold the extended attribute "system.x"`: with(t, func(n *tree.Inode) { n.Xattrs = []tree.Xattr{{Name: "system.x"}} }),
		`/f: EROFS cannot hold the extended attribute "user.x" of 65536 bytes`: with(t, func(n *tree.Inode) {
			n.Xattrs = []tree.Xattr{{Name: "user.x", Value: strings.Repeat("x", 1<<16)}}
		}),
		"/f: EROFS cannot hold the owner 0:4294967295":      with(t, func(n *tree.Inode) { n.GID = 1<<32 - 1 }),
		"/d: EROFS cannot hold the device number 4096:0":    treetest.Of(t, map[string]tree.Inode{"d": tree.Inode{Mode: tree.CharDev, Major: 4096}}),
		"/d: EROFS cannot hold the device number 0:1048576": treetest.Of(t, map[string]tree.Inode{"d": tree.Inode{Mode: tree.BlockDev, Minor: 1 << 20}}),
	} {
		_, err := erofs.Write(t.Context(), treetest.Untouched{}, tr, erofs.Options{})
		if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	tr := with(t, func(*tree.Inode) {})
	for complaint, o := range map[string]erofs.Options{
		"no compression 3":       {Compression: 3},
		"a level of 5 for zstd":  {Level: 5, Compression: erofs.Zstd},
		"a level of 1 for lz4":   {Level: 1, Compression: erofs.LZ4},
		"has 17 bytes":           {Label: "0123456789abcdefg"},
		"has a NUL":              {Label: "a\x00b"},
		"1000000000 nanoseconds": {BuildTime: tree.Time{Nsec: 1e9}},
	} {
		if _, err := erofs.Write(t.Context(), treetest.Untouched{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error of %+v is %v, want one of %q", o, err, complaint)
		}
	}
	if _, err := erofs.Write(t.Context(), treetest.Untouched{}, tr, erofs.Options{}); !errors.Is(err, treetest.ErrWritten) {
		t.Errorf("an error of the disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := erofs.Write(ctx, treetest.Untouched{}, tr, erofs.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writing: %v", err)
	}
}

// sample is the bytes of an image of a few files.
func sample(t testing.TB, o erofs.Options) []byte {
	return imagetest.Bytes(t, func(f *os.File) error { return writeTo(f, treetest.Sample(t), o) })
}

func readRaw(raw []byte) (*erofs.Image, error) {
	i, err := erofs.Read(context.Background(), bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	return i, treetest.Read(i.Tree)
}

func TestBadImages(t *testing.T) {
	good := sample(t, erofs.Options{Label: "sample"})
	i, err := readRaw(good)
	if err != nil || i.Label != "sample" || i.Size != int64(len(good)) || i.Tree.Len() != 7 {
		t.Fatalf("%+v, %v", i, err)
	}
	for complaint, change := range map[string]func([]byte) []byte{
		"it is cut off":                 func(b []byte) []byte { return b[:50] },
		"it has no superblock":          func(b []byte) []byte { b[1024]++; return b },
		"not the checksum":              func(b []byte) []byte { b[1060]++; return b },
		"blocks of 1<<13":               func(b []byte) []byte { b[1036]++; return b },
		"and there are":                 func(b []byte) []byte { return b[:len(b)-4096] },
		"/: data laid out in the way 5": func(b []byte) []byte { b[4096] = 5<<1 | 1; return b },
	} {
		if _, err := readRaw(change(bytes.Clone(good))); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("the error is %v, want one of %q", err, complaint)
		}
	}
}

// Whatever byte is changed, reading ends, and without a panic.
func FuzzRead(f *testing.F) {
	f.Add(sample(f, erofs.Options{}))
	f.Add(sample(f, erofs.Options{Compression: erofs.Zstd}))
	f.Add(sample(f, erofs.Options{Compression: erofs.LZ4}))
	erofs.LimitContent(1 << 20)
	f.Cleanup(func() { erofs.LimitContent(256 << 30) })
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := readRaw(raw)
		if err != nil {
			return
		}
		// What was read can be written, and is the same then.
		size, err := erofs.Write(t.Context(), treetest.Nowhere{}, i.Tree, erofs.Options{})
		if !errors.Is(err, errors.ErrUnsupported) && (err != nil || size == 0) {
			t.Errorf("writing what was read: %v", err)
		}
	})
}
