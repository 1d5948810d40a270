package fedora

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/distro/fedora/rpmdb"
	"github.com/samebits/samebits/lockfile"
)

// A job is one entry of a lock together with what its file turned out to be.
type job struct {
	entry lockfile.Entry
	blob  string // path of the file in the cache
	*rpm.Package
}

// id names the package.
func (j *job) id() distro.Package {
	return distro.Package{Name: j.Name, Version: evr(j.NEVRA), Arch: j.Arch}
}

// evr spells a version as the database's packages have it: an epoch of 0 is
// none.
func evr(n rpm.NEVRA) string {
	if n.Epoch == 0 {
		n.Epoch = rpm.NoEpoch
	}
	return n.EVR()
}

// file is what the file is called while it is being installed.
func (j *job) file() string { return j.NEVRA.Filename() }

// Pending returns the entries whose packages are not installed at the locked
// version. The name of a file decides; it has no epoch, so what has one, and
// what has another name, is looked into where its blob is at hand.
func (s *System) Pending(ctx context.Context, lock *lockfile.Lock, blobs distro.Blobs) ([]lockfile.Entry, error) {
	if err := s.checkLock(lock); err != nil {
		return nil, err
	}
	installed, err := s.Installed(ctx)
	if err != nil {
		return nil, err
	}
	have := map[distro.Package]bool{}
	for _, p := range installed {
		have[p] = true
		if _, short, epoch := strings.Cut(p.Version, ":"); epoch {
			have[distro.Package{Name: p.Name, Version: short, Arch: p.Arch}] = true
		}
	}
	var pending []lockfile.Entry
	for _, e := range lock.Entries {
		p, named := Distro{}.Describe(e.Path)
		if named && have[p] {
			continue
		}
		if !named && blobs != nil {
			j, err := readJob(ctx, e, blobs)
			if err == nil && have[j.id()] {
				continue
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, err
			}
		}
		pending = append(pending, e)
	}
	return pending, nil
}

// checkLock refuses a lock of another system. One that names none is taken on
// trust, and so is any by a root in which nothing is installed yet.
func (s *System) checkLock(lock *lockfile.Lock) error {
	if lock.System.IsZero() || lock.System == s.ID() || s.id.Arch == "-" && slices.Contains(Distro{}.Traits().IDs, lock.System.Distro) {
		return nil
	}
	return &distro.MismatchError{Root: s.Root, Lock: lock.System.String(), Have: s.ID().String()}
}

// Install installs the entries with rpm: that of the root where it has one,
// else the host's, with --root. Configuration files that were edited are dealt
// with as the packages say. Versions of one package that the lock names side by
// side, and packages that keep their older versions, such as the kernel, are
// added; others take the place of what is there. Nothing else is removed.
//
// Once rpm has begun to change the root, the end of ctx does not stop it.
func (s *System) Install(ctx context.Context, tx distro.Transaction) error {
	if tx.Output == nil {
		tx.Output = io.Discard
	}
	if err := s.forget(); err != nil {
		return err
	}
	if err := s.checkLock(tx.Lock); err != nil {
		return err
	}
	if len(tx.Entries) == 0 {
		return nil
	}
	before, err := s.packages(ctx)
	if err != nil {
		return err
	}
	jobs, err := readJobs(ctx, tx)
	if err != nil {
		return err
	}
	set := s.config.arrange(jobs, tx.Lock)
	if tx.DryRun {
		tellPlan(tx.Output, set, before)
	}
	if os.Geteuid() != 0 {
		if tx.DryRun {
			return nil // rpm would have to lock its database to check
		}
		return fmt.Errorf("only root can install packages into %s; run this with sudo", s.Root)
	}
	changed := s.change(ctx, tx, set)
	if err := s.forget(); changed != nil || err != nil || tx.DryRun {
		return errors.Join(changed, err)
	}
	return s.verify(ctx, set, before)
}

func readJob(ctx context.Context, e lockfile.Entry, blobs distro.Blobs) (*job, error) {
	blob, err := blobs.Path(ctx, e.Digest)
	if err != nil {
		return nil, fmt.Errorf("%s is not in the cache: %w", e.Path, err)
	}
	f, err := os.Open(blob)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := rpm.ReadPackage(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Path, err)
	}
	return &job{entry: e, blob: blob, Package: p}, nil
}

// readJobs reads which packages the entries are.
func readJobs(ctx context.Context, tx distro.Transaction) ([]*job, error) {
	var jobs []*job
	seen := map[distro.Package]string{}
	for _, e := range tx.Entries {
		j, err := readJob(ctx, e, tx.Blobs)
		if err != nil {
			return nil, err
		}
		if j.Arch == "src" {
			return nil, fmt.Errorf("%s is a source package, which cannot be installed", e.Path)
		}
		if other, ok := seen[j.id()]; ok {
			return nil, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", j.id(), other, e.Path)
		}
		seen[j.id()] = e.Path
		jobs = append(jobs, j)
	}
	slices.SortFunc(jobs, func(a, b *job) int { return a.id().Compare(b.id()) })
	return jobs, nil
}

// A jobSet is what to install, by how.
type jobSet struct {
	replace []*job // in the place of other versions
	add     []*job // beside them
}

func (s jobSet) all() []*job { return slices.Concat(s.replace, s.add) }

// arrange tells what replaces from what is added: the packages that the
// configuration says may be there several times, and those that the lock has
// several times.
func (c *config) arrange(jobs []*job, lock *lockfile.Lock) jobSet {
	versions := map[string]int{}
	for _, e := range lock.Entries {
		if p, ok := (Distro{}).Describe(e.Path); ok {
			versions[p.Name+"."+p.Arch]++
		}
	}
	var set jobSet
	for _, j := range jobs {
		only := versions[j.Name+"."+j.Arch] > 1 || slices.Contains(c.installOnly, j.Name) ||
			slices.ContainsFunc(j.Provides, func(d rpm.Dependency) bool { return slices.Contains(c.installOnly, d.Name) })
		if only {
			set.add = append(set.add, j)
		} else {
			set.replace = append(set.replace, j)
		}
	}
	return set
}

// tellPlan says in a line for each package what would happen to it.
func tellPlan(w io.Writer, set jobSet, before []*rpmdb.Package) {
	for _, j := range set.add {
		fmt.Fprintf(w, "install %s\n", j.id())
	}
	for _, j := range set.replace {
		var old []*rpmdb.Package
		for _, p := range before {
			if p.Name == j.Name && p.Arch == j.Arch {
				old = append(old, p)
			}
		}
		if len(old) == 0 {
			fmt.Fprintf(w, "install %s\n", j.id())
			continue
		}
		have := newest(old).EVR()
		verb := "upgrade"
		switch c := rpm.CompareEVR(evr(j.NEVRA), have); {
		case c < 0:
			verb = "downgrade"
		case c == 0:
			verb = "reinstall"
		}
		fmt.Fprintf(w, "%s %s %s -> %s %s\n", verb, j.Name, have, evr(j.NEVRA), j.Arch)
	}
}

// verify reads the state back. Every package must be installed at exactly its
// version, with the header of its file; those that replace must be alone; and
// nothing that was there may be gone.
func (s *System) verify(ctx context.Context, set jobSet, before []*rpmdb.Package) error {
	after, err := s.packages(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	have := map[string][]*rpmdb.Package{}
	for _, p := range after {
		have[p.Name] = append(have[p.Name], p)
	}
	var differences []string
	differ := func(format string, args ...any) {
		differences = append(differences, fmt.Sprintf(format, args...))
	}
	check := func(j *job, alone bool) {
		found := false
		for _, p := range have[j.Name] {
			switch {
			case id(p) == j.id():
				found = true
				if !sameHeader(p, j.Package) {
					differ("%s is installed from another file than the lock's", j.id())
				}
			case alone && p.Arch == j.Arch:
				differ("%s is installed as %s, the lock has %s", j.Name+"."+j.Arch, p.EVR(), evr(j.NEVRA))
			}
		}
		if !found {
			differ("%s is not installed", j.id())
		}
	}
	for _, j := range set.replace {
		check(j, true)
	}
	for _, j := range set.add {
		check(j, false)
	}
	for _, p := range before {
		if len(have[p.Name]) == 0 && !set.obsoletes(p) {
			differ("%s was installed before and is not any more", id(p))
		}
	}
	if len(differences) > 0 {
		return &distro.StateError{Root: s.Root, Differences: differences}
	}
	return nil
}

// obsoletes reports whether a package of the set says that it takes the place
// of p, which rpm then removes.
func (s jobSet) obsoletes(p *rpmdb.Package) bool {
	itself := rpm.Dependency{Name: p.Name, Flags: rpm.Equal, EVR: p.EVR()}
	return slices.ContainsFunc(s.all(), func(j *job) bool {
		return slices.ContainsFunc(j.Obsoletes, func(d rpm.Dependency) bool { return d.Meets(itself) })
	})
}

// sameHeader reports whether an installed package came from a file with this
// header, as far as that can be told.
func sameHeader(p *rpmdb.Package, file *rpm.Package) bool {
	d, ok, err := p.HeaderDigest()
	return err == nil && (!ok || fmt.Sprintf("%x", d) == file.HeaderSHA256)
}
