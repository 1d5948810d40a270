package secureboot_test

import (
	"io"
	"strings"
	"testing"

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
		disks = append(disks, vmtest.EFIDisk(t, content, size))
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
