package sandbox

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// exits are programs that end with exit code 7, by the first name of their
// architecture, with what their header says besides.
var exits = map[string]struct {
	flags uint32
	code  []uint32
}{
	"x86_64":      {0, []uint32{0x000007bf, 0x003cb800, 0x050f0000}},
	"i386":        {0, []uint32{0x000007bb, 0x0001b800, 0x80cd0000}},
	"aarch64":     {0, []uint32{0xd28000e0, 0xd2800ba8, 0xd4000001}},
	"arm":         {0x05000000, []uint32{0xe3a00007, 0xe3a07001, 0xef000000}},
	"riscv64":     {0, []uint32{0x00700513, 0x05d00893, 0x00000073}},
	"loongarch64": {0x43, []uint32{0x02801c04, 0x0281740b, 0x002b0000}},
	"ppc64le":     {2, []uint32{0x38600007, 0x38000001, 0x44000002}},
	"s390x":       {0, []uint32{0xa7290007, 0x0a010000}},
	"mips64el":    {0, []uint32{0x24040007, 0x240213c2, 0x0000000c}},
	"mipsel":      {0x1000, []uint32{0x24040007, 0x24020fa1, 0x0000000c}},
}

// program writes a program for an architecture, which ends with exit code 7.
func program(t *testing.T, a architecture, name string) {
	t.Helper()
	order := binary.AppendByteOrder(binary.LittleEndian)
	if a.order == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	const at = 0x10000
	p := exits[a.names[0]]
	size := uint64(4 * len(p.code))
	out := append([]byte(elf.ELFMAG), byte(a.class), byte(a.order), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	out = order.AppendUint32(order.AppendUint16(order.AppendUint16(out, uint16(elf.ET_EXEC)), uint16(a.machine)), 1)
	half := func(v ...uint16) {
		for _, v := range v {
			out = order.AppendUint16(out, v)
		}
	}
	word := func(v ...uint64) {
		for _, v := range v {
			if a.class == elf.ELFCLASS64 {
				out = order.AppendUint64(out, v)
			} else {
				out = order.AppendUint32(out, uint32(v))
			}
		}
	}
	if a.class == elf.ELFCLASS64 {
		const head = 64 + 56
		word(at+head, 64, 0)
		out = order.AppendUint32(out, p.flags)
		half(64, 56, 1, 64, 0, 0)
		out = order.AppendUint32(order.AppendUint32(out, uint32(elf.PT_LOAD)), uint32(elf.PF_R|elf.PF_X))
		word(0, at, at, head+size, head+size, 0x10000)
	} else {
		const head = 52 + 32
		word(at+head, 52, 0)
		out = order.AppendUint32(out, p.flags)
		half(52, 32, 1, 40, 0, 0)
		word(uint64(elf.PT_LOAD), 0, at, at, head+size, head+size, uint64(elf.PF_R|elf.PF_X), 0x10000)
	}
	for _, c := range p.code {
		out = order.AppendUint32(out, c)
	}
	if err := os.WriteFile(name, out, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestForeignPrograms runs programs of all architectures, by this machine's
// qemu-user.
func TestForeignPrograms(t *testing.T) {
	root := newRoot(t)
	name := filepath.Join(root, "bin/seven")
	for _, a := range architectures {
		t.Run(a.names[0], func(t *testing.T) {
			if _, isForeign := foreign(a.names[0]); isForeign {
				if path, err := a.interpreter(); path == "" {
					t.Skip("this machine has no qemu-user for it: install qemu-user-static ", err)
				}
			}
			program(t, a, name)
			for _, called := range a.names {
				_, err := run(t, root, "", func(c *Command) { c.Arch, c.Args = called, []string{"/bin/seven"} })
				var exit *ExitError
				var arch *ArchError
				if errors.As(err, &arch) && strings.Contains(err.Error(), "before Linux 6.7") {
					t.Skip(err)
				}
				if !errors.As(err, &exit) || exit.Code != 7 {
					t.Errorf("as %s: %v", called, err)
				}
			}
		})
	}
}

// TestForeignProgramsWithoutQemu tells what is missing.
func TestForeignProgramsWithoutQemu(t *testing.T) {
	root, path := newRoot(t), t.TempDir()
	a, isForeign := foreign("s390x")
	if !isForeign {
		t.Skip("this machine is one")
	}
	program(t, a, filepath.Join(root, "bin/seven"))
	attempt := func() error {
		_, err := run(t, root, "", func(c *Command) { c.Arch, c.Args = "s390x", []string{"/bin/seven"} })
		return err
	}
	t.Setenv("PATH", path)
	err := attempt()
	var exit *ExitError
	if errors.As(err, &exit) {
		return // the host has the kernel run them
	}
	var arch *ArchError
	if !errors.As(err, &arch) || !errors.Is(err, syscall.ENOEXEC) || !strings.Contains(err.Error(), "/bin/seven is a program for s390x") || !strings.Contains(err.Error(), "install qemu-user-static") {
		t.Errorf("without qemu: %v", err)
	}
	self, err := os.ReadFile("/bin/sh")
	if err == nil {
		err = os.WriteFile(filepath.Join(path, "qemu-s390x"), self, 0o755)
	}
	if err != nil || isStatic("/bin/sh") {
		t.Skip("a program with libraries is needed ", err)
	}
	if err := attempt(); err == nil || !strings.Contains(err.Error(), path+"/qemu-s390x is not linked statically") {
		t.Errorf("with a qemu that wants libraries: %v", err)
	}
	if err := os.WriteFile(filepath.Join(path, "qemu-s390x-static"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := attempt(); err == nil || !strings.Contains(err.Error(), "not linked statically") {
		t.Errorf("with a qemu that is none: %v", err)
	}
}

// A program of this machine that cannot be run is not said to be foreign.
func TestUnfitPrograms(t *testing.T) {
	root := newRoot(t)
	if err := os.WriteFile(filepath.Join(root, "bin/nothing"), []byte{0, 1, 2}, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, arch := range []string{"", "all", "aarch64", "x86_64"} {
		_, err := run(t, root, "", func(c *Command) { c.Arch, c.Args = arch, []string{"/bin/nothing"} })
		var foreign *ArchError
		if err == nil || errors.As(err, &foreign) && handlersFor(arch) || !strings.Contains(err.Error(), "/bin/nothing") {
			t.Errorf("%q: %v", arch, err)
		}
	}
}

// handlersFor reports whether programs of an architecture would run.
func handlersFor(name string) bool {
	a, isForeign := foreign(name)
	path, _ := a.interpreter()
	return !isForeign || path != ""
}

// TestHandlersOfTheHost has itself run where the kernel is told how to run what
// ends in ".odd", of which the sandbox knows nothing.
func TestHandlersOfTheHost(t *testing.T) {
	const inside = "SAMEBITS_TEST_HANDLERS"
	root := newRoot(t)
	if os.Getenv(inside) == "" {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.run=^TestHandlersOfTheHost$")
		cmd.Env = append(os.Environ(), inside+"=yes")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: identity("/proc/self/uid_map"), GidMappings: identity("/proc/self/gid_map"), GidMappingsEnableSetgroups: os.Geteuid() == 0,
		}
		out, err := cmd.CombinedOutput()
		if err := explain(err); err != nil && strings.Contains(err.Error(), "forbids user namespaces") || strings.Contains(string(out), "--- SKIP") {
			t.Skipf("%v\n%s", err, out)
		}
		if err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	misc := t.TempDir()
	if err := syscall.Mount("none", misc, "binfmt_misc", 0, ""); err != nil {
		t.Skip("handlers of a namespace are there since Linux 6.7: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(misc, 0) })
	if err := os.WriteFile(misc+"/register", []byte(":odd:E::odd::"+root+"/bin/busybox:F"), 0); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(root, "bin/ls.odd")
	if err := os.WriteFile(name, []byte("nothing"), 0o755); err != nil {
		t.Fatal(err)
	}
	var ended *exec.ExitError
	if out, err := exec.Command(name).CombinedOutput(); !errors.As(err, &ended) {
		t.Fatalf("the host has no handler: %v %s", err, out)
	}
	if out, err := run(t, root, "", func(c *Command) { c.Args = []string{"/bin/ls.odd"} }); err == nil || !strings.Contains(err.Error(), "exec format error") {
		t.Errorf("a handler of the host ran: %v %s", err, out)
	}
}
