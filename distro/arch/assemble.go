package arch

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
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

var _ distro.Assembler = Distro{}

// Assemble implements [distro.Assembler]. It does what "pacman -U" of all
// packages, in the order of their names, does in an empty root that has the
// directories that pacstrap makes: the packages one after another in the order
// of pacman's own sorting, each one's pre_install, files, record in the
// database and post_install, then ldconfig and the hooks.
//
// pacman itself does not run: it would read and decompress everything a second
// time, and none is at hand before a root is there. As with pacman, a script or
// a hook that fails is a warning; so are those that come before there is a
// shell to run them. Hooks for before the transaction do not run, since an
// empty root has none. The validation on record is "sha256": that is what the
// lock has checked, for which reason the lock's signatures are passed over.
func (Distro) Assemble(ctx context.Context, a distro.Assembly) error {
	parcels, err := openParcels(ctx, a)
	if err != nil {
		return err
	}
	as := &assembling{
		Assembly: a, parcels: installOrder(parcels), owners: map[string]*parcel{},
		needed: map[string]bool{}, users: ids{file: "etc/passwd"}, groups: ids{file: "etc/group"},
	}
	as.forget()
	as.configure()
	as.findNeeded()
	for _, step := range []func(context.Context) error{as.begin, as.installAll, as.ldconfig, as.runHooks} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// An assembling is one run of Assemble.
type assembling struct {
	distro.Assembly
	parcels              []*parcel          // in the order in which pacman installs them
	owners               map[string]*parcel // of every path but directories
	dirs                 map[string]uint32  // the modes of directories that are known to be there
	needed               map[string]bool    // names of what something else depends on
	noExtract, noUpgrade []string           // patterns of the shipped pacman.conf
	hookDirs             []string
	withXData            bool // the database has %XDATA%
	users, groups        ids
	shellReady           bool // what the shell needs is unpacked
}

// A parcel is a package that is being unpacked.
type parcel struct {
	*pacman.Info
	entry     lockfile.Entry
	blob      string // the path of its file
	config    []byte // its /etc/pacman.conf, if it has one
	files     []string
	listed    map[string]bool // files, where the package has a list of its own
	backups   map[string]string
	script    string
	members   int
	prepared  bool // pre_install had its turn
	installed bool
}

// openParcels reads what all packages say of themselves, in the order of their
// names: that of the lock means nothing.
func openParcels(ctx context.Context, a distro.Assembly) ([]*parcel, error) {
	parcels := make([]*parcel, len(a.Lock.Entries))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(a.Parallel, 1))
	for i, e := range a.Lock.Entries {
		if isSignature(e) {
			continue
		}
		group.Go(func() error {
			p, err := openParcel(gctx, a, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			parcels[i] = p
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	parcels = slices.DeleteFunc(parcels, func(p *parcel) bool { return p == nil })
	slices.SortFunc(parcels, func(a, b *parcel) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(parcels); i++ {
		if p, q := parcels[i-1], parcels[i]; p.Name == q.Name {
			return nil, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", p.Name, p.entry.Path, q.entry.Path)
		}
	}
	return parcels, nil
}

func openParcel(ctx context.Context, a distro.Assembly, e lockfile.Entry) (*parcel, error) {
	name, err := a.Blobs.Path(ctx, e.Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	p := &parcel{entry: e, blob: name, backups: map[string]string{}}
	p.Info, p.config, err = pacman.OpenPackage(f, func(i *pacman.Info) string {
		if slices.Contains(i.Backup, configFile) {
			return configFile
		}
		return ""
	})
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if err := checkPackage(identity(&p.Desc)); err != nil {
		return nil, err
	}
	want := a.Lock.System.Arch
	if p.Arch != "any" && p.Arch != want && want != "" && want != "-" && !strings.HasPrefix(p.Arch, want+"_") {
		return nil, fmt.Errorf("the package is for %s, and the lock for %s", p.Arch, want)
	}
	for _, name := range p.Backup {
		p.backups[name] = ""
	}
	return p, nil
}

// configure takes from the pacman.conf among the packages what decides what
// becomes of packages on disk, and from pacman's version what it writes.
func (as *assembling) configure() {
	as.withXData = true
	for _, p := range as.parcels {
		for _, o := range keptOptionsOf(p.config) {
			words := strings.Fields(o.value)
			switch o.key {
			case "NoExtract":
				as.noExtract = append(as.noExtract, words...)
			case "NoUpgrade":
				as.noUpgrade = append(as.noUpgrade, words...)
			case "HookDir":
				as.hookDirs = append(as.hookDirs, strings.Trim(o.value, "/"))
			}
		}
		// pacman keeps such data since 6.1.
		if p.Name == "pacman" && pacman.Compare(p.Version, "6.1") < 0 {
			as.withXData = false
		}
	}
	if len(as.hookDirs) == 0 {
		as.hookDirs = []string{"etc/pacman.d/hooks"}
	}
	as.hookDirs = append([]string{"usr/share/libalpm/hooks"}, as.hookDirs...)
}

// findNeeded notes what something else of the lock depends on, the reason for
// which it is installed.
func (as *assembling) findNeeded() {
	g := as.graph()
	for _, p := range as.parcels {
		for _, d := range p.Depends {
			for _, q := range g.satisfying(d) {
				if q.Name != p.Name {
					as.needed[q.Name] = true
				}
			}
		}
	}
}

func (as *assembling) graph() *graph {
	g := newGraph(nil)
	for _, p := range as.parcels {
		g.add(&p.Desc)
	}
	return g
}

// begin makes what is there before the first package.
func (as *assembling) begin(context.Context) error {
	for _, d := range []struct {
		name string
		mode uint32
	}{
		{"dev", 0o755}, {"etc", 0o755}, {"run", 0o755}, {"tmp", 0o1777}, {"proc", 0o555}, {"sys", 0o555},
		{"var", 0o755}, {"var/cache", 0o755}, {"var/log", 0o755}, {"var/lib", 0o755}, {defaultDBPath, 0o755}, {localState, 0o755},
	} {
		if err := as.mkdir(d.name, d.mode); err != nil {
			return err
		}
	}
	return as.write(localState+"/ALPM_DB_VERSION", []byte("9\n"))
}

// installAll installs the packages one after another. Their data is
// decompressed in parallel, but written in order, so that what comes out is
// always the same.
func (as *assembling) installAll(ctx context.Context) error {
	as.Events.Stepping(fmt.Sprintf("unpacking %d packages", len(as.parcels)))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	streams := readAhead(ctx, as.parcels, as.Parallel)
	for i, p := range as.parcels {
		err := as.install(ctx, p, streams[i])
		streams[i].end()
		if err != nil {
			return fmt.Errorf("%s: %w", p.entry.Path, err)
		}
	}
	return nil
}

func (as *assembling) install(ctx context.Context, p *parcel, data *stream) error {
	if err := as.mkdir(p.record(), 0o755); err != nil {
		return err
	}
	if err := as.unpack(ctx, p, data); err != nil {
		return err
	}
	if err := as.writeRecord(p); err != nil {
		return err
	}
	p.installed = true
	return as.script(ctx, p, "post_install")
}
