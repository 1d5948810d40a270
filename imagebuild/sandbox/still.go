package sandbox

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// flushing are the system calls that wait for a disk. What is built is not kept
// over a crash, so they have nothing to wait for; sync(2) would wait for all
// that the host has to write.
var flushing = []uint32{unix.SYS_SYNC, unix.SYS_SYNCFS, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_MSYNC}

// auditArchs are the kernel's numbers of architectures, for system calls are
// counted otherwise on each.
var auditArchs = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64, "arm64": unix.AUDIT_ARCH_AARCH64, "riscv64": unix.AUDIT_ARCH_RISCV64,
	"ppc64le": unix.AUDIT_ARCH_PPC64LE, "s390x": unix.AUDIT_ARCH_S390X, "loong64": unix.AUDIT_ARCH_LOONGARCH64,
	"arm": unix.AUDIT_ARCH_ARM, "386": unix.AUDIT_ARCH_I386,
}

// Offsets in struct seccomp_data.
const (
	seccompCall = 0
	seccompArch = 4
)

// keepStill makes the system calls that flush do nothing and succeed, for this
// thread and what it starts. Programs of another architecture than this one
// are left alone, and so is a kernel without such filters: it only saves time.
func keepStill(order) error {
	arch, ok := auditArchs[runtime.GOARCH]
	if !ok {
		return nil
	}
	filter := stillFilter(arch)
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, err := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(&program)
	if err != 0 && err != unix.EINVAL && err != unix.ENOSYS {
		return fmt.Errorf("filter system calls: %w", err)
	}
	return nil
}

// stillFilter is the program that the kernel asks about each call.
func stillFilter(arch uint32) []unix.SockFilter {
	const (
		load   = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equals = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer = unix.BPF_RET | unix.BPF_K
	)
	n := uint8(len(flushing))
	out := []unix.SockFilter{
		{Code: load, K: seccompArch},
		{Code: equals, K: arch, Jf: n + 1}, // to the answer "allow"
		{Code: load, K: seccompCall},
	}
	for i, call := range flushing {
		out = append(out, unix.SockFilter{Code: equals, K: call, Jt: n - uint8(i)})
	}
	return append(out,
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: answer, K: unix.SECCOMP_RET_ERRNO}) // with the error 0: done
}
