// Package vmtest boots virtual machines under QEMU, for tests of what boots and
// of file systems that the machine of the test has no driver for. It wants
// Debian's packages qemu-system-x86, ovmf and linux-image-cloud-amd64, and for
// machines of arm64 qemu-system-arm and qemu-efi-aarch64, and skips the test
// where they are not. A machine is emulated, on one CPU, has no network, and is
// stopped when the test ends. It refuses BIOSes and CD drives of arm64, which has
// none.
package vmtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/imagebuild/tree"
)

// limit is how long a machine may run, which emulated takes some 10 s.
const limit = 5 * time.Minute

// Machine is what is to be started.
type Machine struct {
	// Arch is Debian's name of its architecture, "amd64" or "arm64", which is QEMU's
	// machine "virt"; amd64 if it is "".
	Arch string
	// Kernel and Initrd are files to boot directly. Without them, the firmware
	// boots from the disks.
	Kernel, Initrd, Cmdline string
	BIOS                    bool     // and not UEFI, where firmware boots
	SecureBoot              bool     // firmware that starts only what Signing's key signed
	Disks                   []string // raw images: vda, vdb and so on
	CDROM                   string   // an ISO, in a drive that ata_piix drives
	USB                     string   // a raw image, on a USB stick
	// Limit is how long the machine may take, 5 minutes if it is 0.
	Limit time.Duration
	// Typed is typed at the serial console, one after the other.
	Typed []Typed
}

// Kernel is the newest kernel of Debian's cloud images that is installed.
func Kernel(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/boot/vmlinuz-*-cloud-amd64")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("needs a kernel of the package linux-image-cloud-amd64 in /boot")
	}
	return found[len(found)-1]
}

// Release is what "uname -r" says of a kernel.
func Release(kernel string) string {
	return strings.TrimPrefix(filepath.Base(kernel), "vmlinuz-")
}

// Run starts a machine and returns what it wrote to its serial console, once it
// has turned itself off.
func Run(t testing.TB, m Machine) string {
	t.Helper()
	limit := cmp.Or(m.Limit, limit)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	argv := arguments(t, m)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if len(m.Typed) > 0 {
		p := newTypist(t, cmd, m.Typed, &out)
		cmd.Stdout, cmd.Stderr = p, p
	}
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("the machine did not end in %s:\n%s", limit, tail(out.String()))
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, tail(out.String()))
	}
	return out.String()
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skip(err)
	}
	return path
}

// Virtio are the modules that disks need.
var Virtio = []string{"virtio_pci", "virtio_blk"}

// Mounted is the tree that Linux sees in an image of a file system of a type,
// mounted with options, with the help of modules. It has no contents.
func Mounted(t testing.TB, kind, image, options string, modules ...string) *tree.Tree {
	t.Helper()
	kernel := Kernel(t)
	dir := t.TempDir()
	initrd, result := filepath.Join(dir, "initrd"), filepath.Join(dir, "result")
	if err := os.WriteFile(initrd, Initramfs(t, kernel, slices.Concat(Virtio, modules), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(result, make([]byte, 32<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out := Run(t, Machine{Kernel: kernel, Initrd: initrd, Disks: []string{image, result},
		Cmdline: "console=ttyS0 panic=-1 vmtest.read=" + kind + ",/dev/vda," + options})
	if !strings.Contains(out, "VMTEST DONE") {
		t.Fatalf("the machine failed:\n%s", tail(out))
	}
	manifest, err := os.ReadFile(result)
	if err != nil {
		t.Fatal(err)
	}
	got, err := tree.ReadManifest(bytes.NewReader(bytes.TrimRight(manifest, "\x00")), nil)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
