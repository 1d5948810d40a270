package alpine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// A tool is an apk that can be run.
type tool struct {
	command []string // the program and what it must be told first
	chroot  string   // the root that it runs in; "" for that of this system
	version string   // its own, such as "2.14.0"
	out     io.Writer
}

// findTool chooses the apk to install with: the root's own; else that which
// the lock has, unpacked beside the files to install, so that the same apk
// installs the lock everywhere; else that of this machine.
func (s *System) findTool(st *stage, jobs []*job) (*tool, error) {
	for _, name := range []string{"sbin/apk", "usr/sbin/apk", "usr/bin/apk", "bin/apk"} {
		if _, err := s.Files.Stat(name); err != nil {
			continue
		}
		t := &tool{command: []string{"/" + name}}
		if s.Root != "/" {
			t.chroot = s.Root
		}
		if err := t.probe(); err != nil {
			return nil, fmt.Errorf("apk of %s does not run: %w", s.Root, err)
		}
		return t, nil
	}
	t, locked := unpackTool(filepath.Join(st.path, "tool"), jobs)
	if locked == nil {
		return t, nil
	}
	path, err := exec.LookPath("apk")
	if err == nil {
		t = &tool{command: []string{path}}
		err = t.probe()
	}
	if err != nil {
		return nil, fmt.Errorf("%s has no apk to install with, that of the lock cannot be used (%w), and this machine has none (%w)", s.Root, locked, err)
	}
	return t, nil
}

var toolVersion = regexp.MustCompile(`^apk-tools ([0-9][0-9A-Za-z._]*)`)

// probe finds out the version, and whether it runs here at all.
func (t *tool) probe() error {
	var out bytes.Buffer
	quiet := *t
	quiet.out = &out
	if err := quiet.run([]string{"--version"}); err != nil {
		return err
	}
	m := toolVersion.FindStringSubmatch(out.String())
	if m == nil {
		return fmt.Errorf("%s says %.80q in place of its version", strings.Join(t.command, " "), out.String())
	}
	t.version = m[1]
	return nil
}

func (t *tool) atLeast(version string) bool { return apk.Compare(t.version, version) >= 0 }

// environment is all that programs get to see: what a person has set must not
// decide how packages are installed.
var environment = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"HOME=/root",
	"TERM=dumb",
	"LC_ALL=C.UTF-8",
}

// run runs apk to its end. The error has the last lines of what it printed.
func (t *tool) run(args []string) error {
	tail := &tail{}
	cmd := exec.Command(t.command[0], append(t.command[1:len(t.command):len(t.command)], args...)...)
	cmd.Env = environment
	cmd.Dir = "/"
	cmd.Stdout = io.MultiWriter(t.out, tail)
	cmd.Stderr = cmd.Stdout
	// A session of its own has no terminal on which to ask, and is not
	// interrupted half way by the keyboard.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: t.chroot}
	// A service that a package starts may keep the output open.
	cmd.WaitDelay = 2 * time.Second
	err := cmd.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case errors.Is(err, syscall.ENOEXEC):
		return errors.New("programs of its architecture cannot run on this machine")
	case len(tail.lines) == 0:
		return fmt.Errorf("apk: %w", err)
	}
	return fmt.Errorf("apk failed (%w); the last it said:\n  %s\nwhen the cause is mended, the same command goes on from here", err, strings.Join(tail.lines, "\n  "))
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

// Write implements [io.Writer].
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
