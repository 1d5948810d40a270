// Package vmtest boots virtual machines under QEMU, for tests of what boots and
// of file systems that the machine of the test has no driver for. It wants
// Debian's packages qemu-system-x86, ovmf and linux-image-cloud-amd64, and skips
// the test where they are not. A machine is emulated, on one CPU, has no network,
// and is stopped when the test ends.
package vmtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/imagebuild/cpio"
	"github.com/samebits/samebits/imagebuild/tree"
)

// limit is how long a machine may run, which emulated takes some 10 s.
const limit = 5 * time.Minute

// Machine is what is to be started.
type Machine struct {
	// Kernel and Initrd are files to boot directly. Without them, the firmware
	// boots from the disks.
	Kernel, Initrd, Cmdline string
	BIOS                    bool     // and not UEFI, where firmware boots
	Disks                   []string // raw images: vda, vdb and so on
	CDROM                   string   // an ISO, in a drive that ata_piix drives
	USB                     string   // a raw image, on a USB stick
	// Limit is how long the machine may take, 5 minutes if it is 0.
	Limit time.Duration
	// Input is typed at the serial console once the machine has written Prompt.
	Prompt, Input string
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
	cmd := exec.CommandContext(ctx, tool(t, "qemu-system-x86_64"), arguments(t, m)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if m.Input != "" {
		typist := typing(t, cmd, m)
		typist.to = &out
		cmd.Stdout, cmd.Stderr = typist, typist
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

// A typist types a machine's input when its prompt has gone by to a writer.
type typist struct {
	to      *bytes.Buffer
	prompt  []byte
	input   string
	keys    io.WriteCloser
	pending bool
}

func typing(t testing.TB, cmd *exec.Cmd, m Machine) *typist {
	t.Helper()
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &typist{prompt: []byte(m.Prompt), input: m.Input, keys: keys, pending: true}
}

func (p *typist) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	if p.pending && bytes.Contains(p.to.Bytes(), p.prompt) {
		p.pending = false
		// A machine that ended meanwhile reads nothing.
		_, _ = io.WriteString(p.keys, p.input)
	}
	return n, err
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

func arguments(t testing.TB, m Machine) []string {
	t.Helper()
	machine := "q35"
	if m.CDROM != "" {
		// Debian's cloud kernel has a driver for the older machine's drives only.
		machine = "pc"
	}
	argv := []string{"-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-m", "768", "-machine", machine,
		// KVM within a virtual machine may be there and not work. QEMU 7.2 loses
		// the flags after an emulated cmpxchg16b now and then, by which kernels
		// from 6.12 on die.
		"-accel", "tcg,thread=multi", "-cpu", "max,-cx16"}
	switch {
	case m.Kernel != "":
		argv = append(argv, "-kernel", m.Kernel, "-initrd", m.Initrd, "-append", m.Cmdline)
	case !m.BIOS:
		argv = append(argv, firmware(t)...)
	}
	for i, disk := range m.Disks {
		argv = append(argv, "-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,file=%s", i, disk),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d", i))
	}
	if m.CDROM != "" {
		argv = append(argv, "-drive", "if=none,id=cd,media=cdrom,format=raw,readonly=on,file="+m.CDROM, "-device", "ide-cd,drive=cd")
	}
	if m.USB != "" {
		argv = append(argv, "-drive", "if=none,id=stick,format=raw,file="+m.USB, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick")
	}
	return argv
}

// firmware is OVMF's, with variables of the machine's own.
func firmware(t testing.TB) []string {
	t.Helper()
	const code, vars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
	fresh, err := os.ReadFile(vars)
	if err != nil {
		t.Skip("needs the package ovmf: ", err)
	}
	own := filepath.Join(t.TempDir(), "vars")
	if err := os.WriteFile(own, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"-drive", "if=pflash,format=raw,unit=0,readonly=on,file=" + code, "-drive", "if=pflash,format=raw,unit=1,file=" + own}
}

// agent is the first process of the initramfs, built once for all tests of a
// package.
var agent = sync.OnceValues(func() ([]byte, error) {
	_, source, _, ok := runtime.Caller(0)
	if !ok {
		return nil, errors.New("no source")
	}
	dir, err := os.MkdirTemp("", "vmtest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "agent")
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./agent")
	cmd.Dir = filepath.Dir(source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS=linux", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the agent: %w\n%s", err, out)
	}
	return os.ReadFile(path)
})

// Initramfs is an initramfs for a kernel, with the modules of some names and
// those that they need, and the files of report, which the machine tells.
func Initramfs(t testing.TB, kernel string, modules []string, report map[string]string) []byte {
	t.Helper()
	program, err := agent()
	if err != nil {
		t.Fatal(err)
	}
	var b tree.Builder
	add := func(path string, n tree.Inode) {
		if err := b.Add(path, n); err != nil {
			t.Fatal(err)
		}
	}
	file := func(path string, mode tree.Mode, content []byte) {
		add(path, tree.Inode{Mode: tree.Regular | mode, Size: int64(len(content)), Content: tree.Bytes(content)})
	}
	for _, dir := range []string{"proc", "dev", "sys", "modules", "report"} {
		add(dir, tree.Inode{Mode: tree.Directory | 0o755})
	}
	add("dev/console", tree.Inode{Mode: tree.CharDev | 0o600, Major: 5, Minor: 1})
	file("init", 0o755, program)
	for name, content := range report {
		file("report/"+name, 0o644, []byte(content))
	}
	for i, path := range modulesOf(t, kernel, modules) {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file(fmt.Sprintf("modules/%03d-%s", i, filepath.Base(path)), 0o644, content)
	}
	frozen, err := b.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := cpio.Write(t.Context(), &out, frozen, cpio.Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// modulesOf are the files of modules, in the order in which they are loaded.
func modulesOf(t testing.TB, kernel string, names []string) []string {
	t.Helper()
	root := filepath.Join("/lib/modules", Release(kernel))
	index, err := os.ReadFile(filepath.Join(root, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, name := range names {
		found := false
		for line := range strings.Lines(string(index)) {
			path, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
			if filepath.Base(path) != name+".ko" {
				continue
			}
			found = true
			all := strings.Fields(needs)
			slices.Reverse(all)
			for _, one := range append(all, path) {
				if full := filepath.Join(root, one); !slices.Contains(order, full) {
					order = append(order, full)
				}
			}
		}
		if !found {
			t.Fatalf("the kernel %s has no module %s", kernel, name)
		}
	}
	return order
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
