package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/vmtest"
)

// armSpec is a system of packages' files alone, since no script of another
// architecture can run here: busybox is its init, asks for a name and starts a
// shell, which a real system has its program login do.
const armSpec = `version: 1
hostname: appliance
locks: [SHA256SUMS]
no-scripts: true
files:
  - {path: /sbin/init, link: /bin/busybox}
  - path: /etc/inittab
    content: |
      ::sysinit:/bin/busybox hostname -F /etc/hostname
      ttyAMA0::respawn:/bin/busybox getty -L -l /etc/login 0 ttyAMA0 vt100
  - path: /etc/login
    mode: 0755
    content: |
      #!/bin/busybox sh
      exec /bin/busybox sh
remove: [/usr/share/**, /lib/modules/*/kernel/drivers/net/**]
outputs:
  - {type: disk, dest: disk.raw, free: 16MiB, cmdline: "console=ttyAMA0 quiet panic=-1"}
`

// TestAcceptDiskArm resolves names to a lock for arm64, writes a disk of it, and
// boots that by the firmware of QEMU's machine "virt".
func TestAcceptDiskArm(t *testing.T) {
	needs(t, true, "qemu-system-aarch64", "apt-get")
	t.Parallel()
	needsMirror(t)
	work, cache := t.TempDir(), t.TempDir()
	resolveDisk(t, work, cache, "arm64", "--base", "none", "linux-image-cloud-arm64", "base-files", "busybox-static", "systemd-boot-efi")
	buildSpec(t, work, cache, armSpec)
	m := vmtest.Machine{Arch: "arm64", Disks: []string{filepath.Join(work, "disk.raw")}, Typed: atShell("appliance login: ", "/ # ")}
	booted(t, m, "appliance login: root", `report: NAME="Debian GNU/Linux" on appliance, aarch64, from /dev/vda2 / ext4 rw`)
}

// atShell logs in as root, where login is not "", and has the shell tell where
// it is and turn the machine off.
func atShell(login, prompt string) []vmtest.Typed {
	const report = `echo "report: $(cat /etc/os-release /usr/lib/os-release | grep -m1 ^NAME=) on $(uname -n), $(uname -m), from $(grep ' / ' /proc/mounts)"; ` +
		"sync; poweroff -f || echo o >/proc/sysrq-trigger\n"
	typed := []vmtest.Typed{{After: login, Text: "root\n"}, {After: prompt, Text: report}}
	if login == "" {
		return typed[1:]
	}
	return typed
}

// booted starts a machine, which has to say all of want, with one space for
// what parts its words.
func booted(t *testing.T, m vmtest.Machine, want ...string) {
	t.Helper()
	said := strings.Join(strings.Fields(vmtest.Run(t, m)), " ")
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("no %q in what it said:\n%s", w, said)
		}
	}
}
