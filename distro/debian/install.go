package debian

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

// A job is one entry of a lock together with what its file turned out to be
// and what dpkg knows of that package.
type job struct {
	entry lockfile.Entry
	blob  string // path of the file in the cache
	*deb.Control
	before *Status // nil where dpkg has no package of that name and architecture
}

// key names the package among those of one root.
func (j *job) key() string { return j.Package + ":" + j.Architecture }

// file is what the file is called while it is being installed.
func (j *job) file() string {
	return j.Package + "_" + strings.ReplaceAll(j.Version, ":", "%3a") + "_" + j.Architecture + ".deb"
}

// Pending returns the entries whose packages are not installed at the locked
// version. The name of a file decides, name_version_arch.deb, with or without
// the epoch; what has another name, or replaces an installed package, is
// looked into where its blob is at hand.
func (s *System) Pending(ctx context.Context, lock *lockfile.Lock, blobs distro.Blobs) ([]lockfile.Entry, error) {
	if err := s.checkLock(lock); err != nil {
		return nil, err
	}
	all, err := s.Statuses(ctx)
	if err != nil {
		return nil, err
	}
	have := map[distro.Package]bool{}
	known := map[string]bool{}
	for _, st := range all {
		if st.Installed() {
			have[st.ID()] = true
			_, short, epoch := strings.Cut(st.Version, ":")
			if epoch {
				have[distro.Package{Name: st.Package, Version: short, Arch: st.Arch}] = true
			}
			known[st.Package+":"+st.Arch] = true
		}
	}
	var pending []lockfile.Entry
	for _, e := range lock.Entries {
		p, named := Distro{}.Describe(e.Path)
		if named && have[p] {
			continue
		}
		if blobs != nil && (!named || known[p.Name+":"+p.Arch]) {
			same, err := s.blobInstalled(ctx, e, blobs, have)
			if err != nil {
				return nil, err
			}
			if same {
				continue
			}
		}
		pending = append(pending, e)
	}
	return pending, nil
}

// blobInstalled looks into the entry's file, if it is at hand.
func (s *System) blobInstalled(ctx context.Context, e lockfile.Entry, blobs distro.Blobs, have map[distro.Package]bool) (bool, error) {
	path, err := blobs.Path(ctx, e.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c, err := deb.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("%s: %w", e.Path, err)
	}
	return have[distro.Package{Name: c.Package, Version: c.Version, Arch: c.Architecture}], nil
}

// checkLock refuses a lock of another system. One that names none is taken on
// trust: dpkg itself refuses the files of a wrong architecture.
func (s *System) checkLock(lock *lockfile.Lock) error {
	if lock.System.IsZero() || lock.System == s.ID() {
		return nil
	}
	return &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: s.ID().String()}
}

// Install installs the entries with apt where the root has it, else with dpkg
// alone. Held packages are changed and stay held; configuration files that
// were edited stay as they are; nothing is removed.
//
// Once the package manager has begun to change the root, the end of ctx does
// not stop it: that would leave the root half installed.
func (s *System) Install(ctx context.Context, tx distro.Transaction) error {
	if tx.Output == nil {
		tx.Output = io.Discard
	}
	if err := s.checkLock(tx.Lock); err != nil {
		return err
	}
	if len(tx.Entries) == 0 {
		return nil
	}
	before, err := s.Statuses(ctx)
	if err != nil {
		return err
	}
	jobs, err := readJobs(ctx, tx, before)
	if err != nil {
		return err
	}
	if tx.DryRun {
		tellPlan(tx.Output, jobs)
	}
	if os.Geteuid() != 0 {
		if tx.DryRun {
			return nil // the package manager would have to write to check
		}
		return fmt.Errorf("only root can install packages into %s; run this with sudo", s.Root)
	}
	manager, err := s.findManager()
	if err != nil {
		return err
	}
	if err := s.change(ctx, tx, manager, jobs, before); err != nil || tx.DryRun {
		return err
	}
	return s.verify(ctx, jobs, before)
}

// readJobs reads which packages the entries are.
func readJobs(ctx context.Context, tx distro.Transaction, before []Status) ([]*job, error) {
	state := map[string]*Status{}
	for i, st := range before {
		state[st.Package+":"+st.Arch] = &before[i]
	}
	var jobs []*job
	seen := map[string]string{}
	for _, e := range tx.Entries {
		blob, err := tx.Blobs.Path(ctx, e.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s is not in the cache: %w", e.Path, err)
		}
		c, err := deb.ReadFile(blob)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		j := &job{entry: e, blob: blob, Control: c}
		if other, ok := seen[j.key()]; ok {
			return nil, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", j.key(), other, e.Path)
		}
		seen[j.key()] = e.Path
		j.before = state[j.key()]
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b *job) int { return strings.Compare(a.key(), b.key()) })
	return jobs, nil
}

// tellPlan says in a line for each package what would happen to it.
func tellPlan(w io.Writer, jobs []*job) {
	for _, j := range jobs {
		switch st := j.before; {
		case st == nil || st.Absent():
			fmt.Fprintf(w, "install %s %s %s\n", j.Package, j.Version, j.Architecture)
		case st.Version == j.Version:
			fmt.Fprintf(w, "repair %s %s %s (%s)\n", j.Package, j.Version, j.Architecture, st.State)
		default:
			verb := "upgrade"
			if c, err := CompareVersions(j.Version, st.Version); err == nil && c < 0 {
				verb = "downgrade"
			}
			held := ""
			if st.Held() {
				held = " (held)"
			}
			fmt.Fprintf(w, "%s %s %s -> %s %s%s\n", verb, j.Package, st.Version, j.Version, j.Architecture, held)
		}
	}
}

// verify reads the state back. Every package must be installed at exactly its
// version, and nothing that was there may be gone.
func (s *System) verify(ctx context.Context, jobs []*job, before []Status) error {
	after, err := s.Statuses(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	state := map[string]Status{}
	names := map[string]bool{}
	for _, st := range after {
		state[st.Package+":"+st.Arch] = st
		names[st.Package] = names[st.Package] || st.Installed()
	}
	var differences []string
	for _, j := range jobs {
		switch st, ok := state[j.key()]; {
		case !ok || st.Absent():
			differences = append(differences, fmt.Sprintf("%s is not installed, the lock has %s", j.key(), j.Version))
		case st.Version != j.Version:
			differences = append(differences, fmt.Sprintf("%s is installed as %s, the lock has %s", j.key(), st.Version, j.Version))
		case !st.Installed():
			differences = append(differences, fmt.Sprintf("%s %s is only %s", j.key(), j.Version, st.State))
		}
	}
	for _, st := range before {
		if st.Installed() && !names[st.Package] {
			differences = append(differences, fmt.Sprintf("%s:%s %s was installed before and is not any more", st.Package, st.Arch, st.Version))
		}
	}
	if len(differences) > 0 {
		return &distro.StateError{Root: s.Root, Differences: differences}
	}
	return nil
}
