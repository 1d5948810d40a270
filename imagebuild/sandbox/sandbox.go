package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Command is what to run, and in which surroundings.
type Command struct {
	// Root is the directory that becomes "/". It has directories dev, proc,
	// sys and tmp.
	Root string
	// Args are the program, by a path within the root, and its arguments.
	Args []string
	// Env is the whole environment.
	Env []string
	// Dir is the working directory within the root; empty for "/".
	Dir string
	// Hostname is what the system calls itself.
	Hostname string
	// Arch is the architecture of the root's programs, as a distribution calls
	// it; empty or unknown for this machine's. Those of another run by this
	// machine's qemu-user.
	Arch string
	// Stdin is read by the command; nil for nothing to read.
	Stdin io.Reader
	// Output receives what the command prints on both streams.
	Output io.Writer
	Limits Limits
}

// Limits bound what a command may use.
type Limits struct {
	// Time that it may take; 0 for an hour.
	Time time.Duration
	// Processes that may exist at once; 0 for 1000.
	Processes int
	// Bytes that the file system of the root may lose meanwhile; 0 for half of
	// what it has free, at most 64 GiB, so that the host goes on.
	Bytes int64
}

func (l Limits) withDefaults() Limits {
	if l.Time <= 0 {
		l.Time = time.Hour
	}
	if l.Processes <= 0 {
		l.Processes = 1000
	}
	return l
}

// An ExitError says that the command itself failed.
type ExitError struct {
	Args []string
	Code int // 128 and the number where a signal ended it
}

// Error names the command and its exit code.
func (e *ExitError) Error() string {
	if e.Code > 128 {
		return fmt.Sprintf("%s was ended by signal %d (%s)", e.Args[0], e.Code-128, unix.SignalName(syscall.Signal(e.Code-128)))
	}
	return fmt.Sprintf("%s ended with exit code %d", e.Args[0], e.Code)
}

// A LimitError says that the command wanted more than it may use.
type LimitError struct {
	Args  []string
	Limit string // such as "1000 processes"
}

// Error names the command and the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%s was ended, since it used more than %s", e.Args[0], e.Limit)
}

// order is what the process inside is told.
type order struct {
	Root, Dir, Hostname string
	Args, Env           []string
	Processes           int
	Bytes               int64
	Arch, Interpreter   string // and the program that runs those of Arch
}

// report is what the process inside answers.
type report struct {
	Failed string `json:",omitempty"` // why the command could not be run at all
	Limit  string `json:",omitempty"` // which limit it met
	NoExec bool   `json:",omitempty"` // nothing here runs programs of that architecture
	Code   int
}

// Run runs the command and waits for it. Its error is an [*ExitError] or a
// [*LimitError] where the command ran, and an [*ArchError] where it cannot.
func Run(ctx context.Context, c Command) error {
	limits := c.Limits.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, limits.Time)
	defer cancel()
	o := order{Root: c.Root, Dir: c.Dir, Hostname: c.Hostname, Args: c.Args, Env: c.Env, Processes: limits.Processes, Bytes: limits.Bytes, Arch: c.Arch}
	if a, ok := foreign(c.Arch); ok {
		o.Interpreter, _ = a.interpreter() // that of the host may do
	}
	in, err := json.Marshal(o)
	if err != nil {
		return err
	}
	answer, err := start(ctx, c, in)
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &LimitError{c.Args, limits.Time.String()}
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	}
	var r report
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("run %s in a sandbox: it was ended from outside", c.Args[0])
	}
	switch {
	case r.NoExec:
		return cannotRun(c, o)
	case r.Failed != "":
		return fmt.Errorf("run %s in a sandbox: %s", c.Args[0], r.Failed)
	case r.Limit != "":
		return &LimitError{c.Args, r.Limit}
	case r.Code != 0:
		return &ExitError{c.Args, r.Code}
	}
	return nil
}

// start runs this program again inside new namespaces and returns what that
// answers.
func start(ctx context.Context, c Command, in []byte) ([]byte, error) {
	// The process inside dies with the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	orders, tell, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer tell.Close()
	hear, answers, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, orders.Close())
	}
	defer hear.Close()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Args = []string{insideName}
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, c.Output, c.Output
	cmd.ExtraFiles = []*os.File{orders, answers}
	cmd.WaitDelay = 10 * time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP,
		// All ids there are here, as they are.
		UidMappings:                identity("/proc/self/uid_map"),
		GidMappings:                identity("/proc/self/gid_map"),
		GidMappingsEnableSetgroups: true,
		Pdeathsig:                  syscall.SIGKILL,
		Setsid:                     true,
	}
	err = cmd.Start()
	err = errors.Join(explain(err), orders.Close(), answers.Close())
	if err != nil {
		return nil, err
	}
	_, err = tell.Write(in)
	err = errors.Join(err, tell.Close())
	answer, readErr := io.ReadAll(io.LimitReader(hear, 64<<10))
	waitErr := cmd.Wait()
	if len(answer) == 0 && waitErr != nil && err == nil {
		return nil, nil // killed: the caller knows why, or says so
	}
	return answer, errors.Join(err, readErr)
}

// identity maps the ids of this namespace to themselves.
func identity(file string) []syscall.SysProcIDMap {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return parseIdentity(string(data), math.MaxInt)
}

// parseIdentity reads a file such as /proc/self/uid_map. No number is more than
// most, the int of the machine: on 32-bit ones that takes two pieces for all
// ids, and leaves out 4294967294.
func parseIdentity(data string, most int64) []syscall.SysProcIDMap {
	var out []syscall.SysProcIDMap
	for line := range strings.Lines(data) {
		var inside, outside, size int64
		if _, err := fmt.Sscan(line, &inside, &outside, &size); err != nil {
			continue
		}
		for size > 0 && inside <= most {
			piece := min(size, most)
			out = append(out, syscall.SysProcIDMap{ContainerID: int(inside), HostID: int(inside), Size: int(piece)})
			inside, size = inside+piece, size-piece
		}
	}
	return out
}

// explain says what to switch on where namespaces are forbidden.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EACCES) {
		return fmt.Errorf("start a sandbox: %w", err)
	}
	var hints []string
	for _, knob := range []struct{ file, bad, remedy string }{
		{"/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
	} {
		if data, err := os.ReadFile(knob.file); err == nil && string(bytes.TrimSpace(data)) == knob.bad {
			hints = append(hints, knob.remedy)
		}
	}
	if inChroot() {
		hints = append(hints, "leave the chroot, in which the kernel makes none")
	}
	if len(hints) == 0 {
		hints = []string{"in a container, allow user namespaces, as with docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined"}
	}
	return fmt.Errorf("this system forbids user namespaces: %w; to allow them: %s", err, strings.Join(hints, "; "))
}

// inChroot reports whether the root is another than that of the first process,
// as far as may be known.
func inChroot() bool {
	var here, first unix.Stat_t
	if unix.Stat("/", &here) != nil || unix.Stat("/proc/1/root/.", &first) != nil {
		return false
	}
	return here.Dev != first.Dev || here.Ino != first.Ino
}
