package disk_test

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/disk"
	"github.com/samebits/samebits/imagebuild/fat"
	"github.com/samebits/samebits/imagebuild/gpt"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/treetest"
)

const piRelease = "6.1.0-9-arm64"

// piKernel is nothing but what tells a kernel of arm64 from others.
var piKernel = "MZ" + strings.Repeat("\x00", 54) + "ARM\x64" + strings.Repeat("kernel", 2000)

// debianPi is what Debian's packages bring for the computer.
var debianPi = map[string]string{
	"boot/vmlinuz-" + piRelease:                                             piKernel,
	"boot/initrd.img-" + piRelease:                                          strings.Repeat("initramfs", 900),
	"usr/lib/modules/" + piRelease + "/modules.builtin":                     "kernel/fs/ext4/ext4.ko\nkernel/fs/overlayfs/overlay.ko\n",
	"usr/lib/linux-image-" + piRelease + "/broadcom/bcm2837-rpi-3-b.dtb":    "device tree of the 3",
	"usr/lib/linux-image-" + piRelease + "/broadcom/bcm2711-rpi-4-b.dtb":    "device tree of the 4",
	"usr/lib/linux-image-" + piRelease + "/broadcom/stingray.dtb":           "device tree of something else",
	"usr/lib/linux-image-" + piRelease + "/allwinner/sun50i-a64-pine64.dtb": "device tree of something else",
	"usr/lib/raspi-firmware/bootcode.bin":                                   "bootcode",
	"usr/lib/raspi-firmware/start4.elf":                                     strings.Repeat("firmware", 5000),
	"usr/lib/raspi-firmware/fixup4.dat":                                     "fixup",
	"usr/lib/raspi-firmware/overlays/hifiberry-dac.dtbo":                    "overlay",
	"etc/hostname": "pi\n",
}

// alpinePi is what Alpine's packages bring.
var alpinePi = map[string]string{
	"boot/vmlinuz-rpi": "\x1f\x8b" + strings.Repeat("kernel", 2000), "boot/initramfs-rpi": "initramfs", "boot/System.map-rpi": "map",
	"boot/bcm2711-rpi-4-b.dtb": "device tree of the 4", "boot/overlays/disable-bt.dtbo": "overlay",
	"boot/bootcode.bin": "bootcode", "boot/start4.elf": "firmware", "boot/fixup4.dat": "fixup", "boot/boot": "-> .", "boot/linked": "-> /etc/hostname",
	"lib/modules/6.6.7-0-rpi/modules.builtin": "kernel/fs/ext4/ext4.ko\n",
	"etc/hostname": "pi\n",
}

// with are files with changes: "" takes one away.
func with(files map[string]string, changes map[string]string) map[string]string {
	files = maps.Clone(files)
	maps.Copy(files, changes)
	maps.DeleteFunc(files, func(_, text string) bool { return text == "" })
	return files
}

// planted is a tree of files; a text that begins with "-> " is a link's target.
func planted(t testing.TB, files map[string]string) *tree.Tree {
	t.Helper()
	n := &nursery{TB: t}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if target, ok := strings.CutPrefix(files[name], "-> "); ok {
			n.put(name, tree.Inode{Mode: tree.Symlink | 0o777, ModTime: treetest.Epoch, Target: target})
		} else {
			n.text(name, 0o644, files[name])
		}
	}
	tr, err := n.b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// pi are options for a card, by default with the system's initramfs, which
// takes no busybox.
func pi(o disk.Options) disk.Options {
	if o.Arch == "" {
		o.Arch = "arm64"
	}
	if o.Initramfs == "" && o.FileSystem != disk.NoRoot {
		o.Initramfs = disk.SystemInitramfs
	}
	o.Time, o.Boot = treetest.Epoch, disk.RaspberryPi
	return o
}

// onCard are the files in the firmware's partition of a card, read by our own
// reader.
func onCard(t testing.TB, tr *tree.Tree, o disk.Options) (map[string]string, *disk.Layout) {
	t.Helper()
	file, l := written(t, tr, pi(o))
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	part := at(f, l.Partitions[0])
	v, err := fat.Read(t.Context(), part, part.Size())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for n := range v.Tree.All() {
		if !n.Mode().IsRegular() {
			continue
		}
		var b bytes.Buffer
		if err := n.CopyTo(&b); err != nil {
			t.Fatal(err)
		}
		files[n.Path()] = b.String()
	}
	return files, l
}

// A card of Debian's packages has what the firmware reads, and nothing else.
func TestCardOfDebian(t *testing.T) {
	got, l := onCard(t, planted(t, debianPi), disk.Options{Cmdline: "quiet"})
	want := map[string]string{
		"bcm2711-rpi-4-b.dtb": "device tree of the 4", "bcm2837-rpi-3-b.dtb": "device tree of the 3",
		"bootcode.bin": "bootcode", "start4.elf": debianPi["usr/lib/raspi-firmware/start4.elf"], "fixup4.dat": "fixup", "overlays/hifiberry-dac.dtbo": "overlay",
		"vmlinuz-" + piRelease: piKernel, "initrd.img-" + piRelease: debianPi["boot/initrd.img-"+piRelease],
		"cmdline.txt": l.Cmdline + "\n",
		"config.txt": "# https://www.raspberrypi.com/documentation/computers/config_txt.html\nenable_uart=1\nupstream_kernel=1\n\n" +
			"[all]\narm_64bit=1\nkernel=vmlinuz-" + piRelease + "\ninitramfs initrd.img-" + piRelease + " followkernel\n",
	}
	for name := range with(want, got) {
		if got[name] != want[name] {
			t.Errorf("%s is %.400q, not %.400q", name, got[name], want[name])
		}
	}
	if l.Boot != disk.RaspberryPi || l.Kernel != piRelease {
		t.Errorf("the layout is %+v", l)
	}
	if !regexp.MustCompile(`^console=tty0 console=ttyS1,115200 root=UUID=[0-9a-f-]{36} rootfstype=ext4 rw rootwait quiet$`).MatchString(l.Cmdline) {
		t.Errorf("the kernel is told %s", l.Cmdline)
	}
}

// What the kernel is told follows from the options, and names the root by the
// signature of the master boot record where nothing else would be understood.
func TestCardTells(t *testing.T) {
	tr := planted(t, debianPi)
	for want, o := range map[string]disk.Options{
		`^console=ttyAMA0 root=PARTUUID=[0-9a-f]{8}-02 rootfstype=ext4 rw rootwait console=ttyAMA0$`: {Initramfs: disk.NoInitramfs, Cmdline: "console=ttyAMA0"},
		`root=PARTUUID=[0-9a-f]{8}-02 rootfstype=erofs ro rootwait$`:                                 {FileSystem: disk.EROFS},
		`root=PARTUUID=[0-9a-f]{8}-02 rootfstype=squashfs ro rootwait$`:                              {FileSystem: disk.Squashfs, Arch: "aarch64"},
	} {
		want = strings.Replace(want, "^console=ttyAMA0 ", "^", 1)
		got, l := onCard(t, tr, o)
		if !regexp.MustCompile(want).MatchString(l.Cmdline) || got["cmdline.txt"] != l.Cmdline+"\n" {
			t.Errorf("the kernel is told %q, not %s", got["cmdline.txt"], want)
		}
		if _, ok := got["initrd.img-"+piRelease]; ok == (o.Initramfs == disk.NoInitramfs) || ok != strings.Contains(got["config.txt"], "\ninitramfs ") {
			t.Errorf("%+v: an initramfs %v, config.txt %q", o, ok, got["config.txt"])
		}
	}
}

// Our own initramfs finds the root by the disk's signature and grows it.
func TestCardWithOwnInitramfs(t *testing.T) {
	n := &nursery{TB: t}
	for name, text := range debianPi {
		n.text(name, 0o644, text)
	}
	n.program("bin/busybox")
	for _, program := range []string{"usr/sbin/sfdisk", "usr/sbin/resize2fs"} {
		n.program(program)
	}
	tr, err := n.b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, l := onCard(t, tr, disk.Options{Initramfs: disk.OwnInitramfs})
	if !regexp.MustCompile(`root=PARTUUID=[0-9a-f]{8}-02 rootfstype=ext4 rw samebits.grow$`).MatchString(l.Cmdline) {
		t.Errorf("the kernel is told %s", l.Cmdline)
	}
	if initrd := got["initrd.img-"+piRelease]; !strings.HasPrefix(initrd, "\x1f\x8b") {
		t.Errorf("the initramfs begins with %.10q", initrd)
	}
	_, l = onCard(t, tr, disk.Options{Initramfs: disk.OwnInitramfs, Overlay: true})
	if !strings.HasSuffix(l.Cmdline, "rootfstype=ext4 ro samebits.overlay") {
		t.Errorf("the kernel is told %s", l.Cmdline)
	}
}

// cardGolden are the digests of cards of format version 1.
var cardGolden = []struct {
	name, want string
	files      map[string]string
	o          disk.Options
}{
	{"Debian", "7034999b77aeedc48545ea2b23fdfdd1fe18a168a55e852259f55999a9d3b906", debianPi, disk.Options{Free: size(8 << 20)}},
	{"Debian of a size", "a8a71278fd4caf6e2829c80d6a20884197b5c5007007b6d7695c4089cb488e75", debianPi, disk.Options{Size: 256 << 20, Label: "root"}},
	{"Debian under memory", "5da634dfe6f896c6fcb581d6fdc67ffa64e0e5939ba45d0757b67ae6a92c3c78", debianPi, disk.Options{FileSystem: disk.Squashfs}},
	{"Alpine", "7dd81ef5888d11a7407f2392c94feb04f2946704011862e16b2797b5ecbce0f0", alpinePi, disk.Options{FileSystem: disk.Ext4, Free: size(0)}},
	{"firmware alone", "6de75d374412cf750213344d99bf0293dce53fbaddfaf4689cda2c882245f0be", with(alpinePi, map[string]string{"boot/config.txt": "kernel=vmlinuz-rpi\n"}), disk.Options{FileSystem: disk.NoRoot, Size: 64 << 20, Label: "ALPINE"}},
}

func TestCardGolden(t *testing.T) {
	for _, g := range cardGolden {
		file, l := written(t, planted(t, g.files), pi(g.o))
		if got := digest(t, file); got != g.want {
			t.Errorf("%s: %s, want %s", g.name, got, g.want)
		}
		if g.o.Size != 0 && l.Size != g.o.Size {
			t.Errorf("%s: %d bytes", g.name, l.Size)
		}
	}
}

// TestCardTools asks others what they think of cards.
func TestCardTools(t *testing.T) {
	tr := planted(t, debianPi)
	file, l := written(t, tr, pi(disk.Options{}))
	firmware, root := filepath.Join(t.TempDir(), "firmware"), filepath.Join(t.TempDir(), "root")
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, name := range []string{firmware, root} {
		if err := os.Rename(write(t, "part", at(f, l.Partitions[i])), name); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"fsck.vfat", "-n", firmware}, "12 files"},
		{[]string{"e2fsck", "-fn", root}, "Pass 5"},
		{[]string{"sfdisk", "-d", file}, "card1 : start= 8192, size= 270336, type=c card2 : start= 278528, size= "},
		{[]string{"mdir", "-b", "-i", firmware, "::/overlays"}, "::/overlays/hifiberry-dac.dtbo"},
		{[]string{"mtype", "-i", firmware, "::/cmdline.txt"}, l.Cmdline},
		{[]string{"file", "-s", firmware}, `label: "RASPIFIRM`},
	} {
		if _, err := exec.LookPath(c.args[0]); err != nil {
			t.Log("goes without ", c.args[0])
			continue
		}
		out, err := exec.Command(c.args[0], c.args[1:]...).CombinedOutput()
		said := strings.Join(strings.Fields(strings.ReplaceAll(string(out), file, "card")), " ")
		if err != nil || !strings.Contains(said, c.want) {
			t.Errorf("%q: %v, no %q in\n%s", c.args, err, c.want, said)
		}
	}
}

// The table has the partitions where the layout says, in the order and of the
// types that the firmware looks for, and the root is the tree.
func TestCardParts(t *testing.T) {
	tr := planted(t, debianPi)
	file, l := written(t, tr, pi(disk.Options{Size: 512 << 20}))
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := gpt.ReadMBR(f, l.Size)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Partitions) != 2 || m.Partitions[0].Type != gpt.MBRFAT32 || m.Partitions[1].Type != gpt.MBRLinux || m.Signature == 0 {
		t.Fatalf("the table is %+v", m)
	}
	for i, p := range m.Partitions {
		if p.Start != l.Partitions[i].Start || p.Size != l.Partitions[i].Size || p.Start%(4<<20) != 0 {
			t.Errorf("partition %d is %+v, in the layout %+v", i+1, p, l.Partitions[i])
		}
	}
	if last := m.Partitions[1]; last.Start+last.Size != 512<<20 {
		t.Errorf("the root ends at byte %d", last.Start+last.Size)
	}
	rootIs(t, at(f, l.Partitions[1]), tr)
}
