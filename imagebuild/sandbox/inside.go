package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Names by which the program is started again.
const (
	insideName = "samebits-sandbox"
	enterName  = "samebits-enter"
)

// The files that the process inside is started with, besides the usual three.
const (
	ordersFile  = 3
	answersFile = 4
)

// Init does the work of the processes that this package starts, and does not
// return in them. In all others it does nothing.
func Init() {
	if len(os.Args) == 0 {
		return
	}
	switch os.Args[0] {
	case insideName:
		runtime.LockOSThread() // capabilities are a thread's
		r := inside()
		_ = json.NewEncoder(os.NewFile(answersFile, "answers")).Encode(r)
		os.Exit(0)
	case enterName:
		entered()
	}
}

// inside is what the first process of the namespaces does.
func inside() report {
	unix.CloseOnExec(ordersFile)
	unix.CloseOnExec(answersFile)
	data, err := io.ReadAll(os.NewFile(ordersFile, "orders"))
	if err != nil {
		return report{Failed: err.Error()}
	}
	var o order
	if err := json.Unmarshal(data, &o); err != nil {
		return report{Failed: err.Error()}
	}
	for _, step := range []func(order) error{name, interpret, enterRoot, surround, bound, confine, keepStill} {
		if err := step(o); err != nil {
			return report{Failed: err.Error()}
		}
	}
	return command(o)
}

func name(o order) error {
	if err := unix.Sethostname([]byte(o.Hostname)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	return unix.Setdomainname([]byte("(none)"))
}

// bound limits what the command may use, and fixes what it could count.
func bound(order) error {
	unix.Umask(0o022)
	for _, l := range []struct {
		what      int
		soft, top uint64
	}{
		{unix.RLIMIT_CORE, 0, 0},
		{unix.RLIMIT_NOFILE, 1024, 4096},
		{unix.RLIMIT_STACK, 8 << 20, 8 << 20},
	} {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.soft, Max: l.top}); err != nil {
			return fmt.Errorf("set a limit: %w", err)
		}
	}
	// Scripts that ask how many CPUs there are see one.
	var have, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &have); err != nil {
		return err
	}
	for i := range len(have) * 64 {
		if have.IsSet(i) {
			one.Set(i)
			break
		}
	}
	return unix.SchedSetaffinity(0, &one)
}

// keptCapabilities are those that scripts need: to own, to change users, to
// chroot. None of them reaches beyond the namespaces.
var keptCapabilities = map[int]bool{
	unix.CAP_CHOWN: true, unix.CAP_DAC_OVERRIDE: true, unix.CAP_DAC_READ_SEARCH: true,
	unix.CAP_FOWNER: true, unix.CAP_FSETID: true, unix.CAP_KILL: true, unix.CAP_SETGID: true,
	unix.CAP_SETUID: true, unix.CAP_SETPCAP: true, unix.CAP_SYS_CHROOT: true,
	unix.CAP_SETFCAP: true, unix.CAP_AUDIT_WRITE: true,
}

// confine gives up what the command may not have, for this thread and what it
// starts.
func confine(order) error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if keptCapabilities[c] {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("give up a capability: %w", err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// command runs the command and all that it leaves behind to the end.
func command(o order) report {
	before := free()
	if o.Bytes <= 0 {
		o.Bytes = min(before/2, maxBytes)
	}
	if err := standAside(); err != nil {
		return report{Failed: err.Error()}
	}
	process, err := os.StartProcess(o.Args[0], o.Args, &os.ProcAttr{
		Dir: "/" + strings.TrimPrefix(o.Dir, "/"), Env: o.Env,
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   &syscall.SysProcAttr{Setsid: true, Chroot: "."},
	})
	if _, isForeign := foreign(o.Arch); isForeign && handlers < 0 && errors.Is(err, unix.ENOEXEC) {
		return report{NoExec: true}
	}
	if err != nil {
		return report{Failed: err.Error()}
	}
	over := make(chan string, 1)
	go watch(o, before, over)
	ended := make(chan int, 1)
	go func() { ended <- reap(process.Pid) }()
	select {
	case limit := <-over:
		return report{Limit: limit}
	case code := <-ended:
		return report{Code: code}
	}
}

// standAside gives this process an empty root of its own. The one that was its
// root is from now on the directory that it is in, and the command's root. By
// that, ischroot(1) knows that there is no system to restart: scripts then do as
// they do in a bootstrap by chroot, and libc6's does not wait for an init.
func standAside() error {
	root, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	empty, err := newMount("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return fmt.Errorf("make an empty root: %w", err)
	}
	defer unix.Close(empty)
	for _, step := range []func() error{
		func() error { return unix.Fchdir(empty) }, func() error { return unix.Chroot(".") }, func() error { return unix.Fchdir(root) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("stand aside: %w", err)
		}
	}
	return nil
}

// reap waits for the command, and for what else became this process's child.
func reap(pid int) int {
	for {
		var status unix.WaitStatus
		got, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 255
		case got == pid && status.Signaled():
			return 128 + int(status.Signal())
		case got == pid && status.Exited():
			return status.ExitStatus()
		}
	}
}

// maxBytes is the most that a command may write where nothing else is said.
const maxBytes = 64 << 30

// watch looks after the limits that the kernel does not keep.
func watch(o order, before int64, over chan<- string) {
	for range time.Tick(50 * time.Millisecond) {
		if before-free() > o.Bytes {
			over <- fmt.Sprintf("%d bytes on the disk", o.Bytes)
			return
		}
		if processes() > o.Processes {
			over <- fmt.Sprintf("%d processes", o.Processes)
			return
		}
	}
}

// free is how many bytes the file system of the command's root has left.
func free() int64 {
	var s unix.Statfs_t
	if unix.Statfs(".", &s) != nil {
		return 0
	}
	return int64(s.Bavail) * int64(s.Bsize)
}

// processes counts those of the namespace.
func processes() int {
	entries, err := os.ReadDir("proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err == nil {
			n++
		}
	}
	return n
}
