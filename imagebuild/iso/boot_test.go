package iso_test

import (
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/imagetest"
	"github.com/samebits/samebits/imagebuild/iso"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// opened is a file as a part of a unified kernel image.
func opened(t testing.TB, path string) *io.SectionReader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Skip("needs a file of a Debian package: ", err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(f, 0, info.Size())
}

// esp is a FAT file system from which UEFI boots Debian's kernel.
func esp(t testing.TB) *iso.BootImage {
	t.Helper()
	kernel := vmtest.Kernel(t)
	initrd := vmtest.Initramfs(t, kernel, nil, nil)
	u, err := uki.New(uki.Options{
		Stub: opened(t, "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"), Linux: opened(t, kernel),
		Initrds: []*io.SectionReader{io.NewSectionReader(strings.NewReader(string(initrd)), 0, int64(len(initrd)))},
		Cmdline: "console=ttyS0 panic=-1 quiet vmtest.report through=iso",
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch}
	tr := treetest.Of(t, map[string]tree.Inode{"EFI": dir, "EFI/BOOT": dir,
		"EFI/BOOT/BOOTX64.EFI": {Mode: tree.Regular | 0o644, ModTime: treetest.Epoch, Content: u, Size: u.Size()}})
	f, err := os.Create(filepath.Join(t.TempDir(), "esp"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	size, err := fat.Write(t.Context(), f, tr, fat.Options{Label: "ESP", VolumeID: 7})
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &iso.BootImage{Content: tree.Section(f, 0, size), Size: size}
}

// hybrid is an image with a partition table, whose one partition is the UEFI
// boot image.
func hybrid(t testing.TB) string {
	t.Helper()
	tr := treetest.Of(t, map[string]tree.Inode{"hello": treetest.File(0o644, "world")})
	f, err := os.Create(filepath.Join(t.TempDir(), "hybrid.iso"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := iso.Write(t.Context(), f, tr, iso.Options{VolumeID: "HYBRID", UEFI: esp(t), Reserve: 33 * 512})
	if err == nil {
		err = f.Truncate(l.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	table := gpt.Table{ID: gpt.FormatGUID([16]byte{1}), Size: l.Size, Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: gpt.FormatGUID([16]byte{2}), Name: "esp", Start: l.UEFI.Offset, Size: l.UEFI.Length},
	}}
	laid, err := table.Layout()
	if err == nil {
		err = laid.WriteTo(f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// The same file boots as a CD and as a USB stick, and is one for tools.
func TestFirmwareBootsIt(t *testing.T) {
	path := hybrid(t)
	if out := imagetest.Tool(t, "sgdisk", "-v", path); !strings.Contains(out, "No problems found") {
		t.Errorf("sgdisk -v says %s", out)
	}
	if out := imagetest.Tool(t, "xorriso", "-indev", path, "-report_system_area", "plain"); !strings.Contains(out, "GPT") || !strings.Contains(out, "protective-msdos-label") {
		t.Errorf("xorriso says %s", out)
	}
	for what, m := range map[string]vmtest.Machine{"CD": {CDROM: path}, "USB stick": {USB: path}} {
		if out := vmtest.Run(t, m); !strings.Contains(out, "through=iso") || !strings.Contains(out, "VMTEST DONE") {
			t.Errorf("as a %s, the machine says\n%s", what, out)
		}
	}
}

// A BIOS boots it by isolinux, as a CD and, with isolinux's code in the first
// sector, as a disk.
func TestBIOSBootsIt(t *testing.T) {
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Skip("needs the packages isolinux and syslinux-common: ", err)
		}
		return b
	}
	loader := read("/usr/lib/ISOLINUX/isolinux.bin")
	kernel := vmtest.Kernel(t)
	file := func(b []byte) tree.Inode {
		return tree.Inode{Mode: tree.Regular | 0o644, ModTime: treetest.Epoch, Size: int64(len(b)), Content: tree.Bytes(b)}
	}
	tr := treetest.Of(t, map[string]tree.Inode{
		"isolinux":              {Mode: tree.Directory | 0o755, ModTime: treetest.Epoch},
		"isolinux/ldlinux.c32":  file(read("/usr/lib/syslinux/modules/bios/ldlinux.c32")),
		"isolinux/isolinux.cfg": file([]byte("serial 0 115200\ndefault x\nlabel x\nkernel /vmlinuz\nappend initrd=/initrd console=ttyS0 panic=-1 quiet vmtest.report through=isolinux\n")),
		"vmlinuz":               file(read(kernel)),
		"initrd":                file(vmtest.Initramfs(t, kernel, nil, nil)),
	})
	f, err := os.Create(filepath.Join(t.TempDir(), "bios.iso"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := iso.Write(t.Context(), f, tr, iso.Options{VolumeID: "BIOS", BIOS: &iso.BootImage{Content: tree.Bytes(loader), Size: int64(len(loader))}, BIOSInfoTable: true})
	if err != nil {
		t.Fatal(err)
	}
	// The code finds the loader by its first sector of 512 bytes, at byte 432.
	code := append(read("/usr/lib/ISOLINUX/isohdpfx.bin")[:432:432], make([]byte, 8)...)
	binary.LittleEndian.PutUint64(code[432:], uint64(l.BIOS.Offset/512))
	table, err := gpt.MBR{Size: l.Size, BootCode: code, Signature: 1, Partitions: []gpt.MBRPartition{{Type: 0x17, Active: true, Start: 1 << 20, Size: gpt.Rest}}}.Layout()
	if err == nil {
		err = table.WriteTo(f)
	}
	if err == nil {
		err = f.Truncate(l.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]vmtest.Machine{"CD": {BIOS: true, CDROM: f.Name()}, "disk": {BIOS: true, Disks: []string{f.Name()}}} {
		if out := vmtest.Run(t, m); !strings.Contains(out, "through=isolinux") || !strings.Contains(out, "VMTEST DONE") {
			t.Errorf("as a %s, the machine says\n%s", what, out)
		}
	}
}
