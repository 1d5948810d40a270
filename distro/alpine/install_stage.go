package alpine

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/distro/rootfs/chroot"
)

// A stage is a directory within the root that is a repository of just the
// files to install, with an index of its own. The index is not signed: the
// files were held against the lock, which is what is trusted here.
type stage struct{ *chroot.Stage }

// stagedPlan is the name of the file that tells what apk was asked for, so
// that a later run can mend what a killed one left in world.
const stagedPlan = "plan.json"

// A savedPlan is what is kept of a plan while apk works.
type savedPlan struct{ World, Explicit, Asked []string }

// newStage makes the directory beside apk's database. What a killed run left
// there is mended and removed first.
func (s *System) newStage(p *plan) (*stage, error) {
	state, err := s.stateFile()
	if err != nil {
		return nil, err
	}
	made, err := chroot.NewStage(s.Root, filepath.Dir(state), s.finish)
	if err != nil {
		return nil, err
	}
	st := &stage{made}
	if err := st.fill(s.id.Arch, p); err != nil {
		st.Remove()
		return nil, err
	}
	return st, nil
}

func (st *stage) fill(arch string, p *plan) error {
	dir := filepath.Join(st.Path, arch)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, j := range p.jobs {
		if err := st.Put(filepath.Join(arch, j.file()), j.blob); err != nil {
			return err
		}
	}
	index, err := makeIndex(p.jobs, arch)
	if err != nil {
		return err
	}
	saved, err := json.Marshal(savedPlan{p.world, p.explicit, p.asked})
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "APKINDEX.tar.gz"), index, 0o644),
		os.WriteFile(filepath.Join(st.Path, stagedPlan), saved, 0o644))
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
	return os.WriteFile(filepath.Join(st.Path, "repositories"), []byte(lines), 0o644)
}

// finish mends world after a run that was killed, by the stage that it left.
func (s *System) finish(left string) error {
	data, err := os.ReadFile(filepath.Join(left, stagedPlan))
	var saved savedPlan
	if err != nil || json.Unmarshal(data, &saved) != nil {
		return nil // killed before apk began
	}
	return s.restoreWorld(&plan{world: saved.World, explicit: saved.Explicit, asked: saved.Asked})
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
