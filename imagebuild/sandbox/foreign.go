package sandbox

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// An architecture is how programs for it are told from others, and what it is
// called by distributions, by Go and by qemu.
type architecture struct {
	names   []string // the first is qemu's
	goarch  string
	class   elf.Class
	order   elf.Data
	machine elf.Machine
}

var architectures = []architecture{
	{[]string{"x86_64", "amd64"}, "amd64", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_X86_64},
	{[]string{"i386", "i486", "i586", "i686", "x86", "386"}, "386", elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_386},
	{[]string{"aarch64", "arm64"}, "arm64", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_AARCH64},
	{[]string{"arm", "armhf", "armel", "armv6h", "armv7", "armv7h", "armv7hl"}, "arm", elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_ARM},
	{[]string{"riscv64"}, "riscv64", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_RISCV},
	{[]string{"loongarch64", "loong64"}, "loong64", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_LOONGARCH},
	{[]string{"ppc64le", "ppc64el", "powerpc64le"}, "ppc64le", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_PPC64},
	{[]string{"s390x"}, "s390x", elf.ELFCLASS64, elf.ELFDATA2MSB, elf.EM_S390},
	{[]string{"mips64el", "mips64le"}, "mips64le", elf.ELFCLASS64, elf.ELFDATA2LSB, elf.EM_MIPS},
	{[]string{"mipsel", "mipsle"}, "mipsle", elf.ELFCLASS32, elf.ELFDATA2LSB, elf.EM_MIPS},
}

// kernel is what the kernel calls its own architecture, which may be another
// than this program's: a 64-bit one runs 32-bit systems.
var kernel = sync.OnceValue(func() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	return unix.ByteSliceToString(u.Machine[:])
})

// foreign finds the architecture of a name, unless the CPU is of that one, or
// the name is not known.
func foreign(name string) (architecture, bool) {
	i := slices.IndexFunc(architectures, func(a architecture) bool { return slices.Contains(a.names, name) })
	if i < 0 {
		return architecture{}, false
	}
	a := architectures[i]
	return a, a.goarch != runtime.GOARCH && (a.goarch != "386" || runtime.GOARCH != "amd64") && !slices.Contains(a.names, kernel())
}

// handler is what binfmt_misc is told, so that it has a program run those of an
// architecture. The kernel opens that program now, and so needs no name for it
// later (F), and hands it the name by which a command was called (P).
func (a architecture) handler(interpreter string) string {
	order := binary.ByteOrder(binary.LittleEndian)
	if a.order == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	const size = 20 // from the magic to the machine
	magic, mask := make([]byte, size), make([]byte, size)
	copy(magic, elf.ELFMAG)
	magic[elf.EI_CLASS], magic[elf.EI_DATA], magic[elf.EI_VERSION] = byte(a.class), byte(a.order), byte(elf.EV_CURRENT)
	for i := range mask {
		mask[i] = 0xff
	}
	mask[elf.EI_OSABI] = 0
	order.PutUint16(magic[16:], uint16(elf.ET_EXEC))
	order.PutUint16(mask[16:], 0xfffe) // or a shared object
	order.PutUint16(magic[18:], uint16(a.machine))
	return fmt.Sprintf(":%s:M::%s:%s:%s:PF", a.names[0], escaped(magic), escaped(mask), interpreter)
}

func escaped(data []byte) string {
	var b strings.Builder
	for _, c := range data {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return b.String()
}

// interpreter finds this machine's qemu-user for an architecture. It has to be
// linked statically, since no library of the host is in the sandbox.
func (a architecture) interpreter() (string, error) {
	var found error
	for _, name := range []string{"qemu-" + a.names[0] + "-static", "qemu-" + a.names[0]} {
		path, err := exec.LookPath(name)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil || strings.ContainsAny(path, ":\\") { // what handlers are made of
			continue
		}
		if isStatic(path) {
			return path, nil
		}
		found = fmt.Errorf("%s is not linked statically", path)
	}
	return "", found
}

func isStatic(name string) bool {
	f, err := elf.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// An ArchError says that the command is of an architecture that cannot run
// here. It is ENOEXEC to errors.Is.
type ArchError struct {
	Args   []string
	Arch   string
	Remedy string
}

// Error names the command and the remedy.
func (e *ArchError) Error() string {
	return fmt.Sprintf("%s is a program for %s, which this machine cannot run; %s", e.Args[0], e.Arch, e.Remedy)
}

// Unwrap returns the kernel's error.
func (*ArchError) Unwrap() error { return syscall.ENOEXEC }

// cannotRun is the error of a command that the kernel takes for none of its
// programs.
func cannotRun(c Command, o order) error {
	e := &ArchError{Args: c.Args, Arch: c.Arch, Remedy: "install qemu-user-static (qemu-user, where that is linked statically), which is then used without more ado"}
	a, _ := foreign(c.Arch)
	if o.Interpreter != "" {
		e.Remedy = fmt.Sprintf("%s could, but before Linux 6.7 root has to register it with the kernel: run systemctl restart systemd-binfmt, or update-binfmts --enable", o.Interpreter)
	} else if _, err := a.interpreter(); err != nil {
		e.Remedy = err.Error() + "; " + e.Remedy
	}
	return e
}

// handlers keeps the mount by which programs of another architecture run, for
// as long as this process is there.
var handlers = -1

// interpret gives the user namespace binfmt handlers of its own: none, so that
// none of the host's has a part in what scripts do, or the one for the
// architecture of the root. Where the kernel has but one set of them for all, or
// no qemu-user is here, those of the host count.
func interpret(o order) error {
	a, isForeign := foreign(o.Arch)
	if isForeign && o.Interpreter == "" || !isForeign && !hasHandlers() {
		return nil
	}
	mount, err := newMount("binfmt_misc", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return nil // before Linux 6.7
	}
	handlers = mount
	if !isForeign {
		return nil
	}
	fd, err := unix.Openat(mount, "register", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("register %s: %w", o.Interpreter, err)
	}
	_, err = unix.Write(fd, []byte(a.handler(o.Interpreter)))
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("register %s: %w", o.Interpreter, err)
	}
	return nil
}

// hasHandlers reports whether the kernel has binfmt handlers, without having
// it load them.
func hasHandlers() bool {
	data, err := os.ReadFile("/proc/filesystems")
	return err == nil && strings.Contains(string(data), "\tbinfmt_misc\n")
}
