// Command agent is the first process of the machines that package vmtest
// starts. It loads the modules that the initramfs has, does what the kernel's
// command line asks for, and turns the machine off:
//
//	vmtest.ask=QUESTION                ask at the console, and tell the line that is typed
//	vmtest.report                      tell the release, the command line and the files of /report
//	vmtest.read=TYPE,DEVICE,OPTIONS    mount a file system and write its manifest to the disk vdb
package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/imagebuild/dir"
	"github.com/samebits/samebits/imagebuild/tree"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "agent: to be run as the first process of a virtual machine")
		os.Exit(2)
	}
	if err := work(); err != nil {
		fmt.Println("VMTEST FAILED", err)
	} else {
		fmt.Println("VMTEST DONE")
	}
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		fmt.Println("VMTEST FAILED", err)
	}
}

func work() error {
	for _, m := range [][2]string{{"proc", "/proc"}, {"devtmpfs", "/dev"}, {"sysfs", "/sys"}} {
		if err := unix.Mount(m[0], m[1], m[0], 0, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m[1], err)
		}
	}
	if err := loadModules(); err != nil {
		return err
	}
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	for _, word := range strings.Fields(string(line)) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "vmtest.ask":
			err = ask(value)
		case "vmtest.report":
			err = report(line)
		case "vmtest.read":
			err = read(value)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

// loadModules loads them in the order of their names.
func loadModules() error {
	names, err := filepath.Glob("/modules/*.ko")
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && err != unix.EEXIST {
			return fmt.Errorf("loading %s: %w", name, err)
		}
		f.Close()
	}
	return nil
}

func ask(question string) error {
	fmt.Println("VMTEST ASKS", question)
	answer, err := typed.ReadString('\n')
	fmt.Printf("VMTEST TOLD %q\n", strings.TrimRight(answer, "\r\n"))
	return err
}

// typed is what is typed at the console.
var typed = bufio.NewReader(os.Stdin)

func report(line []byte) error {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	fmt.Printf("VMTEST RELEASE %s\nVMTEST CMDLINE %s\n", bytes.TrimSpace(release), bytes.TrimSpace(line))
	files, err := os.ReadDir("/report")
	if os.IsNotExist(err) {
		return nil
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join("/report", f.Name()))
		if err != nil {
			return err
		}
		fmt.Printf("VMTEST FILE %s %q\n", f.Name(), content)
	}
	return err
}

func read(what string) error {
	kind, rest, _ := strings.Cut(what, ",")
	device, options, _ := strings.Cut(rest, ",")
	if err := os.Mkdir("/mounted", 0o755); err != nil {
		return err
	}
	if err := unix.Mount(device, "/mounted", kind, unix.MS_RDONLY, options); err != nil {
		return fmt.Errorf("mounting: %w", err)
	}
	t, err := dir.Read(context.Background(), "/mounted", dir.ReadOptions{})
	if err != nil {
		return err
	}
	f, err := os.OpenFile("/dev/vdb", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := tree.WriteManifest(f, t); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}
