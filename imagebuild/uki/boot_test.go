package uki_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

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

// The firmware finds the disk's EFI system partition, starts the image, and the
// kernel has its command line and both initramfs.
func TestFirmwareBootsIt(t *testing.T) {
	u := debian(t)
	out := vmtest.Run(t, vmtest.Machine{Disks: []string{vmtest.EFIDisk(t, u, u.Size())}})
	for _, want := range []string{"VMTEST RELEASE " + vmtest.Release(vmtest.Kernel(t)), "through=uki", `VMTEST FILE first "1"`, `VMTEST FILE second "2"`, "VMTEST DONE"} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine does not say %q:\n%s", want, out)
		}
	}
}
