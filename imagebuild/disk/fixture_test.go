package disk_test

import (
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// hostFile is a content that is a file of this machine.
type hostFile string

func (h hostFile) Open() (io.ReadCloser, error) { return os.Open(string(h)) }

// A nursery is a tree that is being made, partly of files of this machine.
type nursery struct {
	testing.TB
	b tree.Builder
}

func (n *nursery) parents(name string) {
	if dir := path.Dir(name); dir != "." {
		if _, ok := n.b.Lookup(dir); !ok {
			n.put(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch})
		}
	}
}

func (n *nursery) put(name string, in tree.Inode) {
	n.Helper()
	n.parents(name)
	if err := n.b.Set(name, in); err != nil {
		n.Fatal(err)
	}
}

func (n *nursery) text(name string, mode tree.Mode, text string) {
	n.put(name, treetest.File(mode, text))
}

// host puts a file of this machine at its own path.
func (n *nursery) host(name string) {
	n.Helper()
	info, err := os.Stat("/" + name)
	if err != nil {
		n.Skip("needs a file of a Debian package: ", err)
	}
	n.put(name, tree.Inode{Mode: tree.Regular | tree.Mode(info.Mode().Perm()), ModTime: treetest.Epoch, Size: info.Size(), Content: hostFile("/" + name)})
}

// program puts a program of this machine with its libraries.
func (n *nursery) program(name string) {
	n.Helper()
	n.host(name)
	out, err := exec.Command("ldd", "/"+name).Output()
	if err != nil {
		return // it is a static one
	}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "/") {
			n.host(word[1:])
		}
	}
}

// modules puts those of a kernel with some names, and all they need.
func (n *nursery) modules(release string, names ...string) {
	n.Helper()
	base := "lib/modules/" + release
	for _, list := range []string{"modules.dep", "modules.builtin", "modules.alias", "modules.order"} {
		n.host(base + "/" + list)
	}
	err := filepath.WalkDir("/"+base+"/kernel", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		for _, name := range names {
			if strings.HasPrefix(e.Name(), name+".ko") {
				n.host(p[1:])
			}
		}
		return nil
	})
	if err != nil {
		n.Fatal(err)
	}
}

// script is an init that tells what it sees and turns the machine off.
const script = `#!/bin/busybox sh
b=/bin/busybox
echo "samebits-test: $($b cat /etc/motd)"
echo "root: $($b grep ' / ' /proc/mounts | $b tail -n 1)"
echo try >/written 2>/dev/null && echo "root: can be written to"
$b poweroff -f
`

// bootable is a tree with Debian's kernel, and an init that says hello.
func bootable(t testing.TB) *tree.Tree {
	t.Helper()
	kernel := vmtest.Kernel(t)
	release := vmtest.Release(kernel)
	n := &nursery{TB: t}
	n.host(kernel[1:])
	n.host("boot/initrd.img-" + release)
	n.modules(release, "virtio", "virtio_blk", "virtio_pci", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
		"ext4", "mbcache", "jbd2", "crc16", "crc32c", "crc32c_generic", "crc32c-intel", "erofs", "squashfs", "lz4", "lz4_decompress", "libcrc32c", "overlay", "loop", "isofs", "sr_mod", "cdrom", "scsi_mod", "scsi_common", "libata", "ata_piix", "dm-mod", "dm-verity", "dm-bufio", "reed_solomon")
	n.program("bin/busybox")
	n.program("usr/sbin/veritysetup")
	for _, p := range []string{"ISOLINUX/isolinux.bin", "ISOLINUX/isohdpfx.bin", "syslinux/modules/bios/ldlinux.c32"} {
		n.host("usr/lib/" + p)
	}
	for _, p := range []string{"linuxx64.efi.stub", "systemd-bootx64.efi"} {
		n.host("usr/lib/systemd/boot/efi/" + p)
	}
	n.text("etc/os-release", 0o644, "ID=debian\nPRETTY_NAME=\"Debian of a test\"\n")
	n.text("etc/motd", 0o644, "hello")
	n.text("sbin/init", 0o755, script)
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp"} {
		n.put(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch})
	}
	tr, err := n.b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// written writes a disk into a file.
func written(t testing.TB, tr *tree.Tree, o disk.Options) (string, *disk.Layout) {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := disk.Write(t.Context(), f, tr, o)
	if err == nil {
		err = f.Truncate(l.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Name(), l
}

func at(f io.ReaderAt, p gpt.Partition) *io.SectionReader {
	return io.NewSectionReader(f, p.Start, p.Size)
}
