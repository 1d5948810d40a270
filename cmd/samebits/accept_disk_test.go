package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/imagebuild/vmtest"
)

// bootSpec has a system say over its serial console that it is there, and turn
// itself off.
const bootSpec = `version: 1
hostname: appliance
locks: [SHA256SUMS]
files:
  - path: /etc/systemd/system/report.service
    content: |
      [Unit]
      Description=Report over the serial console
      After=multi-user.target
      [Service]
      Type=oneshot
      StandardOutput=journal+console
      ExecStart=/bin/sh -c 'echo "report: $(uname -n) runs $(findmnt -no SOURCE,FSTYPE,OPTIONS / | cut -d, -f1)"; sleep 10'
      ExecStart=/bin/systemctl poweroff --no-block
      [Install]
      WantedBy=multi-user.target
services: {enable: [report.service]}
remove: [/usr/share/doc/**, /usr/share/man/**, /usr/share/locale/**]
outputs:
  - {type: disk, dest: disk.raw, cmdline: "CONSOLE"}
  - {type: disk, dest: guarded.qcow2, verity: true, overlay: true, cmdline: "CONSOLE"}
  - {type: iso, dest: live.iso, cmdline: "CONSOLE"}
  - {type: kernel+initrd, dest: direct, cmdline: "CONSOLE"}
`

// TestAcceptDisk resolves names to a lock, assembles a Debian of it, writes it
// as disks, and boots these to a login prompt.
func TestAcceptDisk(t *testing.T) {
	needs(t, true, "qemu-system-x86_64", "qemu-img", "apt-get")
	needsMirror(t)
	work, cache := t.TempDir(), t.TempDir()
	resolveDisk(t, work, cache, "amd64", "linux-image-cloud-amd64", "systemd-sysv", "systemd-boot-efi", "busybox", "cryptsetup-bin")
	// On a busy machine, devices take longer than the 90 s that systemd waits.
	const console = "console=ttyS0 quiet no_timer_check panic=-1 systemd.default_timeout_start_sec=600"
	key, certificate := vmtest.Signing(t)
	write(t, filepath.Join(work, "db.key"), string(key))
	write(t, filepath.Join(work, "db.crt"), string(certificate))
	buildSpec(t, work, cache, strings.ReplaceAll(bootSpec, "CONSOLE", console)+"secure-boot: {key: db.key, certificate: db.crt}\n")
	// A disk in QEMU's format is the same disk.
	raw := filepath.Join(work, "guarded.raw")
	must(t, "qemu-img", "check", filepath.Join(work, "guarded.qcow2"))
	must(t, "qemu-img", "convert", "-O", "raw", filepath.Join(work, "guarded.qcow2"), raw)
	const holds = "EFI: signature 1 holds"
	if r := samebits(t, 0, cache, "image", "inspect", "--verify", filepath.Join(work, "disk.raw")); !strings.Contains(r.stdout, holds) {
		t.Errorf("image inspect does not say %q:\n%v", holds, r)
	}
	for name, c := range map[string]struct {
		m    vmtest.Machine
		want string
	}{
		"writable":               {vmtest.Machine{Disks: []string{filepath.Join(work, "disk.raw")}, SecureBoot: true}, "report: appliance runs /dev/vda2 ext4 rw"},
		"guarded by a hash tree": {vmtest.Machine{Disks: []string{raw}}, "report: appliance runs overlay overlay rw"},
		"from a CD":              {vmtest.Machine{CDROM: filepath.Join(work, "live.iso")}, "report: appliance runs overlay overlay rw"},
		"in memory": {vmtest.Machine{Kernel: filepath.Join(work, "direct/kernel"), Initrd: filepath.Join(work, "direct/initrd.img"),
			Cmdline: text(t, filepath.Join(work, "direct/cmdline"))}, "report: appliance runs"},
	} {
		c.m.Limit = 8 * time.Minute
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each machine has one CPU
			booted(t, c.m, c.want, "appliance login:")
		})
	}
}

// resolveDisk resolves names of Debian's packages to the lock SHA256SUMS in work.
func resolveDisk(t *testing.T, work, cache, arch string, names ...string) {
	t.Helper()
	args := []string{"lock", "resolve", "--distro", "debian", "--suite", "bookworm", "--arch", arch, "-o", filepath.Join(work, "SHA256SUMS")}
	if r := samebits(t, 0, cache, append(args, names...)...); !strings.Contains(r.stderr, "packages locked") {
		t.Fatal(r)
	}
}

// buildSpec builds a spec in work.
func buildSpec(t *testing.T, work, cache, spec string) {
	t.Helper()
	write(t, filepath.Join(work, "disk.yaml"), spec)
	cmd := command(t, cache, "image", "build", "disk.yaml")
	cmd.Dir = work
	if r := finish(t, cmd); r.code != 0 {
		t.Fatal(r)
	}
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
