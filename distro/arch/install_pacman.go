package arch

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// program is where pacman is, in the root and on this machine.
const program = "usr/bin/pacman"

// change has pacman install the files.
func (s *System) change(ctx context.Context, tx distro.Transaction, jobs []*job) error {
	own := s.hasOwnPacman()
	if !own {
		if _, err := os.Stat("/" + program); err != nil {
			return fmt.Errorf("neither %s nor this machine has pacman, without which nothing can be installed", s.Root)
		}
	}
	if s.empty && !tx.DryRun {
		if err := makeBase(s.Root); err != nil {
			return err
		}
	}
	stage, err := newStage(s.Root, s.dbPath, jobs)
	if err != nil {
		return err
	}
	defer stage.Remove()
	if err := os.WriteFile(filepath.Join(stage.Path, "pacman.conf"), s.transactionConfig(jobs), 0o644); err != nil {
		return err
	}
	return chroot.In(s.Root, chroot.Mounts{Run: true}, s.events.Warning, func(root string) error {
		r := s.runner(stage, own, root)
		r.out = tx.Output
		if err := ctx.Err(); err != nil {
			return err
		}
		args := []string{"-U", "--noprogressbar"}
		if tx.DryRun {
			args = append(args, "--print", "--print-format", "%n %v")
			r.out = io.Discard
		} else {
			s.events.Stepping(fmt.Sprintf("installing %s with pacman", distro.CountPackages(len(jobs))))
		}
		for _, j := range jobs {
			args = append(args, path.Join(r.stage, j.file()))
		}
		if err := r.run(args...); err != nil || tx.DryRun {
			return err
		}
		deps, err := s.needed(context.WithoutCancel(ctx), tx, jobs)
		if err != nil || len(deps) == 0 {
			return err
		}
		r.out = io.Discard
		return r.run(append([]string{"-D", "--asdeps"}, deps...)...)
	})
}

// hasOwnPacman reports whether the root has a pacman of its own.
func (s *System) hasOwnPacman() bool {
	_, err := s.Files.Stat(program)
	return err == nil
}

// needed lists the new packages that something else in the lock depends on.
func (s *System) needed(ctx context.Context, tx distro.Transaction, jobs []*job) ([]string, error) {
	all, _, err := s.readLocal(ctx)
	if err != nil {
		return nil, err
	}
	locked := map[string]bool{}
	for _, e := range tx.Lock.Entries {
		if p, ok := (Distro{}).Describe(e.Path); ok {
			locked[p.Name] = true
		}
	}
	for _, j := range jobs {
		locked[j.Name] = true
	}
	g := newGraph(all)
	need := map[string]bool{}
	for _, p := range all {
		if !locked[p.Name] {
			continue
		}
		for _, d := range p.Depends {
			for _, q := range g.satisfying(d) {
				if q != p {
					need[q.Name] = true
				}
			}
		}
	}
	var out []string
	for _, j := range jobs {
		if j.before == nil && need[j.Name] {
			out = append(out, j.Name)
		}
	}
	return out, nil
}

// keptOptions are those of the root's pacman.conf that decide what a package
// becomes on disk. They hold for us too; what is about repositories and
// signatures does not.
var keptOptions = []string{"NoExtract", "NoUpgrade", "HookDir"}

// transactionConfig makes a pacman.conf for one transaction: without any
// repository, and without signatures, which were checked before.
func (s *System) transactionConfig(jobs []*job) []byte {
	architectures := s.architectures()
	for _, j := range jobs {
		if j.Arch != "any" && s.empty && !slices.Contains(architectures, j.Arch) {
			architectures = append(architectures, j.Arch)
		}
	}
	if architectures = slices.DeleteFunc(architectures, func(a string) bool { return a == "-" }); len(architectures) == 0 {
		architectures = []string{"auto"}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[options]\nArchitecture = %s\nSigLevel = Never\nLocalFileSigLevel = Never\n", strings.Join(architectures, " "))
	for _, o := range s.options() {
		if o.key != "HookDir" {
			fmt.Fprintf(&b, "%s = %s\n", o.key, o.value)
		}
	}
	return []byte(b.String())
}

// An option is a line of the [options] section.
type option struct{ key, value string }

// options reads the kept options of the root's pacman.conf.
func (s *System) options() []option {
	data, err := s.Files.ReadFile(configFile, maxConfig)
	if err != nil {
		return nil
	}
	return keptOptionsOf(data)
}

// keptOptionsOf reads the kept options of a pacman.conf.
func keptOptionsOf(data []byte) []option {
	var out []option
	section := ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			section = strings.Trim(line, "[]")
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if ok && section == "options" && slices.Contains(keptOptions, key) {
			out = append(out, option{key, strings.TrimSpace(value)})
		}
	}
	return out
}

// hookDirs are the directories of hooks besides that of packages.
func (s *System) hookDirs() []string {
	var out []string
	for _, o := range s.options() {
		if o.key == "HookDir" {
			out = append(out, o.value)
		}
	}
	if len(out) == 0 {
		out = []string{"/etc/pacman.d/hooks/"}
	}
	return out
}

// runner makes what runs the root's pacman within it, or this machine's on it.
func (s *System) runner(stage *chroot.Stage, own bool, root string) *runner {
	prefix := s.Root
	r := &runner{stage: stage.Path}
	if own || s.Root == "/" {
		prefix = "/"
		r.chroot, r.stage = root, stage.Inside
	}
	at := func(name string) string { return filepath.Join(prefix, name) }
	r.args = []string{
		"--noconfirm", "--color", "never",
		"--config", path.Join(r.stage, "pacman.conf"),
		"--root", prefix, "--dbpath", at(s.dbPath), "--logfile", at("var/log/pacman.log"),
		"--cachedir", r.stage, "--gpgdir", path.Join(r.stage, "gnupg"),
	}
	for _, dir := range s.hookDirs() {
		r.args = append(r.args, "--hookdir", at(dir))
	}
	return r
}
