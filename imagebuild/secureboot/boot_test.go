package secureboot_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/uki"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// system is a unified kernel image of Debian's that says its name.
func system(t *testing.T, name string, sign func(io.ReaderAt, int64) *io.SectionReader) *uki.Unified {
	t.Helper()
	kernel := vmtest.Kernel(t)
	linux, stub := file(t, kernel), file(t, "/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	initrd := vmtest.Initramfs(t, kernel, nil, nil)
	u, err := uki.New(uki.Options{
		Stub: section(stub), Linux: sign(section(linux), int64(len(linux))), Initrds: []*io.SectionReader{section(initrd)},
		Uname: vmtest.Release(kernel), Cmdline: "console=ttyS0 panic=-1 quiet no_timer_check vmtest.report name=" + name,
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(strings.NewReader(string(b)), 0, int64(len(b)))
}

// Firmware that trusts one key passes over what is not signed, and over what
// another key signed, and starts what that key signed.
func TestFirmwareStartsWhatIsSigned(t *testing.T) {
	key, certificate := vmtest.Signing(t)
	trusted, err := secureboot.NewSigner(key, certificate)
	if err != nil {
		t.Fatal(err)
	}
	plain := func(r io.ReaderAt, size int64) *io.SectionReader { return io.NewSectionReader(r, 0, size) }
	var disks []string
	for _, c := range []struct {
		name   string
		signer *secureboot.Signer
	}{{"unsigned", nil}, {"foreign", signer(t)}, {"signed", trusted}} {
		content, size := tree.Content(nil), int64(0)
		if c.signer == nil {
			u := system(t, c.name, plain)
			content, size = u, u.Size()
		} else {
			u := system(t, c.name, func(r io.ReaderAt, size int64) *io.SectionReader { return signedSection(t, c.signer, r, size) })
			s, err := c.signer.Sign(u, u.Size())
			if err != nil {
				t.Fatal(err)
			}
			content, size = s, s.Size()
		}
		disks = append(disks, disk(t, content, size))
	}
	said := vmtest.Run(t, vmtest.Machine{Disks: disks, SecureBoot: true})
	for _, want := range []string{"name=signed", "VMTEST DONE"} {
		if !strings.Contains(said, want) {
			t.Errorf("the machine does not say %q:\n%s", want, said)
		}
	}
	if n := strings.Count(said, "Access Denied"); n < 2 {
		t.Errorf("the firmware refused %d programs, want 2:\n%s", n, said)
	}
}

func signedSection(t *testing.T, s *secureboot.Signer, r io.ReaderAt, size int64) *io.SectionReader {
	t.Helper()
	signed, err := s.Sign(tree.Section(r, 0, size), size)
	if err != nil {
		t.Fatal(err)
	}
	return section(content(t, signed))
}

// disk is a disk whose EFI system partition has only a program.
func disk(t *testing.T, program tree.Content, size int64) string {
	t.Helper()
	var b tree.Builder
	for _, dir := range []string{"EFI", "EFI/BOOT"} {
		if err := b.Add(dir, tree.Inode{Mode: tree.Directory | 0o755}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Add("EFI/BOOT/BOOTX64.EFI", tree.Inode{Mode: tree.Regular | 0o644, Content: program, Size: size}); err != nil {
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
	place := table.Partitions[0]
	if err := f.Truncate(table.Size); err != nil {
		t.Fatal(err)
	}
	if err := table.WriteTo(f); err != nil {
		t.Fatal(err)
	}
	options := fat.Options{Type: fat.FAT32, Size: place.Size, Start: place.Start, VolumeID: 1, Label: "ESP", ClampTimes: true}
	if _, err := fat.Write(t.Context(), io.NewOffsetWriter(f, place.Start), esp, options); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
