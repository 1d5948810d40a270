package alpine

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/distro/rootfs/chroot"
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
	t, locked := unpackTool(filepath.Join(st.Path, "tool"), jobs)
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

// run runs apk to its end. The error has the last lines of what it printed.
func (t *tool) run(args []string) error {
	return chroot.Run(chroot.Program{
		Name: "apk", Command: slices.Concat(t.command, args), Chroot: t.chroot, Dir: "/", Output: t.out,
	})
}
