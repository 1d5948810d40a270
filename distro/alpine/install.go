package alpine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// A job is one entry of a lock together with what its file turned out to be
// and what apk has installed of that name.
type job struct {
	entry  lockfile.Entry
	blob   string // path of the file in the cache
	record apk.Record
	before *apk.Record // nil where there is none
}

// file is what the file is called while it is being installed.
func (j *job) file() string { return fileName(j.record) }

// Pending returns the entries whose packages are not installed at the locked
// version. The name of a file decides, name-version.apk. Where its blob is at
// hand, that is looked into: a file of another name may be installed, and of
// one version there may be several builds.
func (s *System) Pending(ctx context.Context, lock *lockfile.Lock, blobs distro.Blobs) ([]lockfile.Entry, error) {
	if err := s.checkLock(lock); err != nil {
		return nil, err
	}
	records, err := s.database()
	if err != nil {
		return nil, err
	}
	have := make(map[string]apk.Record, len(records))
	for _, r := range records {
		have[r.Name] = r
	}
	isPending := make([]bool, len(lock.Entries))
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for i, e := range lock.Entries {
		name, version, _, named := splitName(e.Base())
		if r, ok := have[name]; named && (!ok || r.Version != version || r.Broken != "") {
			isPending[i] = true
			continue
		}
		group.Go(func() error {
			want, err := lookInto(ctx, e, blobs)
			if errors.Is(err, fs.ErrNotExist) {
				isPending[i] = !named
				return nil
			}
			r, ok := have[want.Name]
			isPending[i] = !ok || r.Version != want.Version || r.Broken != "" || len(r.Identity) > 0 && !sameIdentity(r.Identity, want.Identity)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var pending []lockfile.Entry
	for i, e := range lock.Entries {
		if isPending[i] {
			pending = append(pending, e)
		}
	}
	return pending, nil
}

// lookInto reads which package an entry's file holds. It wraps fs.ErrNotExist
// where the file is not at hand.
func lookInto(ctx context.Context, e lockfile.Entry, blobs distro.Blobs) (apk.Record, error) {
	if blobs == nil {
		return apk.Record{}, fs.ErrNotExist
	}
	path, err := blobs.Path(ctx, e.Digest)
	if err != nil {
		return apk.Record{}, err
	}
	r, err := readPackageFile(path)
	if err != nil {
		return apk.Record{}, fmt.Errorf("%s: %w", e.Path, err)
	}
	return r, nil
}

// checkLock refuses a lock of another system. The version of the system need
// not agree: it is what one of its packages says, and changes with that. A
// root that does not say yet what it is becomes what the lock makes of it.
func (s *System) checkLock(lock *lockfile.Lock) error {
	have := s.ID()
	switch {
	case lock.System.IsZero():
		return nil
	case lock.System.Arch == have.Arch && (lock.System.Distro == have.Distro || !s.release):
		return nil
	}
	return &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: have.String()}
}

// Install installs the entries with apk: the root's own, else that which the
// lock has, else that of this machine. Packages that are needed no more go, as
// they do whenever apk changes something; what the lock has stays.
//
// etc/apk/world keeps what it has. To it come the names of those packages of
// the lock that nothing else would keep.
//
// Once apk has begun to change the root, the end of ctx does not stop it: that
// would leave the root half installed.
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
	before, err := s.database()
	if err != nil {
		return err
	}
	jobs, err := s.readJobs(ctx, tx, before)
	if err != nil {
		return err
	}
	plan, err := s.plan(tx.Lock, jobs, before)
	if err != nil {
		return err
	}
	if tx.DryRun {
		tellPlan(tx.Output, plan)
	}
	if os.Geteuid() != 0 {
		if tx.DryRun {
			return nil // apk would have to write to check
		}
		return fmt.Errorf("only root can install packages into %s; run this with sudo", s.Root)
	}
	if err := s.change(ctx, tx, plan); err != nil || tx.DryRun {
		return err
	}
	return s.verify(plan, before)
}

// readJobs reads which packages the entries are.
func (s *System) readJobs(ctx context.Context, tx distro.Transaction, before []apk.Record) ([]*job, error) {
	state := make(map[string]*apk.Record, len(before))
	for i := range before {
		state[before[i].Name] = &before[i]
	}
	var jobs []*job
	seen := map[string]string{}
	for _, e := range tx.Entries {
		blob, err := tx.Blobs.Path(ctx, e.Digest)
		if err != nil {
			return nil, fmt.Errorf("%s is not in the cache: %w", e.Path, err)
		}
		r, err := readPackageFile(blob)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		if !isName(r.Name) || !isVersion(r.Version) || len(r.Identity) == 0 {
			return nil, fmt.Errorf("%s holds the impossible package %q %q", e.Path, r.Name, r.Version)
		}
		if r.Arch != s.id.Arch && r.Arch != "noarch" {
			return nil, fmt.Errorf("%s: %w", e.Path, &distro.MismatchError{Root: s.Root, Lock: r.Arch, Have: s.id.Arch})
		}
		if other, ok := seen[r.Name]; ok {
			return nil, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", r.Name, other, e.Path)
		}
		seen[r.Name] = e.Path
		info, err := os.Stat(blob)
		if err != nil {
			return nil, err
		}
		r.Size = info.Size()
		jobs = append(jobs, &job{entry: e, blob: blob, record: r, before: state[r.Name]})
	}
	slices.SortFunc(jobs, func(a, b *job) int { return strings.Compare(a.record.Name, b.record.Name) })
	return jobs, nil
}

// tellPlan says in a line for each package what would happen to it.
func tellPlan(w io.Writer, p *plan) {
	for _, j := range p.jobs {
		r := j.record
		switch b := j.before; {
		case b == nil:
			fmt.Fprintf(w, "install %s %s\n", r.Name, r.Version)
		case b.Version == r.Version:
			fmt.Fprintf(w, "replace %s %s\n", r.Name, r.Version)
		case apk.Compare(r.Version, b.Version) < 0:
			fmt.Fprintf(w, "downgrade %s %s -> %s\n", r.Name, b.Version, r.Version)
		default:
			fmt.Fprintf(w, "upgrade %s %s -> %s\n", r.Name, b.Version, r.Version)
		}
	}
	for _, name := range p.explicit {
		fmt.Fprintf(w, "add %s to etc/apk/world\n", name)
	}
}

// verify reads the state back. Every package must be installed from exactly
// its file, and nothing that the lock has may be gone.
func (s *System) verify(p *plan, before []apk.Record) error {
	after, err := s.database()
	if err != nil {
		return err
	}
	state := make(map[string]apk.Record, len(after))
	for _, r := range after {
		state[r.Name] = r
	}
	var differences []string
	for _, j := range p.jobs {
		want := j.record
		switch r, ok := state[want.Name]; {
		case !ok:
			differences = append(differences, fmt.Sprintf("%s is not installed, the lock has %s", want.Name, want.Version))
		case r.Version != want.Version:
			differences = append(differences, fmt.Sprintf("%s is installed as %s, the lock has %s", want.Name, r.Version, want.Version))
		case len(r.Identity) > 0 && !sameIdentity(r.Identity, want.Identity):
			differences = append(differences, fmt.Sprintf("%s %s is installed from another file than the lock has", want.Name, want.Version))
		case r.Broken != "":
			differences = append(differences, fmt.Sprintf("%s %s is not installed whole (%s)", want.Name, want.Version, r.Broken))
		}
	}
	for _, r := range before {
		if _, ok := state[r.Name]; ok {
			continue
		}
		if p.locked[r.Name] {
			differences = append(differences, fmt.Sprintf("%s %s was installed before and is not any more", r.Name, r.Version))
			continue
		}
		s.events.Warning(fmt.Sprintf("apk removed %s %s from %s, which nothing needs any more", r.Name, r.Version, s.Root))
	}
	if len(differences) > 0 {
		return &distro.StateError{Root: s.Root, Differences: differences}
	}
	return nil
}
