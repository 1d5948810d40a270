package disk_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// console has a busy machine not panic over a timer that comes late.
const console = "console=ttyS0 panic=-1 quiet no_timer_check"

func TestBoots(t *testing.T) {
	tr := bootable(t)
	for name, c := range map[string]struct {
		o    disk.Options
		want []string
	}{
		"ext4 by a unified kernel image": {disk.Options{}, []string{"samebits-test: hello", " / ext4 rw", "can be written to"}},
		"signed erofs behind verity by systemd-boot": {disk.Options{Verity: true, Boot: disk.SystemdBoot, Signer: trusted(t)},
			[]string{"samebits-test: hello", "/dev/mapper/root / erofs ro"}},
		"ext4 by the system's own initramfs": {disk.Options{Initramfs: disk.SystemInitramfs},
			[]string{"samebits-test: hello", " / ext4 rw", "can be written to"}},
		"squashfs under memory": {disk.Options{FileSystem: disk.Squashfs, Overlay: true},
			[]string{"samebits-test: hello", "overlay / overlay rw", "can be written to"}},
	} {
		t.Run(name, func(t *testing.T) {
			c.o.Arch, c.o.Time, c.o.Cmdline = "amd64", treetest.Epoch, console
			file, l := written(t, tr, c.o)
			t.Log(l.Cmdline)
			said := vmtest.Run(t, vmtest.Machine{Disks: []string{file}, SecureBoot: c.o.Signer != nil})
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what it said:\n%s", want, said)
				}
			}
		})
	}
}

// trusted signs what machines with Secure Boot start.
func trusted(t *testing.T) *secureboot.Signer {
	t.Helper()
	s, err := secureboot.NewSigner(vmtest.Signing(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFlippedByteStops changes one byte of the root behind a hash tree.
func TestFlippedByteStops(t *testing.T) {
	file, l := written(t, bootable(t), disk.Options{Arch: "amd64", Time: treetest.Epoch, Verity: true, Cmdline: console})
	root := l.Partitions[1]
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], root.Start+1024+20); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], root.Start+1024+20); err != nil {
		t.Fatal(err)
	}
	said := vmtest.Run(t, vmtest.Machine{Disks: []string{file}})
	if strings.Contains(said, "samebits-test") {
		t.Errorf("a changed root booted:\n%s", said)
	}
	if !strings.Contains(said, "verity") {
		t.Errorf("it does not say why it stopped:\n%s", said)
	}
}

// A live image boots by both kinds of firmware, with its root guarded.
func TestISOBoots(t *testing.T) {
	out, spool := create(t, "iso"), create(t, "spool")
	l, err := disk.WriteISO(t.Context(), out, spool, bootable(t), disk.Options{Arch: "amd64", Time: treetest.Epoch, Verity: true, Cmdline: console})
	if err == nil {
		err = out.Truncate(l.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]vmtest.Machine{"UEFI": {CDROM: out.Name()}, "BIOS": {CDROM: out.Name(), BIOS: true}, "BIOS, as a disk": {Disks: []string{out.Name()}, BIOS: true}} {
		said := vmtest.Run(t, m)
		for _, want := range []string{"samebits-test: hello", "overlay / overlay rw", "can be written to"} {
			if !strings.Contains(said, want) {
				t.Errorf("by %s: no %q in what it said:\n%s", what, want, said)
			}
		}
	}
}

// A live system is all in memory, started by a loader or by the firmware.
func TestLiveBoots(t *testing.T) {
	l, err := disk.NewLive(t.Context(), bootable(t), create(t, "initrd"), disk.Options{Arch: "amd64", Cmdline: console, Signer: trusted(t)})
	if err != nil {
		t.Fatal(err)
	}
	const want = "samebits-test: hello"
	m := vmtest.Machine{Kernel: write(t, "kernel", l.Kernel), Initrd: write(t, "initrd", l.Initrd), Cmdline: l.Cmdline}
	if said := vmtest.Run(t, m); !strings.Contains(said, want) || !strings.Contains(said, "can be written to") {
		t.Errorf("directly: no %q, or nothing could be written, in what it said:\n%s", want, said)
	}
	image, err := l.UKI()
	if err != nil {
		t.Fatal(err)
	}
	if said := vmtest.Run(t, vmtest.Machine{Disks: []string{vmtest.EFIDisk(t, image, image.Size())}, SecureBoot: true}); !strings.Contains(said, want) {
		t.Errorf("by the firmware: no %q in what it said:\n%s", want, said)
	}
}

func create(t testing.TB, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func write(t testing.TB, name string, r io.Reader) string {
	t.Helper()
	f := create(t, name)
	if _, err := io.Copy(f, r); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}
