package inspect_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/qcow2"
)

// wrong are the checks of an image that fail, each as a line.
func wrong(t testing.TB, path string) (list []string, all int) {
	t.Helper()
	checks, err := open(t, path).Verify(t.Context())
	must(t, err)
	for _, c := range checks {
		if c.Err != nil {
			list = append(list, strings.Join(append(c.Path, c.What), ": ")+": "+c.Err.Error())
		}
	}
	return list, len(checks)
}

// damaged is a copy of a file with bytes changed.
func damaged(t testing.TB, path string, change func(b []byte)) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	change(b)
	return file(t, filepath.Base(path), func(f *os.File) error { _, err := f.Write(b); return err })
}

func TestWholeImagesPass(t *testing.T) {
	d := newDisk(t)
	paths := images(t, rootTree(t))
	paths["disk"], paths["qcow2"] = d.path, asQcow2(t, d.path, qcow2.Deflate)
	for name, path := range paths {
		list, all := wrong(t, path)
		if len(list) > 0 || all == 0 {
			t.Errorf("%s: of %d checks fail %q", name, all, list)
		}
	}
}

func TestDamagedDisksFail(t *testing.T) {
	d := newDisk(t)
	for name, c := range map[string]struct {
		change func(b []byte)
		want   []string // in this order
	}{
		"data": {func(b []byte) { b[d.rootOffset] ^= 1 }, []string{`hashes: the data of "root" are those of the hash tree`}},
		"the tree's top": {func(b []byte) { b[d.start["hashes"]+4096] ^= 1 }, []string{
			"esp: EFI/kernel.efi: the root hash on the command line is that of a hash tree of the disk: no hash tree has",
			`hashes: the data of "root" are those of the hash tree`,
		}},
		"the table": {func(b []byte) { b[512+60] ^= 1 }, []string{"it can be read: reading a partition table: the sum of the header"}},
		"its copy":  {func(b []byte) { b[len(b)-512+60] ^= 1 }, []string{"it can be read: reading a partition table: the copy"}},
	} {
		list, _ := wrong(t, damaged(t, d.path, c.change))
		if len(list) != len(c.want) {
			t.Errorf("%s: %q", name, list)
			continue
		}
		for i := range list {
			if !strings.HasPrefix(list[i], c.want[i]) {
				t.Errorf("%s: %q, want %q", name, list[i], c.want[i])
			}
		}
	}
}

// A command line that names another root hash is found out, and so is another
// kernel, by the sum in its headers.
func TestDamagedKernelImageFails(t *testing.T) {
	d := newDisk(t)
	change := func(b []byte) {
		at := strings.Index(string(b), "roothash=")
		b[at+9] ^= 1
	}
	list, _ := wrong(t, damaged(t, d.path, change))
	if len(list) != 2 || !strings.HasPrefix(list[0], "esp: EFI/kernel.efi: the sum in the headers is right: ") ||
		!strings.HasPrefix(list[1], "esp: EFI/kernel.efi: the root hash on the command line is that of a hash tree of the disk: ") {
		t.Errorf("%q", list)
	}
}

func TestDamagedFilesFail(t *testing.T) {
	paths := images(t, rootTree(t))
	for name, want := range map[string]string{
		"ext4": "it can be read", "erofs": "it can be read", "squashfs": "all files can be read", "tar.gz": "all files can be read",
		"tar.zst": "all files can be read", "cpio.gz": "all files can be read", "docker": "its archive is sha256:", "mtree": "the list of files can be read",
	} {
		change := func(b []byte) { b[len(b)/3] ^= 0x40 }
		switch name {
		case "ext4", "erofs":
			change = func(b []byte) { b[1024+0x40] ^= 1 }
		case "squashfs": // which has no sums, so that only what is compressed tells
			change = func(b []byte) { b[binary.LittleEndian.Uint64(b[64:])+20] ^= 1 }
		}
		list, _ := wrong(t, damaged(t, paths[name], change))
		if !slices.ContainsFunc(list, func(line string) bool { return strings.Contains(line, want) }) {
			t.Errorf("%s: %q", name, list)
		}
	}
}

// Each blob of a layout is held against what names it.
func TestDamagedLayoutsFail(t *testing.T) {
	var layout string
	build := func() []os.DirEntry {
		layout = filepath.Join(t.TempDir(), "layout")
		_, err := oci.Write(t.Context(), layout, []oci.Image{container(rootTree(t))}, oci.Options{Archive: archive, Compression: compress.Gzip})
		must(t, err)
		blobs, err := os.ReadDir(filepath.Join(layout, "blobs/sha256"))
		must(t, err)
		return blobs
	}
	for i, blob := range build() {
		build()
		path := filepath.Join(layout, "blobs/sha256", blob.Name())
		b, err := os.ReadFile(path)
		must(t, err)
		b[len(b)-2] ^= 1
		must(t, os.WriteFile(path, b, 0o644))
		if list, _ := wrong(t, layout); !slices.ContainsFunc(list, func(line string) bool { return strings.Contains(line, "its SHA-256 is "+blob.Name()) }) {
			t.Errorf("blob %d changed: %q", i, list)
		}
		must(t, os.WriteFile(path, append(b, 0), 0o644))
		if list, _ := wrong(t, layout); !slices.ContainsFunc(list, func(line string) bool { return strings.Contains(line, "bytes, and its descriptor says") }) {
			t.Errorf("blob %d longer: %q", i, list)
		}
		must(t, os.Remove(path))
		if list, _ := wrong(t, layout); !slices.ContainsFunc(list, func(line string) bool { return strings.Contains(line, "no such file") }) {
			t.Errorf("blob %d gone: %q", i, list)
		}
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	p := open(t, newDisk(t).path)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := inspect.Open(ctx, newDisk(t).path); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
