package disk_test

import (
	"os"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

const console = "console=ttyS0 panic=-1 quiet"

func TestBoots(t *testing.T) {
	tr := bootable(t)
	for name, c := range map[string]struct {
		o    disk.Options
		want []string
	}{
		"ext4 by a unified kernel image": {disk.Options{}, []string{"samebits-test: hello", " / ext4 rw", "can be written to"}},
		"erofs behind verity by systemd-boot": {disk.Options{Verity: true, Boot: disk.SystemdBoot},
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
			said := vmtest.Run(t, vmtest.Machine{Disks: []string{file}})
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("no %q in what it said:\n%s", want, said)
				}
			}
		})
	}
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
