package uki_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

const stubPath = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"

// opened is a file as a part.
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

// debian is an image of Debian's stub and kernel, and two initramfs.
func debian(t testing.TB) *uki.Unified {
	t.Helper()
	stub, kernel := opened(t, stubPath), vmtest.Kernel(t)
	u, err := uki.New(uki.Options{
		Stub: stub, Linux: opened(t, kernel),
		Initrds: []*io.SectionReader{
			section(vmtest.Initramfs(t, kernel, nil, map[string]string{"first": "1"})),
			section(vmtest.Initramfs(t, kernel, nil, map[string]string{"second": "2"})),
		},
		OSRelease: []byte("ID=test\nVERSION_ID=1\nPRETTY_NAME=\"A test\"\n"),
		Uname:     vmtest.Release(kernel),
		Cmdline:   "console=ttyS0 panic=-1 quiet vmtest.report through=uki",
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestObjdumpReadsIt(t *testing.T) {
	if _, err := exec.LookPath("objdump"); err != nil {
		t.Skip(err)
	}
	path := filepath.Join(t.TempDir(), "linux.efi")
	save(t, debian(t), path)
	out, err := exec.CommandContext(t.Context(), "objdump", "-h", "-p", path).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"file format pei-x86-64", ".osrel", ".cmdline", ".uname", ".initrd", ".linux", "(EFI application)"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("objdump does not say %q:\n%s", want, out)
		}
	}
	section := filepath.Join(t.TempDir(), "cmdline")
	if out, err := exec.CommandContext(t.Context(), "objcopy", "-O", "binary", "--only-section=.cmdline", path, section).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got, err := os.ReadFile(section); err != nil || !strings.HasPrefix(string(got), "console=ttyS0 panic=-1 quiet vmtest.report through=uki") {
		t.Errorf("objcopy has %q, %v", got, err)
	}
}

func save(t *testing.T, u *uki.Unified, path string) {
	t.Helper()
	r, err := u.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		t.Fatal(err)
	}
}

// at writes a partition of a disk.
type at struct {
	f     *os.File
	start int64
}

func (a at) WriteAt(p []byte, offset int64) (int, error) { return a.f.WriteAt(p, a.start+offset) }

// disk is a disk whose EFI system partition has only the image.
func disk(t testing.TB, u *uki.Unified) string {
	t.Helper()
	var b tree.Builder
	now := tree.Time{Sec: 1772323200}
	for _, dir := range []string{"EFI", "EFI/BOOT"} {
		if err := b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755, ModTime: now}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add("EFI/BOOT/BOOTX64.EFI", tree.Inode{Mode: tree.Regular | 0o644, ModTime: now, Content: u, Size: u.Size()}); err != nil {
		t.Fatal(err)
	}
	esp, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	table, err := gpt.Table{ID: gpt.FormatGUID([16]byte{1}), Partitions: []gpt.Partition{
		{Type: gpt.ESP, ID: gpt.FormatGUID([16]byte{2}), Name: "esp", Size: 64 << 20},
	}}.Layout()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(table.Size); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	place := table.Partitions[0]
	if _, err := fat.Write(t.Context(), at{f, place.Start}, esp, fat.Options{Type: fat.FAT32, Size: place.Size, Start: place.Start, VolumeID: 1, Label: "ESP"}); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// The firmware finds the disk's EFI system partition, starts the image, and the
// kernel has its command line and both initramfs.
func TestFirmwareBootsIt(t *testing.T) {
	out := vmtest.Run(t, vmtest.Machine{Disks: []string{disk(t, debian(t))}})
	for _, want := range []string{"VMTEST RELEASE " + vmtest.Release(vmtest.Kernel(t)), "through=uki", `VMTEST FILE first "1"`, `VMTEST FILE second "2"`, "VMTEST DONE"} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine does not say %q:\n%s", want, out)
		}
	}
}
