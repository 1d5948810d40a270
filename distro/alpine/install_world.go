package alpine

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/distro/rootfs/chroot"
	"github.com/samebits/samebits/lockfile"
)

const worldFile = "etc/apk/world"

// A plan is what an installation is to do.
type plan struct {
	jobs []*job
	// world is what etc/apk/world had before, word by word.
	world []string
	// explicit are the names that come to it.
	explicit []string
	// asked is what apk is asked for: each package at exactly its version,
	// and the explicit names that are installed already. apk writes all of it
	// into world, from where it is taken again.
	asked []string
	// locked are the names of all packages of the lock.
	locked map[string]bool
}

// readWorld reads what a person has asked to be installed.
func (s *System) readWorld() ([]string, error) {
	data, err := s.Files.ReadFile(worldFile, maxSmall)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.Fields(string(data)), nil
}

// plan works out what apk must be asked for, and refuses what world forbids.
func (s *System) plan(lock *lockfile.Lock, jobs []*job, before []apk.Record) (*plan, error) {
	world, err := s.readWorld()
	if err != nil {
		return nil, err
	}
	p := &plan{jobs: jobs, world: world, locked: map[string]bool{}}
	if err := checkWorld(s.Files.Join(worldFile), world, jobs); err != nil {
		return nil, err
	}
	after := make([]apk.Record, 0, len(before)+len(jobs))
	changed := make(map[string]bool, len(jobs))
	for _, j := range jobs {
		changed[j.record.Name] = true
		p.locked[j.record.Name] = true
		after = append(after, j.record)
	}
	for _, e := range lock.Entries {
		if name, _, _, ok := splitName(e.Base()); ok {
			p.locked[name] = true
		}
	}
	for _, r := range before {
		if !changed[r.Name] {
			after = append(after, r)
		}
	}
	g := newGraph(after)
	var wanted []int
	for name := range p.locked {
		if i, ok := g.byName[name]; ok {
			wanted = append(wanted, i)
		}
	}
	slices.Sort(wanted)
	for _, j := range jobs {
		p.asked = append(p.asked, request(j))
	}
	for _, i := range g.explicit(world, wanted) {
		name := after[i].Name
		p.explicit = append(p.explicit, name)
		if !changed[name] {
			p.asked = append(p.asked, name)
		}
	}
	return p, nil
}

// request is how apk is asked for exactly one package. Where that version is
// installed from another file, only the identity tells the two apart.
func request(j *job) string {
	if j.before != nil && j.before.Version == j.record.Version {
		return j.record.Name + "><" + checksum(j.record)
	}
	return j.record.Name + "=" + j.record.Version
}

// checksum spells an identity as apk does.
func checksum(r apk.Record) string {
	kind := "Q1"
	if len(r.Identity) == 32 {
		kind = "Q2"
	}
	return kind + base64.StdEncoding.EncodeToString(r.Identity)
}

// checkWorld refuses packages that world keeps out: they would only stay until
// apk is called the next time.
func checkWorld(name string, world []string, jobs []*job) error {
	var errs []error
	for _, text := range world {
		d, err := apk.ParseDependency(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, j := range jobs {
			if d.Name == j.record.Name && d.Matches(j.record) == d.Conflict {
				errs = append(errs, fmt.Errorf("%s says %q, and the lock has %s %s; take that out of it first", name, text, d.Name, j.record.Version))
			}
		}
	}
	return errors.Join(errs...)
}

// mendWorld returns what world should have: what it has now, but in place of
// what apk was asked for what it had of that name before, or the bare name of
// what is explicit.
func (p *plan) mendWorld(now []string) []string {
	before := map[string]string{}
	for _, text := range p.world {
		if d, err := apk.ParseDependency(text); err == nil {
			before[d.Name] = text
		}
	}
	var out []string
	for _, text := range now {
		d, err := apk.ParseDependency(text)
		switch {
		case err != nil || !slices.Contains(p.asked, text):
			out = append(out, text)
		case before[d.Name] != "":
			out = append(out, before[d.Name])
		case slices.Contains(p.explicit, d.Name):
			out = append(out, d.Name)
		}
	}
	if !slices.IsSorted(p.world) {
		return inOrderOf(p.world, out)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// inOrderOf puts first what a person has put in an order, and in that order.
func inOrderOf(order, list []string) []string {
	var out []string
	for _, text := range order {
		if slices.Contains(list, text) && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	for _, text := range list {
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

// restoreWorld writes world as it should be after apk has changed it.
func (s *System) restoreWorld(p *plan) error {
	now, err := s.readWorld()
	if err != nil {
		return err
	}
	want := p.mendWorld(now)
	if slices.Equal(now, want) {
		return nil
	}
	dir, err := chroot.Within(s.Root, filepath.Dir(worldFile))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, filepath.Base(worldFile))
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	fresh := path + ".samebits"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text := strings.Join(want, "\n")
	if text != "" {
		text += "\n"
	}
	if err := writeFile(fresh, []byte(text), info.Mode().Perm()); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
