package disk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/verity"
)

// plain is a tree without anything that boots.
func plain(t testing.TB) *tree.Tree {
	t.Helper()
	n := &nursery{TB: t}
	n.text("etc/hostname", 0o644, "plain\n")
	n.text("usr/share/text", 0o644, strings.Repeat("All of it follows from the lock.\n", 5000))
	n.put("dev", tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch})
	tr, err := n.b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// options are those of the tests, without a loader.
func options(o disk.Options) disk.Options {
	o.Arch, o.Time, o.Boot = "amd64", treetest.Epoch, disk.NoLoader
	return o
}

func size(n int64) *int64 { return &n }

// golden are the digests of disks of format version 1.
var golden = []struct {
	name, want string
	o          disk.Options
}{
	{"ext4", "8540c0df3894389302b8e95b3029fe0b79ae5e1cf5b58a7c5996bed844943d72", disk.Options{Free: size(8 << 20)}},
	{"ext4 of a size", "73c90d3f2516a2fcdfae449493bd0055df6c5b5a6571dcff45869a975c4b2763", disk.Options{Size: 64 << 20, Label: "root"}},
	{"ext4 behind verity", "0e62ab6fb9a77a718bc47c9dab1f289d50c6230401780095f025e184cebc33e3", disk.Options{FileSystem: disk.Ext4, Verity: true}},
	{"erofs behind verity", "e75ed27dfce24c38965a8b5ced3bd9a01c1bc09cd8dd98d451d6934fe6478fd0", disk.Options{Verity: true}},
	{"squashfs", "0a88a5b911abb07b8561c6ebb018c3563eb039472e392d850307ff5fce7e35f0", disk.Options{FileSystem: disk.Squashfs}},
}

func TestGolden(t *testing.T) {
	tr := plain(t)
	for _, g := range golden {
		file, _ := written(t, tr, options(g.o))
		if got := digest(t, file); got != g.want {
			t.Errorf("%s: %s, want %s", g.name, got, g.want)
		}
	}
}

func digest(t testing.TB, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// TestSameBits writes disks that boot on one CPU and on several.
func TestSameBits(t *testing.T) {
	tr := bootable(t)
	for _, o := range []disk.Options{{}, {Verity: true, Boot: disk.SystemdBoot}} {
		o.Arch, o.Time = "x86_64", treetest.Epoch
		a, _ := written(t, tr, o)
		before := runtime.GOMAXPROCS(1)
		b, _ := written(t, tr, o)
		runtime.GOMAXPROCS(before)
		if digest(t, a) != digest(t, b) {
			t.Errorf("%+v: two disks differ", o)
		}
	}
}

// TestIdentifiers holds what has to differ between disks to differ, and what
// the Discoverable Partitions Specification wants of a hash tree.
func TestIdentifiers(t *testing.T) {
	tr := plain(t)
	seen := map[gpt.GUID]string{}
	for _, g := range golden {
		_, l := written(t, tr, options(g.o))
		for _, p := range l.Partitions {
			if other, twice := seen[p.ID]; twice {
				t.Errorf("%s and %s have a partition %s", g.name, other, p.ID)
			}
			seen[p.ID] = g.name
		}
		if l.RootHash == nil {
			continue
		}
		hash := hex.EncodeToString(l.RootHash[:])
		ids := strings.ReplaceAll(string(l.Partitions[0].ID+l.Partitions[1].ID), "-", "")
		if ids != hash || !strings.Contains(l.Cmdline, "roothash="+hash) {
			t.Errorf("%s: the root hash %s, partitions %s, command line %s", g.name, hash, ids, l.Cmdline)
		}
	}
}

// TestParts reads back what is on a disk.
func TestParts(t *testing.T) {
	tr := plain(t)
	file, l := written(t, tr, options(disk.Options{FileSystem: disk.Ext4, Verity: true, Size: 64 << 20}))
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if l.Size != 64<<20 {
		t.Errorf("the disk has %d bytes", l.Size)
	}
	table, err := gpt.Read(f, l.Size)
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Partitions) != 2 || table.Partitions[0].Type != gpt.RootX86_64 || table.Partitions[1].Type != gpt.RootVerityX86_64 {
		t.Errorf("the partitions are %+v", table.Partitions)
	}
	root, hashes := at(f, table.Partitions[0]), at(f, table.Partitions[1])
	if err := verity.Verify(t.Context(), root, root.Size(), hashes, *l.RootHash); err != nil {
		t.Error(err)
	}
	v, err := ext4.Read(t.Context(), root, root.Size())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range treetest.Compare(tr, v.Tree, treetest.All) {
		t.Error(line)
	}
}

// TestTools asks others what they think of a disk.
func TestTools(t *testing.T) {
	file, l := written(t, plain(t), options(disk.Options{FileSystem: disk.Ext4, Verity: true}))
	part := func(i int) string {
		out := filepath.Join(t.TempDir(), "part")
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(at(f, l.Partitions[i])); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(out, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return out
	}
	root, hashes := part(0), part(1)
	for _, args := range [][]string{
		{"sgdisk", "-v", file},
		{"e2fsck", "-fn", root},
		{"veritysetup", "verify", root, hashes, hex.EncodeToString(l.RootHash[:])},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Skip("needs ", args[0])
		}
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil || args[0] == "sgdisk" && !strings.Contains(string(out), "No problems found") {
			t.Errorf("%q: %v\n%s", args, err, out)
		}
	}
}

func TestWrongOptions(t *testing.T) {
	tr := plain(t)
	for complaint, o := range map[string]disk.Options{
		"no file system for a root; there are ext4, erofs, squashfs":      {FileSystem: "xfs"},
		"no way to boot; there are uki, systemd-boot, raspberry-pi, none": {Boot: "grub"},
		"no initramfs; there are own, system, none":                       {Initramfs: "dracut"},
		"multiple of 1 MiB":                            {Size: 1000},
		"cannot be free":                               {Free: size(-1)},
		"nothing in it can be free":                    {FileSystem: disk.EROFS, Free: size(1)},
		"cannot both be given":                         {Size: 64 << 20, Free: size(1)},
		"put over the root by our own initramfs only":  {Overlay: true, Initramfs: disk.SystemInitramfs},
		"opened by an initramfs":                       {Verity: true, Initramfs: disk.NoInitramfs},
		"is one line":                                  {Cmdline: "a\nb"},
		"cannot be compressed by xz":                   {FileSystem: disk.Squashfs, Compression: "xz"},
		"ext4 cannot be compressed by lz4":             {Compression: "lz4"},
		`the architecture "vax"`:                       {Arch: "vax"},
		"is too small":                                 {Size: 1 << 20, Boot: disk.NoLoader},
		"nothing that EFI firmware could start":        {Boot: disk.SystemdBoot},
		"/usr/lib/systemd/boot/efi/linuxaa64.efi.stub": {Arch: "aarch64"},
		"has no EFI firmware":                          {Arch: "s390x"},
	} {
		if o.Arch == "" {
			o.Arch = "amd64"
		}
		if complaint == "is too small" || strings.Contains(complaint, "compressed") {
			o.Boot = disk.NoLoader
		}
		if _, err := disk.Write(t.Context(), discard{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%+v: %v; want %q", o, err, complaint)
		}
	}
	if _, err := disk.Write(t.Context(), discard{}, tr, options(disk.Options{})); !errors.Is(err, errFull) {
		t.Errorf("an error of the file: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := disk.Write(ctx, discard{}, tr, options(disk.Options{})); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled writing: %v", err)
	}
}

// TestWriteFileSystem writes what a root would be, without a disk around it.
func TestWriteFileSystem(t *testing.T) {
	tr := plain(t)
	for _, kind := range disk.FileSystems {
		f, err := os.Create(filepath.Join(t.TempDir(), kind))
		if err != nil {
			t.Fatal(err)
		}
		n, err := disk.WriteFileSystem(t.Context(), f, tr, disk.Options{FileSystem: kind, Time: treetest.Epoch})
		if err == nil {
			err = f.Truncate(n)
		}
		if err := errors.Join(err, f.Close()); err != nil || n%4096 != 0 {
			t.Errorf("%s: %d bytes, %v", kind, n, err)
		}
	}
	if _, err := disk.WriteFileSystem(t.Context(), discard{}, tr, disk.Options{FileSystem: disk.EROFS, Size: 1 << 20}); err == nil {
		t.Error("an EROFS file system has a size of its own")
	}
}

var errFull = errors.New("the disk is full")

// discard is a file that nothing can be written to.
type discard struct{}

func (discard) ReadAt([]byte, int64) (int, error)  { return 0, errFull }
func (discard) WriteAt([]byte, int64) (int, error) { return 0, errFull }
