package alpine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

var _ distro.Assembler = Distro{}

// Assemble implements [distro.Assembler]. It does what "apk add --initdb" of
// the packages that nothing else of the lock needs does, step by step: the
// packages one after another in the order of apk's solver, each one's
// pre-install, files and post-install, then the permissions of directories,
// the triggers and the database.
//
// apk itself does not run: it would have to be unpacked first, and would read,
// check and decompress everything a second time.
//
// The database is that of apk 2.14, which every later apk reads.
func (Distro) Assemble(ctx context.Context, a distro.Assembly) error {
	if arch := a.Lock.System.Arch; !isWord(arch, "_-") || arch == "-" {
		return errors.New("the lock names no architecture; its first line should be like \"#: distro alpine 3.19.1 x86_64\"")
	}
	parcels, err := openParcels(ctx, a)
	defer closeAll(parcels)
	if err != nil {
		return err
	}
	as := &assembling{
		Assembly: a, owners: map[string]*owned{}, dirs: map[string]*dir{}, lent: map[string]bool{},
		users: ids{file: "etc/passwd"}, groups: ids{file: "etc/group"},
	}
	as.world, as.parcels = orderOf(parcels)
	if err := as.begin(); err != nil {
		return err
	}
	if err := as.installAll(ctx); err != nil {
		return err
	}
	if err := as.mendDirectories(); err != nil {
		return err
	}
	if err := as.runTriggers(ctx); err != nil {
		return err
	}
	if err := as.writeDatabase(); err != nil {
		return err
	}
	as.runHooks(ctx)
	return as.takeBack()
}

// An assembling is one run of Assemble.
type assembling struct {
	distro.Assembly
	parcels []*parcel // in the order in which apk installs them
	world   []string
	owners  map[string]*owned // of every path but directories
	dirs    map[string]*dir   // of packages, and those above them
	lent    map[string]bool   // directories that are there for the sandbox alone
	users   ids
	groups  ids
	hasExec bool // the directory of scripts has been made
}

// A parcel is a package that is being unpacked.
type parcel struct {
	*apk.Archive
	entry lockfile.Entry
	file  *os.File
	dirs  []*ownedDir // as they stand in the database
	byDir map[string]*ownedDir
	files int // members so far
}

// isEmpty reports whether apk looks into the file at all: it does not where
// the package says that it has nothing to install, not even for scripts.
func (p *parcel) isEmpty() bool { return p.InstalledSize == 0 }

// openParcels reads the control segments of all packages, and returns those
// that are open also with an error.
func openParcels(ctx context.Context, a distro.Assembly) ([]*parcel, error) {
	parcels := make([]*parcel, len(a.Lock.Entries))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(a.Parallel, 1))
	for i, e := range a.Lock.Entries {
		group.Go(func() error {
			p, err := openParcel(gctx, a, e)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			parcels[i] = p
			return nil
		})
	}
	err := group.Wait()
	parcels = slices.DeleteFunc(parcels, func(p *parcel) bool { return p == nil })
	if err != nil {
		return parcels, err
	}
	slices.SortFunc(parcels, func(a, b *parcel) int { return compareNames(a.Name, b.Name) })
	for i := 1; i < len(parcels); i++ {
		if parcels[i].Name == parcels[i-1].Name {
			return parcels, fmt.Errorf("the lock has %s twice, as %s and %s; only one can be installed", parcels[i].Name, parcels[i-1].entry.Path, parcels[i].entry.Path)
		}
	}
	return parcels, nil
}

func closeAll(parcels []*parcel) {
	for _, p := range parcels {
		p.file.Close()
	}
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
	p := &parcel{entry: e, file: f, byDir: map[string]*ownedDir{}}
	if err := p.read(a.Lock.System.Arch); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return p, nil
}

func (p *parcel) read(arch string) error {
	info, err := p.file.Stat()
	if err != nil {
		return err
	}
	if p.Archive, err = apk.Open(p.file, info.Size()); err != nil {
		return err
	}
	switch {
	case !isName(p.Name) || !isVersion(p.Version):
		return fmt.Errorf("it holds the impossible package %q %q", p.Name, p.Version)
	case p.Arch == "noarch" || p.Arch == "":
		p.Arch = arch // as the index of a repository has it
	case p.Arch != arch:
		return fmt.Errorf("the package is for %s, and the lock for %s", p.Arch, arch)
	}
	if p.isEmpty() {
		p.Scripts, p.Triggers, p.Replaces, p.ReplacesPriority = nil, nil, nil, 0
	}
	return nil
}

// begin makes what "apk add --initdb" makes before the first package.
func (as *assembling) begin() error {
	for _, d := range []struct {
		name string
		mode uint32
	}{
		{"tmp", 0o1777}, {"dev", 0o755}, {"etc", 0o755}, {"etc/apk", 0o755}, {"lib", 0o755}, {"lib/apk", 0o755}, {"lib/apk/db", 0o755},
		{"var", 0o755}, {"var/cache", 0o755}, {"var/cache/apk", 0o755}, {"var/cache/misc", 0o755}, {"proc", 0o555},
	} {
		if err := as.mkdir(d.name, d.mode); err != nil {
			return err
		}
	}
	for _, d := range []struct {
		name         string
		mode         uint32
		major, minor uint32
	}{{"null", 0o666, 1, 3}, {"zero", 0o666, 1, 5}, {"random", 0o666, 1, 8}, {"urandom", 0o666, 1, 9}, {"console", 0o600, 5, 1}} {
		f := distro.File{Path: "dev/" + d.name, Type: distro.CharDev, Mode: d.mode, Major: d.major, Minor: d.minor, ModTime: as.Epoch}
		if err := as.Root.Put(f, nil); err != nil {
			return err
		}
	}
	return errors.Join(
		as.write("etc/apk/arch", 0o644, []byte(as.Lock.System.Arch+"\n")),
		as.write(worldFile, 0o644, nil),
		as.write(installedFile, 0o644, nil),
		as.write("lib/apk/db/lock", 0o600, nil),
	)
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
		if err := as.install(ctx, p, streams[i]); err != nil {
			return fmt.Errorf("%s: %w", p.entry.Path, err)
		}
		streams[i].done()
	}
	return nil
}

func (as *assembling) install(ctx context.Context, p *parcel, data *stream) error {
	if p.isEmpty() {
		return nil
	}
	if err := as.script(ctx, p, "pre-install", p.Version); err != nil {
		return err
	}
	if err := as.unpack(ctx, p, data); err != nil {
		return err
	}
	return as.script(ctx, p, "post-install", p.Version)
}

// compareNames orders packages as apk does where people see it: without regard
// to case.
func compareNames(a, b string) int {
	return cmp.Or(cmp.Compare(lower(a), lower(b)), cmp.Compare(a, b))
}

// lower maps ASCII's capital letters; names have no other.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
