package disk_test

import (
	"cmp"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/ext4"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

func rootIs(t *testing.T, r *io.SectionReader, tr *tree.Tree) {
	t.Helper()
	v, err := ext4.Read(t.Context(), r, r.Size())
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(tr, v.Tree, treetest.All))
}

// Alpine's packages put all of it into /boot, which is then the partition.
func TestCardOfAlpine(t *testing.T) {
	got, l := onCard(t, planted(t, alpinePi), disk.Options{})
	want := []string{"System.map-rpi", "bcm2711-rpi-4-b.dtb", "bootcode.bin", "cmdline.txt", "config.txt", "fixup4.dat", "initramfs-rpi", "linked", "overlays/disable-bt.dtbo", "start4.elf", "vmlinuz-rpi"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("the card has %q", names)
	}
	if got["linked"] != "pi\n" || got["initramfs-rpi"] != "initramfs" || !strings.HasSuffix(got["config.txt"], "html\n\n[all]\narm_64bit=1\nkernel=vmlinuz-rpi\ninitramfs initramfs-rpi followkernel\n") {
		t.Errorf("the card has %.300q", got)
	}
	if !strings.HasPrefix(l.Cmdline, "console=serial0,115200 console=tty1 root=") {
		t.Errorf("the kernel is told %s", l.Cmdline)
	}
	// Without one that its packages made, the initramfs is called as that.
	got, _ = onCard(t, planted(t, with(alpinePi, map[string]string{"boot/initramfs-rpi": ""})), disk.Options{Initramfs: disk.NoInitramfs})
	if strings.Contains(got["config.txt"], "initramfs") {
		t.Errorf("config.txt is %q", got["config.txt"])
	}
}

// A config.txt of the image is kept, and completed where it says nothing.
func TestCardConfigs(t *testing.T) {
	const (
		mine = "boot/firmware/config.txt"
		all  = "\n[all]\narm_64bit=1\nkernel=vmlinuz-" + piRelease + "\ninitramfs initrd.img-" + piRelease + " followkernel\n"
		head = "# https://www.raspberrypi.com/documentation/computers/config_txt.html\nenable_uart=1\nupstream_kernel=1\n"
	)
	for name, c := range map[string]struct {
		changes map[string]string
		want    string
	}{
		"one's own":         {map[string]string{mine: "dtparam=audio=on"}, "dtparam=audio=on\n" + all},
		"one that says all": {map[string]string{mine: "arm_64bit=1\nkernel=own.bin\ninitramfs own.img\n", "boot/firmware/own.bin": "own", "boot/firmware/own.img": "own"}, "arm_64bit=1\nkernel=own.bin\ninitramfs own.img\n"},
		"one that includes": {map[string]string{mine: "include more.txt\n", "boot/firmware/more.txt": "arm_64bit=1\nkernel=Own.bin\n", "boot/firmware/own.bin": "own"}, "include more.txt\n\n[all]\ninitramfs initrd.img-" + piRelease + " followkernel\n"},
		"Debian's":          {map[string]string{mine: "# Do not modify this file!\n#\n# It is automatically generated upon install or update of either the\n# firmware or the Linux kernel.\nkernel=gone\n"}, head + all},
		"an addition":       {map[string]string{"etc/default/raspi-firmware-custom": "dtoverlay=vc4-kms-v3d"}, head + "\n# /etc/default/raspi-firmware-custom\ndtoverlay=vc4-kms-v3d\n" + all},
		"the user's":        {map[string]string{"boot/firmware/usercfg.txt": "gpu_mem=16\n"}, head + "include usercfg.txt\n" + all},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := onCard(t, planted(t, with(debianPi, c.changes)), disk.Options{})
			if got["config.txt"] != c.want {
				t.Errorf("config.txt is %q, not %q", got["config.txt"], c.want)
			}
			for name := range c.changes {
				if _, ok := got[strings.TrimPrefix(name, "boot/firmware/")]; !ok && strings.HasPrefix(name, "boot/firmware/") {
					t.Errorf("%s is not on the card", name)
				}
			}
		})
	}
}

func TestCardsThatAreRefused(t *testing.T) {
	for complaint, c := range map[string]struct {
		o       disk.Options
		changes map[string]string
	}{
		"cards for Raspberry Pis are of the architecture arm64, and the image is of armhf": {disk.Options{Arch: "armhf"}, nil},
		"has no hash tree":                                            {disk.Options{Verity: true}, nil},
		"has no other partitions":                                     {disk.Options{Partitions: []disk.Partition{{Type: "home", Size: 64 << 20}}}, nil},
		"a Raspberry Pi has no BIOS":                                  {disk.Options{BIOS: true}, nil},
		"lock the package raspi-firmware":                             {disk.Options{}, map[string]string{"usr/lib/raspi-firmware/start4.elf": "", "usr/lib/raspi-firmware/bootcode.bin": ""}},
		"no device tree of a Raspberry Pi for the kernel 6":           {disk.Options{}, map[string]string{"usr/lib/linux-image-" + piRelease + "/broadcom/bcm2837-rpi-3-b.dtb": "", "usr/lib/linux-image-" + piRelease + "/broadcom/bcm2711-rpi-4-b.dtb": ""}},
		"/boot/vmlinuz-6.1.0-9-arm64 is no kernel that the firmware":  {disk.Options{}, map[string]string{"boot/vmlinuz-" + piRelease: "MZ\x00\x00zimg" + strings.Repeat("x", 99)}},
		"the image has no kernel":                                     {disk.Options{}, map[string]string{"boot/vmlinuz-" + piRelease: ""}},
		"no initramfs for the kernel":                                 {disk.Options{}, map[string]string{"boot/initrd.img-" + piRelease: ""}},
		"has the firmware read /other.bin, which would not be":        {disk.Options{}, map[string]string{"boot/firmware/config.txt": "kernel=other.bin\n"}},
		"config.txt sets os_prefix":                                   {disk.Options{}, map[string]string{"boot/firmware/config.txt": "os_prefix=a/\n"}},
		"/boot/firmware/x: a link that leads nowhere":                 {disk.Options{}, map[string]string{"boot/firmware/x": "-> gone"}},
		"a card of 64 MiB is too small":                               {disk.Options{Size: 64 << 20}, nil},
		"a card of 136 MiB is too small: 137 MiB are needed":          {disk.Options{Size: 136 << 20, FileSystem: disk.Squashfs}, nil},
		"busybox; lock the package":                                   {disk.Options{Initramfs: disk.OwnInitramfs}, nil},
		"only a card for a Raspberry Pi can be without a root":        {disk.Options{FileSystem: disk.NoRoot, Boot: disk.UKI}, nil},
		"has its files as they are":                                   {disk.Options{FileSystem: disk.NoRoot, Cmdline: "quiet"}, nil},
		"must be a multiple of 1 MiB":                                 {disk.Options{FileSystem: disk.NoRoot, Size: 5}, nil},
		"less than nothing":                                           {disk.Options{FileSystem: disk.NoRoot, Free: size(-1)}, nil},
		"cannot both be given":                                        {disk.Options{FileSystem: disk.NoRoot, Free: size(1), Size: 64 << 20}, nil},
		"no firmware of the Raspberry Pi at its top":                  {disk.Options{FileSystem: disk.NoRoot}, nil},
		"/boot has the firmware of a Raspberry Pi, but no config.txt": {disk.Options{FileSystem: disk.NoRoot}, map[string]string{"boot/start.elf": "firmware"}},
		"has the firmware read /boot/vmlinuz-rpi":                     {disk.Options{FileSystem: disk.NoRoot}, map[string]string{"start4.elf": "firmware", "config.txt": "kernel=boot/vmlinuz-rpi\n"}},
		"a card of 4 MiB is too small":                                {disk.Options{FileSystem: disk.NoRoot, Size: 4 << 20}, map[string]string{"start4.elf": "firmware", "config.txt": "a"}},
		"FAT32 has at least":                                          {disk.Options{FileSystem: disk.NoRoot, Size: 16 << 20}, map[string]string{"start4.elf": "firmware", "config.txt": "a"}},
	} {
		o := pi(c.o)
		o.Boot = cmp.Or(c.o.Boot, disk.RaspberryPi)
		file := create(t, "card")
		if _, err := disk.Write(t.Context(), file, planted(t, with(debianPi, c.changes)), o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%v, not %s", err, complaint)
		}
	}
	if err := pi(disk.Options{FileSystem: disk.NoRoot}).Check(); err != nil {
		t.Error(err)
	}
}

// release is the release of Alpine for Raspberry Pis in the data, which is
// without kernels, and with made-up ones.
func release(t *testing.T) (bare, whole *tree.Tree) {
	t.Helper()
	path := filepath.Join(cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../shared/data"), "alpine/rpi-3.13.4-aarch64")
	if _, err := os.Stat(path); err != nil {
		t.Skip("needs the data: ", err)
	}
	bare, err := dir.Read(t.Context(), path, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b := bare.Edit()
	add := func(name string, in tree.Inode) {
		if err := b.Add(name, in); err != nil {
			t.Fatal(err)
		}
	}
	add("boot", tree.Inode{Mode: tree.Directory | 0o755, ModTime: treetest.Epoch})
	for i, name := range []string{"vmlinuz-rpi", "vmlinuz-rpi4", "initramfs-rpi", "initramfs-rpi4", "modloop-rpi", "modloop-rpi4"} {
		add("boot/"+name, treetest.File(0o644, string(treetest.Random(uint64(i), 1<<20))))
	}
	whole, err = b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bare, whole
}

// The files of a release become a card of one partition, in which every file
// is the same: by our own reader and by mtools.
func TestCardOfRelease(t *testing.T) {
	bare, whole := release(t)
	o := pi(disk.Options{FileSystem: disk.NoRoot})
	if _, err := disk.Write(t.Context(), create(t, "card"), bare, o); err == nil || !strings.Contains(err.Error(), "config.txt has the firmware read /boot/vmlinuz-rpi, which would not be on the card") {
		t.Errorf("a release without a kernel: %v", err)
	}
	file, l := written(t, whole, o)
	if !strings.HasPrefix(l.Cmdline, "modules=loop,squashfs,sd-mod,usb-storage") || len(l.Partitions) != 1 {
		t.Errorf("the layout is %+v", l)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if m, err := gpt.ReadMBR(f, l.Size); err != nil || len(m.Partitions) != 1 || m.Partitions[0].Type != gpt.MBRFAT32 {
		t.Errorf("the table is %+v, %v", m, err)
	}
	part := at(f, l.Partitions[0])
	v, err := fat.Read(t.Context(), part, part.Size())
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(whole, v.Tree, treetest.Content))
	mtools(t, write(t, "firmware", part), whole)
}

// mtools compares the files of a file system with a tree, by mtools, and has
// fsck.vfat check it.
func mtools(t *testing.T, image string, want *tree.Tree) {
	t.Helper()
	for _, tool := range []string{"mcopy", "fsck.vfat"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs ", tool)
		}
	}
	if out, err := exec.Command("fsck.vfat", "-n", image).CombinedOutput(); err != nil {
		t.Errorf("fsck.vfat: %v\n%s", err, out)
	}
	to := filepath.Join(t.TempDir(), "files")
	if err := os.Mkdir(to, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mcopy", "-s", "-n", "-Q", "-i", image, "::*", to).CombinedOutput(); err != nil {
		t.Fatalf("mcopy: %v\n%s", err, out)
	}
	got, err := dir.Read(t.Context(), to, dir.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	treetest.Report(t, treetest.Compare(want, got, treetest.Content))
}
