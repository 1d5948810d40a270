package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/imagebuild/vmtest"
)

// foreignKernel are the files of a spec that bring Debian's kernel and EFI stub
// to a distribution of whose kernels there is no package. What is removed is
// left out to be quicker.
const foreignKernel = `version: 1
hostname: appliance
remove: [/usr/share/man/**, /usr/share/locale/**, /usr/share/i18n/**, /usr/include/**, LIB/modules/*/kernel/drivers/net/**, LIB/modules/*/kernel/net/**]
files:
  - {path: LIB/modules/RELEASE, source: /lib/modules/RELEASE}
  - {path: /boot/vmlinuz-RELEASE, source: /boot/vmlinuz-RELEASE}
  - {path: /usr/lib/systemd/boot/efi/linuxx64.efi.stub, source: /usr/lib/systemd/boot/efi/linuxx64.efi.stub}
`

// alpineSystem goes on with a system that OpenRC starts and that asks for a
// name at its serial console, as setup-alpine has it.
const alpineSystem = `run:
  - script: |
      rc-update add devfs sysinit
      rc-update add hostname boot
      sed -i '/^tty/d; s/^#ttyS0/ttyS0/' /etc/inittab
      passwd -d root
outputs:
  - {type: disk, dest: disk.raw, free: 16MiB, cmdline: "CONSOLE"}
  - {type: kernel+initrd, dest: direct, cmdline: "CONSOLE"}
`

// archSystem goes on with a shell as the first process, since neither an init
// nor busybox is among the packages.
const archSystem = `  - {path: /usr/lib/initcpio/busybox, source: /bin/busybox}
  - path: /usr/bin/init
    mode: 0755
    content: |
      #!/bin/bash
      cat /etc/hostname >/proc/sys/kernel/hostname
      exec /bin/bash -i
outputs:
  - {type: disk, dest: disk.raw, free: 16MiB, cmdline: "CONSOLE"}
`

// bootingSpec is a spec of a system whose modules are below lib, with the
// newest kernel that this machine has of Debian's.
func bootingSpec(t *testing.T, lib, system string) string {
	t.Helper()
	return strings.NewReplacer("LIB", lib, "RELEASE", vmtest.Release(vmtest.Kernel(t)), "CONSOLE", "console=ttyS0 quiet no_timer_check panic=-1").
		Replace(foreignKernel + system)
}

// TestAcceptBootAlpine boots an Alpine from a disk by EFI, with our initramfs
// and Alpine's busybox in it, and as a whole in memory, to logins.
func TestAcceptBootAlpine(t *testing.T) {
	needs(t, true, "qemu-system-x86_64")
	t.Parallel()
	work := t.TempDir()
	imageOf(t, alpineSet(t), work, bootingSpec(t, "/lib", alpineSystem))
	direct := filepath.Join(work, "direct")
	for name, c := range map[string]struct {
		m    vmtest.Machine
		root string
	}{
		"disk": {vmtest.Machine{Disks: []string{filepath.Join(work, "disk.raw")}}, "/dev/vda2 / ext4 rw"},
		"in memory": {vmtest.Machine{Kernel: filepath.Join(direct, "kernel"), Initrd: filepath.Join(direct, "initrd.img"), Cmdline: text(t, filepath.Join(direct, "cmdline"))},
			"rootfs / rootfs rw"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.m.Limit = 8 * time.Minute
			c.m.Typed = atShell("appliance login: ", "appliance:~# ")
			booted(t, c.m, "OpenRC 0.52.1", "Welcome to Alpine Linux 3.19", `report: NAME="Alpine Linux" on appliance, x86_64, from `+c.root)
		})
	}
}

// TestAcceptBootArch boots the packages of an Arch from a disk by EFI.
func TestAcceptBootArch(t *testing.T) {
	needs(t, true, "qemu-system-x86_64", "busybox")
	t.Parallel()
	work := t.TempDir()
	imageOf(t, archSet(t), work, bootingSpec(t, "/usr/lib", archSystem))
	m := vmtest.Machine{Disks: []string{filepath.Join(work, "disk.raw")}, Typed: atShell("", "# ")}
	booted(t, m, `report: NAME="Arch Linux" on appliance, x86_64, from /dev/vda2 / ext4 rw`)
}
