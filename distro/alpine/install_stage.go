package alpine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// A stage is a directory within the root that is a repository of just the
// files to install, with an index of its own. The index is not signed: the
// files were held against the lock, which is what is trusted here.
type stage struct {
	path   string   // as we see it
	inside string   // as programs in the root see it
	lock   *os.File // held while the stage is in use
}

// stagePrefix begins the names of stages, which lie beside apk's database.
const stagePrefix = "samebits-install-"

// stagedPlan is the name of the file that tells what apk was asked for, so
// that a later run can mend what a killed one left in world.
const stagedPlan = "plan.json"

// A savedPlan is what is kept of a plan while apk works.
type savedPlan struct{ World, Explicit, Asked []string }

// newStage makes the directory. What a killed run left there is mended and
// removed first.
func (s *System) newStage(p *plan) (*stage, error) {
	state, err := s.stateFile()
	if err != nil {
		return nil, err
	}
	base, err := within(s.Root, filepath.Dir(state))
	if err != nil {
		return nil, err
	}
	if err := s.removeStale(base); err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(base, stagePrefix)
	if err != nil {
		return nil, err
	}
	st := &stage{path: path}
	if err := st.fill(s, p); err != nil {
		st.remove()
		return nil, err
	}
	return st, nil
}

func (st *stage) fill(s *System, p *plan) error {
	lock, err := lockDir(st.path)
	if err != nil {
		return fmt.Errorf("lock %s: %w", st.path, err)
	}
	st.lock = lock
	real, err := filepath.EvalSymlinks(s.Root)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(real, st.path)
	if err != nil {
		return err
	}
	st.inside = "/" + rel
	dir := filepath.Join(st.path, s.id.Arch)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, j := range p.jobs {
		to := filepath.Join(dir, j.file())
		if err := os.Link(j.blob, to); err != nil {
			if err := copyFile(to, j.blob); err != nil {
				return err
			}
		}
	}
	index, err := makeIndex(p.jobs, s.id.Arch)
	if err != nil {
		return err
	}
	saved, err := json.Marshal(savedPlan{p.world, p.explicit, p.asked})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "APKINDEX.tar.gz"), index, 0o644),
		os.WriteFile(filepath.Join(st.path, stagedPlan), saved, 0o644))
}

// writeRepositories writes the list of repositories for apk: the stage, as apk
// sees it, and that again under every tag that world uses, since apk refuses a
// tag of which it knows no repository.
func (st *stage) writeRepositories(seen string, world []string) error {
	lines := seen + "\n"
	for _, text := range world {
		if d, err := apk.ParseDependency(text); err == nil && d.Tag != "" {
			lines += d.Tag + " " + seen + "\n"
		}
	}
	return os.WriteFile(filepath.Join(st.path, "repositories"), []byte(lines), 0o644)
}

// remove takes the stage away.
func (st *stage) remove() {
	os.RemoveAll(st.path)
	if st.lock != nil {
		st.lock.Close()
	}
}

// removeStale removes stages that no process holds.
func (s *System) removeStale(base string) error {
	old, _ := filepath.Glob(filepath.Join(base, stagePrefix+"*"))
	for _, path := range old {
		lock, err := lockDir(path)
		if err != nil {
			continue
		}
		err = s.finish(filepath.Join(path, stagedPlan))
		if err == nil {
			err = os.RemoveAll(path)
		}
		lock.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// finish mends world after a run that was killed.
func (s *System) finish(name string) error {
	data, err := os.ReadFile(name)
	var saved savedPlan
	if err != nil || json.Unmarshal(data, &saved) != nil {
		return nil // killed before apk began
	}
	return s.restoreWorld(&plan{world: saved.World, explicit: saved.Explicit, asked: saved.Asked})
}

func lockDir(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// within returns the true path of a directory of the root. Writing below a
// path that leads out of the root would change the host.
func within(root, dir string) (string, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	path, err := filepath.EvalSymlinks(filepath.Join(real, dir))
	if err != nil {
		return "", err
	}
	if real != "/" && !strings.HasPrefix(path, real+"/") {
		return "", fmt.Errorf("/%s of %s is a link that leads out of it, to %s", dir, root, path)
	}
	return path, nil
}

func copyFile(to, from string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// makeIndex makes the index of the jobs. Packages for all architectures get
// that of the root, as in Alpine's own indexes: so what apk notes of them is
// the same as if they came from there.
func makeIndex(jobs []*job, arch string) ([]byte, error) {
	var text bytes.Buffer
	for _, j := range jobs {
		stanza(&text, j.record, arch)
	}
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	err := tw.WriteHeader(&tar.Header{Name: "APKINDEX", Mode: 0o644, Size: int64(text.Len())})
	if err == nil {
		_, err = tw.Write(text.Bytes())
	}
	if err := errors.Join(err, tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// stanza writes a record in the form of APKINDEX.
func stanza(w *bytes.Buffer, r apk.Record, arch string) {
	put := func(key byte, value string) {
		if value != "" {
			fmt.Fprintf(w, "%c:%s\n", key, strings.Map(oneLine, value))
		}
	}
	put('C', checksum(r))
	put('P', r.Name)
	put('V', r.Version)
	put('A', arch)
	put('S', fmt.Sprint(r.Size))
	put('I', fmt.Sprint(r.InstalledSize))
	put('T', r.Description)
	put('U', r.URL)
	put('L', r.License)
	put('o', r.Origin)
	put('m', r.Maintainer)
	if !r.BuildTime.IsZero() {
		put('t', fmt.Sprint(r.BuildTime.Unix()))
	}
	put('c', r.Commit)
	if r.ProviderPriority != 0 {
		put('k', fmt.Sprint(r.ProviderPriority))
	}
	put('D', strings.Join(r.Depends, " "))
	put('p', strings.Join(r.Provides, " "))
	put('i', strings.Join(r.InstallIf, " "))
	w.WriteByte('\n')
}

func oneLine(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}
