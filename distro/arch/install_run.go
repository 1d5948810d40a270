package arch

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A runner runs pacman on a root.
type runner struct {
	chroot string   // "" for the system that we run in
	stage  string   // of the files to install, as pacman sees it
	args   []string // before those of an operation
	out    io.Writer
}

// environment is all that pacman and the packages' scripts get to see: what a
// person has set must not decide how packages are installed.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"TERM=dumb",
	"LC_ALL=C.UTF-8",
	// Services are not started in a root that is not the running system.
	"SYSTEMD_OFFLINE=1",
}

// run runs pacman to its end. The error has the last lines of what it printed.
func (r *runner) run(operation ...string) error {
	last := &tail{}
	cmd := exec.Command("/"+program, append(append([]string{}, r.args...), operation...)...)
	cmd.Env = environment
	if r.chroot == "" {
		cmd.Env = environment[:len(environment)-1]
	}
	cmd.Dir = "/"
	cmd.Stdout = io.MultiWriter(r.out, last)
	cmd.Stderr = cmd.Stdout
	// A session of its own has no terminal on which to ask, and is not
	// interrupted half way by the keyboard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: r.chroot}
	// A daemon that a package starts may keep the output open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return errors.New("pacman: the root's programs cannot run on this machine; is it of another architecture?")
	case len(last.lines) == 0:
		return fmt.Errorf("pacman: %w", err)
	}
	return fmt.Errorf("pacman failed (%w); the last it said:\n  %s", err, strings.Join(last.lines, "\n  "))
}

// tail keeps the last lines written to it.
type tail struct {
	lines []string
	rest  string // of a line that has not ended
}

const (
	tailLines = 12
	tailWidth = 400
)

func (t *tail) Write(p []byte) (int, error) {
	lines := strings.Split(t.rest+string(p), "\n")
	for _, line := range lines[:len(lines)-1] {
		if line = strings.TrimSpace(line); line != "" {
			t.lines = append(t.lines, line[:min(len(line), tailWidth)])
		}
	}
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
	t.rest = lines[len(lines)-1]
	t.rest = t.rest[max(0, len(t.rest)-tailWidth):]
	return len(p), nil
}
