package vmtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild/vmtest"
)

// A machine tells what it was started with.
func TestMachineReports(t *testing.T) {
	kernel := vmtest.Kernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, vmtest.Initramfs(t, kernel, []string{"vfat"}, map[string]string{"note": "a\nb"}), 0o600); err != nil {
		t.Fatal(err)
	}
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: initrd, Cmdline: "console=ttyS0 panic=-1 quiet vmtest.report with=this"})
	for _, want := range []string{"VMTEST RELEASE " + vmtest.Release(kernel), "with=this", `VMTEST FILE note "a\nb"`, "VMTEST DONE"} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine does not say %q:\n%s", want, out)
		}
	}
}

// What goes wrong in a machine is told, and the machine ends.
func TestMachineFails(t *testing.T) {
	kernel := vmtest.Kernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, vmtest.Initramfs(t, kernel, nil, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: initrd, Cmdline: "console=ttyS0 panic=-1 quiet vmtest.read=ext4,/dev/vda,"})
	if !strings.Contains(out, "VMTEST FAILED vmtest.read=ext4,/dev/vda,: mounting: no such file") {
		t.Errorf("the machine says\n%s", out)
	}
}

// What is typed comes after what it waits for, in order, also where that is
// there already or is part of what was typed.
func TestTyped(t *testing.T) {
	kernel := vmtest.Kernel(t)
	initrd := filepath.Join(t.TempDir(), "initrd")
	if err := os.WriteFile(initrd, vmtest.Initramfs(t, kernel, nil, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	out := vmtest.Run(t, vmtest.Machine{Kernel: kernel, Initrd: initrd, Cmdline: "console=ttyS0 panic=-1 quiet vmtest.ask=first? vmtest.ask=second?",
		Typed: []vmtest.Typed{{After: "first?", Text: "second? one\n"}, {After: "VMTEST TOLD", Text: "nothing yet\n"}}})
	for _, want := range []string{`VMTEST TOLD "second? one"`, `VMTEST TOLD "nothing yet"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the machine does not say %q:\n%s", want, out)
		}
	}
}
