package arch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/samebits/samebits/distro"
)

// scriptEnv is what scripts and hooks see besides the fixed environment.
var scriptEnv = []string{"SYSTEMD_OFFLINE=1", "SHLVL=1"}

// failedFile holds the exit code of what failed. So what a script does wrong
// is told from a sandbox that cannot be had, which is no matter of pacman's.
const failedFile = defaultDBPath + "/samebits-failed"

// guard runs its arguments and notes their failure.
const guard = `"$@"; c=$?; [ $c -eq 0 ] || echo $c >/` + failedFile + `; exit 0`

// script runs a function of the package's scriptlet, if it has that.
func (as *assembling) script(ctx context.Context, p *parcel, function string) error {
	if as.Run == nil || !mentions(p.script, function) {
		return nil
	}
	what := fmt.Sprintf("the %s of %s", function, p.Name)
	command := fmt.Sprintf(". /%s/install; %s %s", p.record(), function, p.Version)
	shell := as.shell()
	if shell == "" {
		as.Events.Warning(what + " does not run, as with pacman: there is no shell yet")
		return nil
	}
	return as.guarded(ctx, what, nil, shell, "-c", command)
}

// mentions reports whether a script has a word outside of comments, which is
// how pacman finds out what is in one.
func mentions(script, word string) bool {
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(line, "#")
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}

// shell is the shell for scripts, or empty where there is none, or not all that
// it depends on.
func (as *assembling) shell() string {
	for _, name := range []string{"usr/bin/bash", "bin/bash", "usr/bin/sh", "bin/sh"} {
		if !as.isThere(name) {
			continue
		}
		if q := as.owners[name]; !as.shellReady && q != nil && !as.isComplete(q) {
			return ""
		}
		as.shellReady = true
		return "/" + name
	}
	return ""
}

// isThere reports whether a regular file is at a path of the root.
func (as *assembling) isThere(name string) bool {
	r, err := as.Root.Read(name)
	if err != nil {
		return false
	}
	r.Close()
	return true
}

// isComplete reports whether all that p depends on is unpacked; p itself need
// not be configured.
func (as *assembling) isComplete(p *parcel) bool {
	done := map[string]bool{}
	for _, q := range as.parcels {
		done[q.Name] = q.installed
	}
	done[p.Name] = true
	g := as.graph()
	g.take(&p.Desc)
	g.close()
	for q := range g.taken {
		if !done[q.Name] {
			return false
		}
	}
	return true
}

// guarded runs a command in the root. That it fails is a warning.
func (as *assembling) guarded(ctx context.Context, what string, stdin io.Reader, args ...string) error {
	step := distro.Step{Args: append([]string{as.shell(), "-c", guard, "samebits"}, args...), Env: scriptEnv, Stdin: stdin}
	if err := as.Run(ctx, step); err != nil {
		return fmt.Errorf("run %s: %w", what, err)
	}
	as.forget()
	r, err := as.Root.Read(failedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	code, err := io.ReadAll(io.LimitReader(r, 16))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	as.Events.Warning(fmt.Sprintf("%s failed with exit code %s; pacman goes on, and so does this", what, strings.TrimSpace(string(code))))
	return as.Root.Remove(failedFile)
}

// forget drops what a script may have changed.
func (as *assembling) forget() {
	as.dirs = map[string]uint32{}
	as.users.known, as.groups.known = nil, nil
}

// ldconfig makes the cache of libraries, as pacman does where there is a
// configuration for it.
func (as *assembling) ldconfig(ctx context.Context) error {
	if as.Run == nil || !as.isThere("etc/ld.so.conf") || !as.isThere("sbin/ldconfig") || as.shell() == "" {
		return nil
	}
	return as.guarded(ctx, "ldconfig", nil, "/sbin/ldconfig")
}
