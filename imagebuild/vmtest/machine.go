package vmtest

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// An architecture is what differs from one kind of machine to another.
type architecture struct {
	emulator string
	// options name the machine; it is emulated, since KVM within a virtual
	// machine may be there and not work.
	options  []string
	firmware func(testing.TB) []string
}

var architectures = map[string]architecture{
	// QEMU 7.2 loses the flags after an emulated cmpxchg16b now and then, by which
	// kernels from 6.12 on die.
	"amd64": {"qemu-system-x86_64", []string{"-cpu", "max,-cx16"}, ovmf},
	"arm64": {"qemu-system-aarch64", []string{"-machine", "virt", "-cpu", "cortex-a57"}, aavmf},
}

// arguments are the emulator of a machine and what it is told.
func arguments(t testing.TB, m Machine) []string {
	t.Helper()
	name := cmp.Or(m.Arch, "amd64")
	arch, ok := architectures[name]
	switch {
	case !ok:
		t.Fatalf("no machine of the architecture %q", name)
	case name != "amd64" && (m.BIOS || m.CDROM != ""):
		t.Fatalf("a machine of the architecture %s has no BIOS and no CD drive", name)
	}
	argv := []string{tool(t, arch.emulator), "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-m", "768",
		"-accel", "tcg,thread=multi"}
	argv = append(argv, arch.options...)
	if name == "amd64" {
		// Debian's cloud kernel has a driver for the older machine's CD drives only.
		argv = append(argv, "-machine", map[bool]string{true: "pc", false: "q35"}[m.CDROM != ""])
	}
	if m.SecureBoot {
		return append(append(argv, secured(t)...), drives(m)...)
	}
	switch {
	case m.Kernel != "":
		argv = append(argv, "-kernel", m.Kernel, "-initrd", m.Initrd, "-append", m.Cmdline)
	case !m.BIOS:
		argv = append(argv, arch.firmware(t)...)
	}
	return append(argv, drives(m)...)
}

func drives(m Machine) []string {
	var argv []string
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

// ovmf is the firmware of PCs, with variables of the machine's own.
func ovmf(t testing.TB) []string {
	t.Helper()
	return flash(t, "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd")
}

func flash(t testing.TB, code, vars string) []string {
	t.Helper()
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

// secured is the firmware of PCs of the kind q35 that starts only what the owner
// of Debian's key for tests has signed.
func secured(t testing.TB) []string {
	t.Helper()
	return append(flash(t, "/usr/share/OVMF/OVMF_CODE_4M.snakeoil.fd", "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd"),
		"-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on")
}

// Signing is the private key of what a machine with Secure Boot starts, and its
// certificate, in PEM.
func Signing(t testing.TB) (key, certificate []byte) {
	t.Helper()
	const path = "/usr/share/ovmf/PkKek-1-snakeoil."
	certificate, err := os.ReadFile(path + "pem")
	if err != nil {
		t.Skip("needs the package ovmf: ", err)
	}
	key, err = exec.Command(tool(t, "openssl"), "rsa", "-passin", "pass:snakeoil", "-in", path+"key").Output()
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

// aavmf is the firmware of QEMU's machine virt. It keeps no variables.
func aavmf(t testing.TB) []string {
	t.Helper()
	const code = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
	if _, err := os.Stat(code); err != nil {
		t.Skip("needs the package qemu-efi-aarch64: ", err)
	}
	return []string{"-bios", code}
}
