package sandbox

import (
	"runtime"
	"strings"
	"testing"
)

// A device cannot be flushed, which dd finds an error where it is tried.
func TestFlushingDoesNothing(t *testing.T) {
	if a, _ := foreign(kernel()); a.goarch != "" && a.goarch != runtime.GOARCH {
		t.Skip("the programs here are of the kernel's architecture, and only calls of this one's are filtered")
	}
	root := newRoot(t)
	out, err := run(t, root, "busybox sync && busybox dd if=/bin/busybox of=/dev/null bs=1 count=1 conv=fsync && busybox grep ^Seccomp: /proc/self/status")
	if err != nil || !strings.Contains(out, "Seccomp:\t2") {
		t.Errorf("a flush was done: %v\n%s", err, out)
	}
}

// The filter's jumps lead to its two answers, for each of the calls.
func TestStillFilter(t *testing.T) {
	filter := stillFilter(auditArchs[runtime.GOARCH])
	end := len(filter)
	for i, f := range filter[3 : end-2] {
		if at := 3 + i + 1 + int(f.Jt); at != end-1 || f.Jf != 0 {
			t.Errorf("call %d leads to %d, not to %d", f.K, at, end-1)
		}
	}
	if at := 1 + 1 + int(filter[1].Jf); at != end-2 {
		t.Errorf("another architecture leads to %d, not to %d", at, end-2)
	}
}
