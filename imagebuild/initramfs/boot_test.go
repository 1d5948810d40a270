package initramfs

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/vmtest"
)

// Roots of each kind are found in each way, and mounted as the command line says.
func TestBoots(t *testing.T) {
	for _, c := range []struct {
		name, kind, cmdline string
		options             Options
		want                []string
	}{
		{"read-only by UUID", "ext4", "root=UUID=00000000-0000-0000-0000-000000000005 rootfstype=ext4 rootflags=noload init=/sbin/other rootdelay=1", Options{},
			[]string{"TEST started as /sbin/other", "TEST mount / ext4 ro,relatime,norecovery", "TEST not written"}},
		{"squashfs by device", "squashfs", "root=/dev/vda3 rootwait", Options{},
			[]string{"TEST mount / squashfs ro", "TEST not written", "TEST mount /run tmpfs rw,nosuid,nodev"}},
		{"memory over erofs", "erofs", "root=PARTLABEL=root rw samebits.overlay rootwait=20", Options{Overlay: true},
			[]string{"TEST mount / overlay rw", "TEST written"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path, _, _ := disk(t, c.kind)
			before := fileDigest(t, path)
			c.options.FileSystem = c.kind
			out := boot(t, initrd(t, c.options), c.cmdline, path)
			says(t, out, append(c.want, "TEST mount /proc proc", "TEST mount /sys sysfs", "TEST mount /dev devtmpfs")...)
			never(t, out, "samebits:")
			if fileDigest(t, path) != before {
				t.Error("the disk was written to")
			}
		})
	}
}

// A hash tree guards the root: what is not of the root hash stops the machine.
func TestVerity(t *testing.T) {
	path, hash, table := disk(t, "erofs")
	initrd := initrd(t, Options{FileSystem: "erofs", Verity: true, Overlay: true})
	const cmdline = "root=PARTLABEL=root rw samebits.shell test.read roothash="

	out := boot(t, initrd, cmdline+hash, path)
	says(t, out, "TEST mount / erofs ro", "TEST source /dev/mapper/root", "TEST not written", largeDigest(), "TEST done")

	wrong := "0" + hash[1:]
	if wrong == hash {
		wrong = "1" + hash[1:]
	}
	out = boot(t, initrd, cmdline+wrong+" samebits.overlay", path)
	says(t, out, "Kernel panic - not syncing: dm-verity device corrupted")
	never(t, out, "TEST started")

	flip(t, path, table.Partitions[2])
	out = boot(t, initrd, cmdline+hash, path)
	says(t, out, "TEST started", "Kernel panic - not syncing: dm-verity device corrupted")
	never(t, out, "TEST done")
}

// Without its root a machine says what it looked for and what there is, and
// gives a shell to none but who asked for one.
func TestNoRoot(t *testing.T) {
	path, _, _ := disk(t, "erofs")
	initrd := initrd(t, Options{FileSystem: "erofs"})
	out := boot(t, initrd, "root=PARTLABEL=nowhere rootwait=1", path)
	says(t, out, "samebits: there is no disk, partition or file system PARTLABEL=nowhere after 1 seconds; there is: vda, vda1 (esp), vda2 (root-verity), vda3 (root)")
	never(t, out, "samebits: a shell")

	out = vmtest.Run(t, vmtest.Machine{Kernel: vmtest.Kernel(t), Initrd: initrd, Disks: []string{path},
		Cmdline: "console=ttyS0 quiet panic=-1 root=ZFS=tank samebits.shell", Typed: []vmtest.Typed{{After: "a shell is started", Text: "echo $((6 * 7)) typed; exit\n"}}})
	says(t, out, "samebits: root=ZFS=tank is not understood; PARTLABEL=, LABEL=, UUID= and /dev/… are", "42 typed")
}

// A root grows to the end of its disk at its first boot, and the second leaves
// all as it is; by the programs of Debian and by those of Alpine.
func TestGrows(t *testing.T) {
	o := Options{FileSystem: "ext4", Grow: true}
	debian := initrd(t, o)
	path, _, table := disk(t, "ext4")
	for range 2 {
		out := grows(t, debian, "root=LABEL=thelabel samebits.grow", path, &table.Partitions[2])
		says(t, out, "TEST mount / ext4 ro", "TEST not written")
	}
	t.Run("Alpine", func(t *testing.T) {
		image, k := alpine(t)
		path, _, table := disk(t, "ext4")
		grows(t, initrdOf(t, image, k, o), "root=PARTLABEL=root samebits.grow", path, &table.Partitions[2])
	})
	t.Run("before another partition", func(t *testing.T) {
		after := gpt.Partition{Type: gpt.LinuxGeneric, ID: gpt.FormatGUID([16]byte{9}), Name: "after", Size: 1 << 20}
		path, _, table := disk(t, "ext4", after)
		out := grows(t, debian, "root=PARTLABEL=root rw samebits.grow single", path, nil)
		says(t, out, "TEST started as /sbin/init with single", "TEST mount / ext4 rw", "TEST written")
		if _, got := sizes(t, path); got.Partitions[2] != table.Partitions[2] {
			t.Errorf("the partition is %+v", got.Partitions[2])
		}
	})
}

const grownDisk = 300 << 20

// grows boots a disk that was made larger, on which the file system fills its
// partition then, and root, if there is one, the disk.
func grows(t *testing.T, initrd, cmdline, path string, root *gpt.Partition) string {
	t.Helper()
	if err := os.Truncate(path, grownDisk); err != nil {
		t.Fatal(err)
	}
	out := boot(t, initrd, cmdline, path)
	says(t, out, "TEST done")
	never(t, out, "samebits:")
	super, table := sizes(t, path)
	grown := table.Partitions[2]
	if super.Size < grown.Size-1<<20 || !super.Clean {
		t.Errorf("the file system of a partition of %d bytes has %d, clean: %t", grown.Size, super.Size, super.Clean)
	}
	if root != nil {
		if grown.Size < grownDisk-root.Start-2<<20 {
			t.Errorf("the partition has %d bytes", grown.Size)
		}
		if root.Size = grown.Size; *root != grown {
			t.Errorf("the partition is %+v, not %+v", grown, *root)
		}
		if out, err := exec.CommandContext(t.Context(), "sgdisk", "-v", path).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
			t.Errorf("sgdisk: %v\n%s", err, out)
		}
	}
	checkVolume(t, path, grown)
	return out
}

// sizes reads the partitions of such a disk, and what the root says of itself.
func sizes(t testing.TB, path string) (*ext4.Super, *gpt.Table) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	table, err := gpt.Read(f, grownDisk)
	if err != nil {
		t.Fatal(err)
	}
	p := table.Partitions[2]
	super, err := ext4.ReadSuper(at{f, p.Start}, p.Size)
	if err != nil {
		t.Fatal(err)
	}
	return super, table
}

// A live CD has its root as a file, with the hash tree beside it.
func TestBootsFromMedium(t *testing.T) {
	path, hash := medium(t)
	initrd := initrd(t, Options{FileSystem: "squashfs", Medium: "iso9660", Overlay: true, Verity: true})
	out := vmtest.Run(t, vmtest.Machine{Kernel: vmtest.Kernel(t), Initrd: initrd, CDROM: path,
		Cmdline: "console=ttyS0 quiet panic=-1 root=LABEL=LIVE samebits.image=/live/root.squashfs samebits.overlay test.read roothash=" + hash})
	says(t, out, "TEST mount / overlay rw", "TEST written", largeDigest(), "TEST done")
	never(t, out, "samebits:")
}
