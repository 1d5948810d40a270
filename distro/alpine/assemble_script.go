package alpine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
)

// execDir is where apk lays scripts to run them.
const execDir = "lib/apk/exec"

// scriptEnv is the one variable that apk gives to scripts.
var scriptEnv = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}

// script runs a script of a package, if it has that.
func (as *assembling) script(ctx context.Context, p *parcel, kind string, args ...string) error {
	text, ok := p.Scripts[kind]
	if !ok || as.Run == nil {
		return nil
	}
	if err := as.surround(); err != nil {
		return err
	}
	name := execDir + "/" + p.Name + "-" + p.Version + "." + kind
	if err := as.write(name, 0o755, text); err != nil {
		return err
	}
	err := as.Run(ctx, distro.Step{Args: append([]string{"/" + name}, args...), Env: scriptEnv})
	if err != nil {
		return fmt.Errorf("run its %s: %w", kind, err)
	}
	as.users.forget()
	as.groups.forget()
	if err := as.Root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// surround makes what has to be there for a script to run: apk's directory of
// scripts, and those that the sandbox mounts something on. Of these, a package
// may come to make the one that apk does not make itself.
func (as *assembling) surround() error {
	if !as.hasExec {
		if err := as.mkdir(execDir, 0o700); err != nil {
			return err
		}
		as.hasExec = true
	}
	const sys = "sys"
	if _, err := as.Root.Stat(sys); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	as.lent[sys] = true
	return as.mkdir(sys, 0o755)
}

// takeBack removes what was made for the sandbox alone.
func (as *assembling) takeBack() error {
	for name := range as.lent {
		if names, err := as.Root.ReadDir(name); err != nil || len(names) > 0 {
			continue
		}
		if err := as.Root.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// runTriggers runs the triggers of the packages, each with the directories
// that it waits for; of a new package that is all that fit. They are sorted;
// apk has them in the order of a hash table.
func (as *assembling) runTriggers(ctx context.Context) error {
	if as.Run == nil {
		return nil
	}
	dirs := slices.Sorted(maps.Keys(as.dirs))
	for _, p := range as.parcels {
		var fired []string
		for _, d := range dirs {
			if slices.ContainsFunc(p.Triggers, func(pattern string) bool { return fits(pattern, "/"+d) }) {
				fired = append(fired, "/"+d)
			}
		}
		if len(fired) == 0 {
			continue
		}
		if err := as.script(ctx, p, "trigger", fired...); err != nil {
			return fmt.Errorf("%s: %w", p.entry.Path, err)
		}
	}
	return nil
}

// fits is fnmatch(3) for paths. Negated sets are spelled with "!" there and
// with "^" in path.Match.
func fits(pattern, name string) bool {
	if !strings.HasPrefix(pattern, "/") {
		return false
	}
	ok, err := path.Match(strings.ReplaceAll(pattern, "[!", "[^"), name)
	return ok && err == nil
}

const hooksDir = "etc/apk/commit_hooks.d"

// runHooks runs the hooks that packages have brought for the end of each
// commit. apk takes no notice of those that fail.
func (as *assembling) runHooks(ctx context.Context) {
	if as.Run == nil {
		return
	}
	names, err := as.Root.ReadDir(hooksDir)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		at := "/" + hooksDir + "/" + name
		if err := as.Run(ctx, distro.Step{Args: []string{at, "post-commit"}, Env: scriptEnv}); err != nil {
			as.Events.Warning(fmt.Sprintf("run the hook %s: %v", at, err))
		}
	}
}
