package inspect_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/erofs"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/inspect"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/oci"
	"github.com/samebits/samebits/imagebuild/qcow2"
	"github.com/samebits/samebits/imagebuild/squashfs"
	"github.com/samebits/samebits/imagebuild/tar"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/verity"
)

// epoch is the time of all that is made here.
var epoch = treetest.Epoch

// must ends a test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func freeze(t testing.TB, b *tree.Builder) *tree.Tree {
	t.Helper()
	tr, err := b.Freeze(t.Context())
	must(t, err)
	return tr
}

// rootTree is a small root file system, with what tells formats apart.
func rootTree(t testing.TB) *tree.Tree {
	t.Helper()
	var b tree.Builder
	dir := tree.Inode{Mode: tree.Directory | 0o755, ModTime: epoch}
	must(t, b.Set("", dir))
	for _, name := range []string{"etc", "usr", "usr/lib", "bin", "dev"} {
		must(t, b.Add(name, dir))
	}
	must(t, b.Add("etc/os-release", tree.Inode{Mode: tree.Symlink | 0o777, Target: "../usr/lib/os-release", ModTime: epoch}))
	must(t, b.Add("usr/lib/os-release", treetest.File(0o644, "ID=test\n")))
	must(t, b.Add("bin/tool", treetest.File(0o4755, "#!/bin/sh\n")))
	must(t, b.Link("bin/other", "bin/tool"))
	must(t, b.Add("large", treetest.File(0o600, string(treetest.Random(5, 300_000)))))
	must(t, b.Add("dev/null", tree.Inode{Mode: tree.CharDev | 0o666, Major: 1, Minor: 3, ModTime: epoch}))
	owned := treetest.File(0o640, "owned")
	owned.UID, owned.GID = 1000, 70000
	must(t, b.Add("etc/owned", owned))
	return freeze(t, &b)
}

// withXattr is a tree with an extended attribute more.
func withXattr(t testing.TB, tr *tree.Tree) *tree.Tree {
	t.Helper()
	out, err := tree.Map(t.Context(), tr, func(n tree.Node, i tree.Inode) (tree.Inode, error) {
		if n.Path() == "large" {
			i.Xattrs = []tree.Xattr{{Name: "user.note", Value: "text"}}
		}
		return i, nil
	})
	must(t, err)
	return out
}

// file writes what a writer makes into a new file of a directory of the test's.
func file(t testing.TB, name string, write func(f *os.File) error) string {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	must(t, err)
	must(t, write(f))
	must(t, f.Close())
	return f.Name()
}

// sized is a file whose writer leaves its end, which is holes, to the caller.
func sized(t testing.TB, name string, write func(f *os.File) (int64, error)) string {
	t.Helper()
	return file(t, name, func(f *os.File) error {
		size, err := write(f)
		if err != nil {
			return err
		}
		return f.Truncate(size)
	})
}

// program is a small EFI program.
func program() []byte {
	le := binary.LittleEndian
	const table, room = 64 + 24 + 240, 1024
	b := make([]byte, room+512)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], uki.AMD64)
	le.PutUint16(b[70:], 1)
	le.PutUint16(b[84:], 240)
	o := b[88:]
	le.PutUint16(o, 0x20B)
	le.PutUint32(o[32:], 512)
	le.PutUint32(o[36:], 512)
	le.PutUint32(o[56:], 0x2000)
	le.PutUint32(o[60:], room)
	o[68] = 10
	le.PutUint32(o[108:], 16)
	s := b[table:]
	copy(s, ".text")
	le.PutUint32(s[8:], 300)
	le.PutUint32(s[12:], 0x1000)
	le.PutUint32(s[16:], 512)
	le.PutUint32(s[20:], room)
	copy(b[room:], "code")
	return b
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// initrd is an archive of one file, compressed.
func initrd(t testing.TB, name string, c cpio.Compression) []byte {
	t.Helper()
	var b tree.Builder
	must(t, b.Set("", tree.Inode{Mode: tree.Directory | 0o755, ModTime: epoch}))
	must(t, b.Add(name, treetest.File(0o755, "content of "+name)))
	return initrdOf(t, freeze(t, &b), c)
}

func initrdOf(t testing.TB, tr *tree.Tree, c cpio.Compression) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, cpio.WriteParts(t.Context(), &out, []cpio.Part{{Tree: tr, Compression: c}}, cpio.Options{}))
	return out.Bytes()
}

// kernelImage is a unified one.
func kernelImage(t testing.TB, cmdline string) *uki.Unified {
	t.Helper()
	u, err := uki.New(uki.Options{
		Stub: section(program()), Linux: section(append(program(), make([]byte, 5000)...)),
		Initrds:   []*io.SectionReader{section(initrd(t, "init", compress.Zstd)), section(initrd(t, "more", compress.Gzip))},
		Microcode: section(initrd(t, "early", nil)),
		OSRelease: []byte("ID=test\nVERSION_ID=1\n"), Uname: "6.1.0-test", Cmdline: cmdline,
	})
	must(t, err)
	return u
}

// disk is one with an EFI system partition, a root, and its hash tree.
type disk struct {
	path       string
	root       *tree.Tree
	rootHash   string
	start      map[string]int64 // of partitions
	rootOffset int64            // of a byte of the root's data that is not zero
}

func newDisk(t testing.TB) *disk {
	t.Helper()
	d := &disk{root: rootTree(t), start: map[string]int64{}}
	root := sized(t, "root", func(f *os.File) (int64, error) {
		return erofs.Write(t.Context(), f, d.root, erofs.Options{UUID: [16]byte{1}, Label: "root", BuildTime: epoch})
	})
	data, err := os.ReadFile(root)
	must(t, err)
	var hash verity.Digest
	hashes := sized(t, "hashes", func(f *os.File) (int64, error) {
		var size int64
		hash, size, err = verity.Write(t.Context(), bytes.NewReader(data), int64(len(data)), f, verity.Options{Salt: []byte("salt"), UUID: [16]byte{2}})
		return size, err
	})
	d.rootHash = fmt.Sprintf("%x", hash[:])
	u := kernelImage(t, "quiet roothash="+d.rootHash)
	var b tree.Builder
	must(t, b.Add("EFI", tree.Inode{Mode: tree.Directory | 0o755, ModTime: epoch}))
	must(t, b.Add("EFI/kernel.efi", tree.Inode{Mode: tree.Regular | 0o644, ModTime: epoch, Size: u.Size(), Content: u}))
	esp := sized(t, "esp", func(f *os.File) (int64, error) {
		return fat.Write(t.Context(), f, freeze(t, &b), fat.Options{Type: fat.FAT16, Label: "ESP", VolumeID: 0x12345678})
	})
	types, _ := gpt.TypesOf("amd64")
	parts := []struct {
		name, path string
		kind, id   gpt.GUID
	}{
		{"esp", esp, gpt.ESP, "11111111-1111-4111-8111-111111111111"},
		{"root", root, types.Root, gpt.FormatGUID([16]byte(hash[:16]))},
		{"hashes", hashes, types.RootVerity, gpt.FormatGUID([16]byte(hash[16:]))},
	}
	table := gpt.Table{ID: "22222222-2222-4222-8222-222222222222"}
	for _, p := range parts {
		info, err := os.Stat(p.path)
		must(t, err)
		table.Partitions = append(table.Partitions, gpt.Partition{Type: p.kind, ID: p.id, Name: p.name, Size: info.Size()})
	}
	table.Partitions[1].Attributes = gpt.ReadOnly
	laid, err := table.Layout()
	must(t, err)
	d.path = file(t, "disk.raw", func(f *os.File) error {
		for i, p := range parts {
			d.start[p.name] = laid.Partitions[i].Start
			content, err := os.ReadFile(p.path)
			must(t, err)
			if _, err := f.WriteAt(content, laid.Partitions[i].Start); err != nil {
				return err
			}
		}
		return laid.WriteTo(f)
	})
	d.rootOffset = d.start["root"] + int64(bytes.Index(data, []byte("ID=test")))
	return d
}

// asQcow2 is a disk as an image.
func asQcow2(t testing.TB, raw string, c qcow2.Compression) string {
	t.Helper()
	in, err := os.Open(raw)
	must(t, err)
	defer in.Close()
	info, err := in.Stat()
	must(t, err)
	return file(t, "disk.qcow2", func(f *os.File) error {
		_, err := qcow2.Write(t.Context(), in, info.Size(), f, qcow2.Options{Compression: c})
		return err
	})
}

// images is a tree in each format that has one file, by the format's word.
func images(t testing.TB, tr *tree.Tree) map[string]string {
	t.Helper()
	packed := func(c compress.Profile, write func(w io.Writer) error) func(f *os.File) error {
		return func(f *os.File) error {
			z, err := c.NewWriter(f)
			if err != nil {
				return err
			}
			if err := write(z); err != nil {
				return err
			}
			return z.Close()
		}
	}
	writeTar := func(w io.Writer) error { return tar.Write(t.Context(), w, tr, tar.Options{}) }
	writeCpio := func(w io.Writer) error {
		return cpio.Write(t.Context(), w, tr, cpio.Options{DropXattrs: true})
	}
	dir := filepath.Join(t.TempDir(), "layout")
	_, err := oci.Write(t.Context(), dir, []oci.Image{container(tr)}, oci.Options{Archive: archive, Compression: compress.Gzip, Name: "v1"})
	must(t, err)
	return map[string]string{
		"ext4": sized(t, "ext4", func(f *os.File) (int64, error) {
			return ext4.Write(t.Context(), f, tr, ext4.Options{UUID: [16]byte{3}, Label: "label", Time: epoch})
		}),
		"squashfs": sized(t, "squashfs", func(f *os.File) (int64, error) {
			return squashfs.Write(t.Context(), f, tr, squashfs.Options{Time: uint32(epoch.Sec)})
		}),
		"erofs": sized(t, "erofs", func(f *os.File) (int64, error) {
			return erofs.Write(t.Context(), f, tr, erofs.Options{UUID: [16]byte{4}, BuildTime: epoch, Compression: erofs.Zstd})
		}),
		"iso9660": sized(t, "iso", func(f *os.File) (int64, error) {
			l, err := iso.Write(t.Context(), f, tr, iso.Options{VolumeID: "LABEL", Time: epoch, DropXattrs: true})
			if err != nil {
				return 0, err
			}
			return l.Size, nil
		}),
		"tar":      file(t, "tar", packed(compress.None, writeTar)),
		"tar.gz":   file(t, "tar.gz", packed(compress.Gzip, writeTar)),
		"tar.zst":  file(t, "tar.zst", packed(compress.Zstd, writeTar)),
		"cpio":     file(t, "cpio", packed(compress.None, writeCpio)),
		"cpio.gz":  file(t, "cpio.gz", packed(compress.Gzip, writeCpio)),
		"cpio.zst": file(t, "cpio.zst", packed(compress.Zstd, writeCpio)),
		"mtree":    file(t, "mtree", func(f *os.File) error { return tree.WriteManifest(f, tr) }),
		"docker": file(t, "docker", func(f *os.File) error {
			return oci.WriteDocker(t.Context(), f, container(tr), "example.org/app:1", archive)
		}),
		"oci": dir,
	}
}

var archive = oci.Archive{
	Write: func(ctx context.Context, w io.Writer, t *tree.Tree) error {
		return tar.Write(ctx, w, t, tar.Options{})
	},
}

func container(tr *tree.Tree) oci.Image {
	return oci.Image{
		Platform: oci.Platform{OS: "linux", Architecture: "amd64"}, Created: epoch,
		Config: oci.Config{Entrypoint: []string{"/bin/tool"}, Env: []string{"A=b"}, Labels: map[string]string{"key": "value"}},
		Layers: []oci.Layer{{Tree: tr, CreatedBy: "a test"}},
	}
}

// open opens an image, until the test ends.
func open(t testing.TB, path string) *inspect.Part {
	t.Helper()
	f, err := inspect.Open(t.Context(), path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f.Part
}
