package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// piSpec is a card whose init reports over the serial console. QEMU's machine
// turns itself off by its watchdog, whose driver is a module.
const piSpec = `version: 1
locks: [SHA256SUMS]
no-scripts: true
files:
  - path: /sbin/init
    mode: 0755
    content: |
      #!/bin/busybox sh
      b=/bin/busybox
      $b mount -t proc proc /proc 2>/dev/null
      echo "report: $($b uname -m) runs $($b grep ' / ' /proc/mounts | $b tail -n 1 | $b cut -d, -f1)"
      echo "report: a $($b cat /proc/device-tree/model)"
      echo "report: $($b tail -n 1 /proc/partitions)"
      $b mount -o remount,ro /
      $b insmod /lib/modules/*/kernel/drivers/watchdog/bcm2835_wdt.ko
      $b poweroff -f
  - path: /boot/firmware/usercfg.txt
    content: |
      dtparam=audio=on
remove: [/usr/share/doc/**, /usr/share/man/**, /usr/share/locale/**]
outputs:
  - {type: disk, dest: card.img, boot: raspberry-pi, cmdline: "console=ttyAMA0 quiet panic=-1"}
`

// TestAcceptCard resolves Debian's packages of a Raspberry Pi to a lock, makes a
// card of them, and boots in QEMU's machine what the firmware would take from
// it; the firmware itself runs nowhere but on the computer. The card is smaller
// than the one that it is copied to, so that the root grows.
func TestAcceptCard(t *testing.T) {
	needs(t, true, "qemu-system-aarch64", "mcopy", "fsck.vfat", "e2fsck", "sfdisk", "timeout", "dd", "apt-get")
	needsMirror(t)
	work, cache := t.TempDir(), t.TempDir()
	card := filepath.Join(work, "card.img")
	samebits(t, 0, cache, "lock", "resolve", "--distro", "debian", "--suite", "bookworm", "--arch", "arm64", "--base", "none", "--components", "main,non-free-firmware",
		"-o", filepath.Join(work, "SHA256SUMS"), "raspi-firmware", "linux-image-arm64", "busybox-static", "fdisk", "e2fsprogs")
	buildSpec(t, work, cache, piSpec)
	seen := samebits(t, 0, cache, "image", "inspect", card).stdout
	for _, want := range []string{"card.img: mbr", "1: fat32", "label: RASPIFIRM", "2: ext4"} {
		if !strings.Contains(seen, want) {
			t.Errorf("no %q in what is seen of the card:\n%s", want, seen)
		}
	}
	// Cards of QEMU's have a power of two for a size.
	const size = 1 << 30
	if err := os.Truncate(card, size); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vmlinuz-*", "initrd.img-*", "bcm2837-rpi-3-b.dtb", "cmdline.txt", "config.txt"} {
		must(t, "mcopy", "-i", card+"@@4M", "::"+name, work)
	}
	kernel, initrd := only(t, work, "vmlinuz-*"), only(t, work, "initrd.img-*")
	// The machine is a 3; what powers the card of a 4 has to be there, too.
	inside := samebits(t, 0, cache, "image", "inspect", "--files", initrd).stdout
	for _, module := range []string{"sdhci_iproc", "fixed", "gpio_regulator", "reset_raspberrypi", "bcm2835"} {
		if !strings.Contains(inside, "/modules/"+module+".ko ") {
			t.Errorf("no module %s in the initramfs", module)
		}
	}
	config := text(t, filepath.Join(work, "config.txt"))
	for _, want := range []string{"arm_64bit=1", "kernel=" + filepath.Base(kernel), "initramfs " + filepath.Base(initrd) + " followkernel", "include usercfg.txt"} {
		if !strings.Contains(config, "\n"+want) {
			t.Errorf("no %q in config.txt:\n%s", want, config)
		}
	}
	said := must(t, "timeout", "480", "qemu-system-aarch64", "-machine", "raspi3b", "-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot",
		"-kernel", kernel, "-initrd", initrd, "-dtb", filepath.Join(work, "bcm2837-rpi-3-b.dtb"), "-append", text(t, filepath.Join(work, "cmdline.txt")),
		"-drive", "if=sd,format=raw,file="+card)
	said = strings.Join(strings.Fields(strings.ReplaceAll(said, "\x00", "")), " ")
	for _, want := range []string{"report: aarch64 runs /dev/mmcblk0p2 / ext4 rw", "report: a Raspberry Pi 3 Model B"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in what it said:\n%s", want, said)
		}
	}
	cardGrew(t, work, card, size, said)
}

// cardGrew holds that the root has grown to the card's end, and that both file
// systems are whole.
func cardGrew(t *testing.T, work, card string, size int64, said string) {
	t.Helper()
	var start, sectors int64
	for line := range strings.Lines(must(t, "sfdisk", "-d", card)) {
		if _, rest, ok := strings.Cut(line, "card.img2 :"); ok {
			if _, err := fmt.Sscanf(strings.ReplaceAll(rest, " ", ""), "start=%d,size=%d", &start, &sectors); err != nil {
				t.Fatal(err)
			}
		}
	}
	if start == 0 || (start+sectors)*512 < size-2<<20 {
		t.Errorf("the root has %d sectors from %d on, on a card of %d bytes", sectors, start, size)
	}
	if want := fmt.Sprintf("179 2 %d mmcblk0p2", sectors/2); !strings.Contains(said, want) {
		t.Errorf("no %q in what it said:\n%s", want, said)
	}
	firmware, root := filepath.Join(work, "firmware"), filepath.Join(work, "root")
	must(t, "dd", "if="+card, "of="+firmware, "bs=1M", "skip=4", fmt.Sprintf("count=%d", start/2048-4), "conv=sparse", "status=none")
	must(t, "dd", "if="+card, "of="+root, "bs=1M", fmt.Sprintf("skip=%d", start/2048), "conv=sparse", "status=none")
	must(t, "fsck.vfat", "-n", firmware)
	must(t, "e2fsck", "-fn", root)
}

// only is the one file of a directory that a pattern stands for.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s stands for %q, %v", pattern, found, err)
	}
	return found[0]
}
