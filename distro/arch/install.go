package arch

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

// A job is one package of a lock together with what its file turned out to be
// and what is installed under its name.
type job struct {
	entry lockfile.Entry
	blob  string // path of the file in the cache
	// signature is the path of the detached signature that the lock has of
	// the file, "" for none.
	signature string
	*pacman.Desc
	before *pacman.Desc // nil where no package of that name is installed
}

// file is what the file is called while it is being installed.
func (j *job) file() string {
	return j.Name + "-" + j.Version + "-" + j.Arch + ".pkg.tar"
}

// Install installs the entries in one transaction of pacman, offline: that of
// the root, or this machine's where the root has none. Signatures are checked
// before by ourselves, and pacman is told not to. Nothing is removed. What was
// installed keeps its reason; of what is new, that on which nothing else in
// the lock depends counts as asked for.
//
// Once pacman has begun to change the root, the end of ctx does not stop it.
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
	before, err := s.installed(ctx)
	if err != nil {
		return err
	}
	jobs, err := readJobs(ctx, tx, before)
	if err != nil || len(jobs) == 0 {
		return err
	}
	if err := s.checkSignatures(ctx, jobs); err != nil {
		return err
	}
	if tx.DryRun {
		tellPlan(tx.Output, jobs)
	}
	if os.Geteuid() != 0 {
		if tx.DryRun {
			return nil // pacman would have to write to check
		}
		return fmt.Errorf("only root can install packages into %s; run this with sudo", s.Root)
	}
	if err := s.change(ctx, tx, jobs); err != nil || tx.DryRun {
		return err
	}
	return s.verifyState(ctx, jobs, before)
}

// readJobs reads which packages the entries are.
func readJobs(ctx context.Context, tx distro.Transaction, before []*pacman.Desc) ([]*job, error) {
	state := make(map[string]*pacman.Desc, len(before))
	for _, p := range before {
		state[p.Name] = p
	}
	signatures := map[string]lockfile.Entry{}
	for _, e := range tx.Lock.Entries {
		if isSignature(e) {
			signatures[strings.TrimSuffix(e.Path, ".sig")] = e
		}
	}
	var jobs []*job
	seen := map[string]string{}
	path := func(e lockfile.Entry) (string, error) {
		name, err := tx.Blobs.Path(ctx, e.Digest)
		if err != nil {
			return "", fmt.Errorf("%s is not in the cache: %w", e.Path, err)
		}
		return name, nil
	}
	for _, e := range tx.Entries {
		if isSignature(e) {
			continue
		}
		j := &job{entry: e}
		var err error
		if j.blob, err = path(e); err != nil {
			return nil, err
		}
		if j.Desc, err = readPackageFile(j.blob); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		if other, ok := seen[j.Name]; ok {
			return nil, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", j.Name, other, e.Path)
		}
		seen[j.Name] = e.Path
		if sig, ok := signatures[e.Path]; ok {
			if j.signature, err = path(sig); err != nil {
				return nil, err
			}
		}
		j.before = state[j.Name]
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b *job) int { return strings.Compare(a.Name, b.Name) })
	return jobs, nil
}

// tellPlan says in a line for each package what would happen to it.
func tellPlan(w io.Writer, jobs []*job) {
	for _, j := range jobs {
		if j.before == nil {
			fmt.Fprintf(w, "install %s\n", identity(j.Desc))
			continue
		}
		verb := "upgrade"
		switch c := pacman.Compare(j.Version, j.before.Version); {
		case c < 0:
			verb = "downgrade"
		case c == 0:
			verb = "reinstall"
		}
		fmt.Fprintf(w, "%s %s %s -> %s %s\n", verb, j.Name, j.before.Version, j.Version, j.Arch)
	}
}

// verifyState reads the state back. Every package must be installed at exactly
// its version, and nothing that was there may be gone.
func (s *System) verifyState(ctx context.Context, jobs []*job, before []*pacman.Desc) error {
	after, broken, err := s.readLocal(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	state := map[string]*pacman.Desc{}
	for _, p := range after {
		state[p.Name] = p
	}
	differences := slices.Clone(broken)
	for _, j := range jobs {
		switch p := state[j.Name]; {
		case p == nil:
			differences = append(differences, fmt.Sprintf("%s is not installed, the lock has %s", j.Name, j.Version))
		case identity(p) != identity(j.Desc):
			differences = append(differences, fmt.Sprintf("%s is installed as %s %s, the lock has %s %s", j.Name, p.Version, p.Arch, j.Version, j.Arch))
		}
	}
	for _, p := range before {
		if state[p.Name] == nil {
			differences = append(differences, fmt.Sprintf("%s %s was installed before and is not any more", p.Name, p.Version))
		}
	}
	if len(differences) > 0 {
		return &distro.StateError{Root: s.Root, Differences: differences}
	}
	return nil
}
