package fedora

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A runner runs the programs of a root.
type runner struct {
	chroot string   // "" for the system that we run in
	dir    string   // working directory, as seen from within
	always []string // arguments that stand before all others
	out    io.Writer
}

// environment is all that programs get to see: what a person has set must not
// decide how packages are installed. Nothing may ask.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"TERM=dumb",
	"LC_ALL=C.UTF-8",
}

// run runs a program of usr/bin to its end. The error has the last lines of what it
// printed.
func (r *runner) run(name string, args ...string) error {
	tail := &tail{}
	cmd := exec.Command("/usr/bin/"+name, slices.Concat(r.always, args)...)
	cmd.Env = environment
	cmd.Dir = r.dir
	cmd.Stdout = io.MultiWriter(r.out, tail)
	cmd.Stderr = cmd.Stdout
	// A session of its own has no terminal on which to ask, and is not
	// interrupted half way by the keyboard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: r.chroot}
	// A service that a package starts may keep the output open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s: its programs cannot run on this machine; is it of another architecture?", name)
	case len(tail.lines) == 0:
		return fmt.Errorf("%s: %w", name, err)
	}
	err = fmt.Errorf("%s failed (%w); the last it said:\n  %s\nwhen the cause is mended, the same command goes on from here", name, err, strings.Join(tail.lines, "\n  "))
	return explain(err, tail.lines)
}

// hostHasRPM reports whether this machine can install into roots that have no
// rpm of their own.
func hostHasRPM() bool {
	_, err := os.Stat("/usr/bin/rpm")
	return err == nil
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
	t.rest += string(p)
	for {
		line, rest, ok := strings.Cut(t.rest, "\n")
		if !ok {
			break
		}
		t.rest = rest
		if line = strings.TrimSpace(line); line != "" {
			t.lines = append(t.lines, line[:min(len(line), tailWidth)])
		}
		t.lines = t.lines[max(0, len(t.lines)-tailLines):]
	}
	t.rest = t.rest[max(0, len(t.rest)-tailWidth):]
	return len(p), nil
}
