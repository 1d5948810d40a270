package chroot

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Environment is all that programs get to see of variables, besides those that
// a package manager wants: what a person has set must not decide how packages
// are installed.
var Environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"TERM=dumb",
	"LC_ALL=C.UTF-8",
}

// ErrArchitecture is the error of a program that this machine cannot run.
var ErrArchitecture = errors.New("its programs cannot run on this machine; is it of another architecture?")

// A Program is what is to run.
type Program struct {
	Name    string   // what errors call it
	Command []string // an absolute path, and its arguments
	Chroot  string   // the root that it runs in; "" for that of this system
	Dir     string   // working directory, as it sees it
	Env     []string // all of it; [Environment] where it is nil
	Stdin   io.Reader
	Output  io.Writer // gets what it prints, on both ways
}

// Run runs a program to its end. It has a session of its own, so there is no
// terminal on which to ask, and the keyboard does not interrupt it half way.
// What it left running may keep its output open; that is not waited for.
//
// The error of one that fails is a [Failure] if it has printed something. It is
// [ErrArchitecture] where it could not be run on this machine at all.
func Run(p Program) error {
	last := &tail{}
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env = p.Env
	if cmd.Env == nil {
		cmd.Env = Environment
	}
	cmd.Dir = p.Dir
	cmd.Stdin = p.Stdin
	cmd.Stdout = io.MultiWriter(p.Output, last)
	cmd.Stderr = cmd.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: p.Chroot}
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%s: %w", p.Name, ErrArchitecture)
	case len(last.lines) == 0:
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return &Failure{Name: p.Name, Last: last.lines, Err: err}
}

// A Failure is the error of a program that said why it failed, as a rule.
type Failure struct {
	Name string
	Last []string // the last lines that it printed
	Err  error
}

// Error names the program, what it said last, and how to go on.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s failed (%v); the last it said:\n  %s\nwhen the cause is mended, the same command goes on from here",
		f.Name, f.Err, strings.Join(f.Last, "\n  "))
}

// Unwrap returns why it counts as failed.
func (f *Failure) Unwrap() error { return f.Err }

// tail keeps the last lines written to it.
type tail struct {
	lines []string
	rest  string // of a line that has not ended
}

const (
	tailLines = 12
	tailWidth = 400 // bytes
)

// Write implements [io.Writer]. A long line is cut.
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
