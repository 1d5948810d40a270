package disk_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/grub"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// withGRUB is a tree with the files of GRUB's that this machine has.
func withGRUB(t testing.TB, tr *tree.Tree) *nursery {
	t.Helper()
	n := &nursery{TB: t, b: *tr.Edit()}
	files, err := filepath.Glob("/" + grub.Dir + "/*")
	if err != nil || len(files) == 0 {
		t.Skip("needs the package grub-pc-bin: ", err)
	}
	for _, f := range files {
		n.host(f[1:])
	}
	return n
}

func freeze(t testing.TB, n *nursery) *tree.Tree {
	t.Helper()
	tr, err := n.b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// mounting is an init that does what etc/fstab says, and tells of it.
const mounting = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc 2>/dev/null
$b mount -t devtmpfs dev /dev 2>/dev/null
$b mount -a
$b swapon -a
echo "samebits-test: $($b cat /proc/cmdline)"
$b sed 's/^/mounted: /' /proc/mounts
$b sed 's/^/swap: /' /proc/swaps
echo "home: $($b cat /home/app/greeting) $($b ls -l /home)"
echo try >/home/app/written && echo "home: can be written to"
echo "log: $($b cat /srv/log/first)"
$b poweroff -f
`

// A machine with a BIOS boots the disk, and its system mounts the partitions.
func TestBIOSBoots(t *testing.T) {
	n := withGRUB(t, bootable(t))
	n.text("sbin/init", 0o755, mounting)
	n.text("home/app/greeting", 0o644, "hello from a partition")
	n.text("srv/log/first", 0o644, "a line within")
	const quoted = ` samebits.words="a b;c" samebits.dollar=$x`
	file, l := written(t, freeze(t, n), disk.Options{
		Arch: "amd64", Time: treetest.Epoch, BIOS: true, Cmdline: console + quoted, Partitions: []disk.Partition{
			{Type: "home", Size: 64 << 20, Label: "homes"}, {Type: "swap", Size: 16 << 20}, {Type: "srv"}, {Type: "linux", Mount: "/srv/log"},
		},
	})
	said := strings.ReplaceAll(vmtest.Run(t, vmtest.Machine{Disks: []string{file}, BIOS: true}), "\r", "")
	for _, want := range []string{
		"samebits-test: BOOT_IMAGE=/samebits/" + l.Kernel + "/linux root=PARTLABEL=root-", `"samebits.words=a b;c" samebits.dollar=$x` + "\n",
		"mounted: /dev/vda3 /home ext4 rw", "mounted: /dev/vda5 /srv ext4 rw", "mounted: /dev/vda6 /srv/log ext4 rw", "mounted: /dev/vda7 / ext4 rw",
		"swap: /dev/vda4", "home: hello from a partition", "home: can be written to", "log: a line within",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in what it said", want)
		}
	}
	if t.Failed() {
		t.Log(said)
	}
}

// A disk for BIOSes alone has no program for EFI firmware.
func TestBIOSDisk(t *testing.T) {
	tr := freeze(t, withGRUB(t, bootable(t)))
	file, l := written(t, tr, disk.Options{Arch: "amd64", Time: treetest.Epoch, BIOS: true, Boot: disk.NoLoader, Verity: true})
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(l.Partitions) != 4 || l.Partitions[1].Type != gpt.BIOSBoot || l.Boot != disk.NoLoader || l.Kernel == "" {
		t.Errorf("the disk is %+v", l)
	}
	var first, core [512]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadAt(core[:], l.Partitions[1].Start); err != nil {
		t.Fatal(err)
	}
	if at := binary.LittleEndian.Uint64(first[0x5C:]); int64(at)*512 != l.Partitions[1].Start || binary.LittleEndian.Uint64(core[0x1F4:]) != at+1 {
		t.Errorf("the first sector loads the core image from sector %d", at)
	}
	esp := at(f, l.Partitions[0])
	v, err := fat.Read(t.Context(), esp, esp.Size())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Tree.Lookup("EFI"); ok {
		t.Error("there is something for EFI firmware")
	}
	for _, name := range []string{"linux", "initrd"} {
		if _, ok := v.Tree.File("samebits/" + l.Kernel + "/" + name); !ok {
			t.Errorf("there is no %s", name)
		}
	}
}

func TestWrongBIOS(t *testing.T) {
	tr := bootable(t)
	for complaint, o := range map[string]disk.Options{
		"lock the package grub-pc-bin":               {Arch: "amd64"},
		"no machines with a BIOS":                    {Arch: "arm64", Boot: disk.NoLoader},
		"a Raspberry Pi has no BIOS":                 {Arch: "arm64", Boot: disk.RaspberryPi},
		`cannot give a kernel the character '\\' of`: {Arch: "amd64", Cmdline: `a=\x`},
	} {
		o.BIOS, o.Time = true, treetest.Epoch
		if _, err := disk.Write(t.Context(), discard{}, tr, o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v; want %q", err, complaint)
		}
	}
	if err := (disk.Options{BIOS: true}).CheckISO(); err == nil {
		t.Error("an ISO has GRUB")
	}
}
