package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

// Assemble implements [distro.Assembler]. The way is that of a bootstrap: what
// is essential is unpacked whole, then configured; the rest follows in rounds,
// each package's preinst before its files, and what it pre-depends on
// configured before that.
func (Distro) Assemble(ctx context.Context, a distro.Assembly) error {
	parcels, err := openParcels(ctx, a)
	if err != nil {
		return err
	}
	defer func() {
		for _, p := range parcels {
			p.file.Close()
		}
	}()
	as := &assembling{Assembly: a, database: newDatabase(), owners: map[string]*parcel{}, dirs: map[string]bool{"": true}, moved: map[string]string{}}
	if err := as.begin(parcels); err != nil {
		return err
	}
	base, rest, err := split(parcels)
	if err != nil {
		return err
	}
	rounds, err := roundsOf(rest)
	if err != nil {
		return err
	}
	// The directories' attributes are those of the first that has them.
	slices.SortStableFunc(base, func(a, b *parcel) int {
		return cmp.Compare(btoi(a.Package != "base-files"), btoi(b.Package != "base-files"))
	})
	turns := slices.Clone(base)
	for _, r := range rounds {
		turns = append(turns, r.unpack...)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	as.streams = readAhead(ctx, turns, as.Parallel, as.Unpacked)
	if err := as.bootstrap(ctx, base); err != nil {
		return err
	}
	if err := as.remaining(ctx, rounds); err != nil {
		return err
	}
	if err := as.flush(ctx); err != nil {
		return err
	}
	return as.end(ctx)
}

// An assembling is one run of Assemble.
type assembling struct {
	distro.Assembly
	database *database
	owners   map[string]*parcel // of every path but directories, by where it really is
	dirs     map[string]bool    // that are there, by where they really are
	moved    map[string]string  // merged directories: "bin" is "usr/bin"
	people   people
	streams  map[*parcel]*stream // contents, decompressed in the order of rounds
	errands  []errand            // to run before anything more is unpacked
	scripts  []string            // of packages, for the errands, by path in the root
}

// A parcel is a package that is being unpacked.
type parcel struct {
	*deb.Archive
	entry     lockfile.Entry
	file      *os.File
	replaces  []Dependency
	conffiles map[string]string // path: MD5 once it is unpacked
	list      []string          // its paths as dpkg lists them
	sums      []string          // lines of md5sums, where the package brings none
}

// key names the package among those of one root.
func (p *parcel) key() string { return p.Package + ":" + p.Architecture }

// openParcels reads the control data of all packages, in the order of their
// names: that of the lock means nothing.
func openParcels(ctx context.Context, a distro.Assembly) ([]*parcel, error) {
	parcels := make([]*parcel, len(a.Lock.Entries))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(a.Parallel, 1))
	for i, e := range a.Lock.Entries {
		group.Go(func() error {
			p, err := openParcel(gctx, a.Blobs, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			parcels[i] = p
			return nil
		})
	}
	err := group.Wait()
	parcels = slices.DeleteFunc(parcels, func(p *parcel) bool { return p == nil })
	if err == nil {
		slices.SortFunc(parcels, func(a, b *parcel) int { return cmp.Compare(a.key(), b.key()) })
		for i := 1; i < len(parcels); i++ {
			if parcels[i].key() == parcels[i-1].key() {
				err = fmt.Errorf("the lock has both %s and %s, which are versions of one package", parcels[i-1].entry.Path, parcels[i].entry.Path)
			}
		}
	}
	if err != nil {
		for _, p := range parcels {
			p.file.Close()
		}
		return nil, err
	}
	return parcels, nil
}

func openParcel(ctx context.Context, blobs distro.Blobs, e lockfile.Entry) (*parcel, error) {
	name, err := blobs.Path(ctx, e.Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p := &parcel{entry: e, file: f, conffiles: map[string]string{}}
	err = p.read()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

func (p *parcel) read() error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	if p.Archive, err = deb.Open(p.file, info.Size()); err != nil {
		return err
	}
	if p.replaces, err = ParseDependencies(p.Paragraph.Get("Replaces")); err != nil {
		return fmt.Errorf("what it replaces: %w", err)
	}
	for line := range strings.Lines(string(p.Files["conffiles"].Content)) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "/"); ok {
			p.conffiles[name] = ""
		}
	}
	return nil
}

// overwrites reports whether p says that it replaces files of q.
func (p *parcel) overwrites(q *parcel) bool {
	for _, clause := range p.replaces {
		for _, r := range clause {
			if r.Name == q.Package && r.Accepts(q.Version) {
				return true
			}
		}
	}
	return false
}

// split parts what is essential, with all that it needs, from the rest.
func split(parcels []*parcel) (base, rest []*parcel, err error) {
	o, byJob, err := orderOf(parcels)
	if err != nil {
		return nil, nil, err
	}
	essential := map[*parcel]bool{}
	var visit func(j *job)
	visit = func(j *job) {
		if essential[byJob[j]] {
			return
		}
		essential[byJob[j]] = true
		for _, d := range o.deps[j] {
			visit(d)
		}
	}
	for j, p := range byJob {
		if p.Essential {
			visit(j)
		}
	}
	for _, p := range parcels {
		if essential[p] {
			base = append(base, p)
		} else {
			rest = append(rest, p)
		}
	}
	return base, rest, nil
}

// orderOf finds out what rests on what.
func orderOf(parcels []*parcel) (*order, map[*job]*parcel, error) {
	byJob := map[*job]*parcel{}
	var jobs []*job
	for _, p := range parcels {
		j := &job{entry: p.entry, Control: p.Control}
		byJob[j] = p
		jobs = append(jobs, j)
	}
	o, err := newOrder(jobs)
	return o, byJob, err
}

// bootstrap unpacks what is essential, and has it configured before anything
// else is unpacked. No script can run before all of it is there.
func (as *assembling) bootstrap(ctx context.Context, base []*parcel) error {
	if len(base) == 0 {
		return nil
	}
	as.Events.Stepping(fmt.Sprintf("unpacking %d essential packages", len(base)))
	if err := as.unpack(ctx, base); err != nil {
		return err
	}
	if as.Run == nil {
		return nil
	}
	as.Events.Stepping("configuring the essential packages")
	if err := as.preinst(base); err != nil {
		return err
	}
	// Scripts want the user root, and only force gets dpkg to begin there.
	if slices.ContainsFunc(base, func(p *parcel) bool { return p.Package == "base-passwd" }) {
		as.dpkg("--force-depends", "--configure", "base-passwd")
	}
	as.dpkg("--configure", "-a")
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A round is packages to unpack, in the order of their names, and what to
// configure then.
type round struct {
	prepare   []*parcel // the same as unpack, dependencies first
	unpack    []*parcel
	configure []*job
}

// roundsOf orders what is not essential.
func roundsOf(rest []*parcel) ([]round, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	o, byJob, err := orderOf(rest)
	if err != nil {
		return nil, err
	}
	var rounds []round
	for _, s := range o.steps() {
		r := round{configure: s.configure}
		for _, j := range s.unpack {
			r.prepare = append(r.prepare, byJob[j])
		}
		r.unpack = slices.SortedFunc(slices.Values(r.prepare), func(a, b *parcel) int { return cmp.Compare(a.key(), b.key()) })
		rounds = append(rounds, r)
	}
	return rounds, nil
}

// remaining unpacks and configures all other packages.
func (as *assembling) remaining(ctx context.Context, rounds []round) error {
	if len(rounds) == 0 {
		return nil
	}
	number := 0
	for _, r := range rounds {
		number += len(r.unpack)
	}
	for i, r := range rounds {
		if err := as.preinst(r.prepare); err != nil {
			return err
		}
		if err := as.flush(ctx); err != nil {
			return err
		}
		if i == 0 {
			as.Events.Stepping(fmt.Sprintf("unpacking and configuring %d other packages", number))
		}
		if err := as.unpack(ctx, r.unpack); err != nil {
			return err
		}
		if len(r.configure) == 0 || i == len(rounds)-1 {
			continue
		}
		args := []string{"--configure"}
		for _, j := range r.configure {
			args = append(args, dpkgName(j))
		}
		as.dpkg(args...)
	}
	as.dpkg("--configure", "-a")
	return nil
}
