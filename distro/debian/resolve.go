package debian

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/rootfs"
	"github.com/samebits/samebits/lockfile"
)

// Resolve implements [distro.Resolver]. The indexes of the suites are fetched
// and verified; apt, of the same suites, is laid into a root with them, and
// says what it would install into an empty system. An empty Base stands for
// "essential": what every package may rely on without naming it.
func (Distro) Resolve(ctx context.Context, req distro.ResolveRequest) (*distro.Located, error) {
	r, err := newResolving(req)
	if err != nil {
		return nil, err
	}
	goal, err := r.shop(ctx, r.arch)
	if err != nil {
		return nil, err
	}
	wanted, err := r.wanted(goal)
	if err != nil {
		return nil, err
	}
	tools := goal
	if r.host != r.arch {
		if tools, err = r.shop(ctx, r.host); err != nil {
			return nil, fmt.Errorf("apt for %s, which is to run here: %w", r.host, err)
		}
	}
	packages, err := r.solve(ctx, goal, tools, wanted)
	if err != nil {
		return nil, err
	}
	return goal.locate(ctx, packages)
}

// A resolving is one run of Resolve.
type resolving struct {
	distro.ResolveRequest
	known      *knownDistro // nil for a distribution that is not
	arch, host string
	components []string
	mirrors    []string // with the time of the snapshot in them
	keys       *archive.Keys
}

var (
	suiteName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]*(/[A-Za-z0-9.+~_-]+)*$`)
	componentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+~_-]*(/[A-Za-z0-9.+~_-]+)*$`)
	archName      = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

func newResolving(req distro.ResolveRequest) (*resolving, error) {
	r := &resolving{ResolveRequest: req, known: knownAs(req.Distro), host: debianArch(req.Host)}
	r.arch = debianArch(req.Arch)
	if r.arch == "" {
		r.arch = r.host
	}
	if !archName.MatchString(r.arch) || r.arch == "all" {
		return nil, distro.BadRequest("%q is no architecture of packages; Debian's are such as amd64 and arm64", req.Arch)
	}
	if len(req.Suites) == 0 {
		return nil, distro.BadRequest("name the suite with --suite, such as trixie")
	}
	for _, s := range req.Suites {
		if !suiteName.MatchString(s) || strings.Contains(s, "..") {
			return nil, distro.BadRequest("%q is no suite; one is such as trixie", s)
		}
	}
	if r.components = req.Components; len(r.components) == 0 {
		r.components = []string{"main"}
		if r.known != nil {
			r.components = r.known.components
		}
	}
	for _, c := range r.components {
		if !componentName.MatchString(c) || strings.Contains(c, "..") {
			return nil, distro.BadRequest("%q is no component; one is such as main", c)
		}
	}
	if !slices.Contains(bases, r.base()) {
		return nil, distro.BadRequest("%q is no base of a system; there are %s", req.Base, strings.Join(bases, ", "))
	}
	var err error
	if r.mirrors, err = req.AtSnapshot(distro.Stamp); err != nil {
		return nil, err
	}
	if r.known == nil && len(r.mirrors) == 0 {
		return nil, distro.BadRequest("no mirror of %s is built in; name one with --mirror", req.Distro)
	}
	r.keys, err = r.readKeys()
	return r, err
}

// readKeys reads the keyrings that the user names, else those built in.
func (r *resolving) readKeys() (*archive.Keys, error) {
	keyrings := r.Keyrings
	if len(keyrings) == 0 {
		if r.known == nil {
			return nil, distro.BadRequest("no keys of %s are built in; name its keyring with --keyring", r.Distro)
		}
		keyrings = map[string][]byte{}
		names := r.known.keyrings
		if !r.Snapshot.IsZero() {
			names = append(slices.Clone(names), r.known.past...)
		}
		for _, name := range names {
			data, err := builtInKeys.ReadFile("keys/" + name)
			if err != nil {
				return nil, err
			}
			keyrings[name] = data
		}
	}
	var all []*archive.Keys
	for _, name := range slices.Sorted(maps.Keys(keyrings)) {
		keys, err := archive.ReadKeys(keyrings[name])
		if err != nil {
			return nil, fmt.Errorf("keyring %s: %w", name, err)
		}
		all = append(all, keys)
	}
	return archive.Join(all...), nil
}

// A shop is all that the suites offer for one architecture.
type shop struct {
	arch string
	sys  *System
	// root is a directory with the configuration and the lists of apt.
	root    string
	indexes []*index
	suites  []string // those that were found
	// names are of all packages, and of what they provide.
	names map[string]bool
}

// where names the shop for a person.
func (s *shop) where() string { return strings.Join(s.suites, ", ") + " for " + s.arch }

// shop fetches the indexes for an architecture and lays them out as apt has
// them.
func (r *resolving) shop(ctx context.Context, arch string) (*shop, error) {
	s := &shop{arch: arch, root: filepath.Join(r.Dir, arch), names: map[string]bool{}}
	for _, dir := range []string{"etc/apt", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(s.root, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		return nil, err
	}
	files, err := rootfs.Open(s.root)
	if err != nil {
		return nil, err
	}
	s.sys = &System{Root: s.root, Files: files, events: r.Events,
		Config: &apt.Config{Architectures: []string{arch}, ListsDir: "var/lib/apt/lists", ArchivesDir: "var/cache/apt/archives"},
		id:     lockfile.System{Distro: r.Distro, Version: "-", Arch: arch}}
	if err := r.stock(ctx, s); err != nil {
		return nil, err
	}
	for _, x := range s.indexes {
		for _, rec := range x.records {
			s.names[rec.Name] = true
			provided, err := ParseDependencies(rec.Provides)
			if err != nil {
				continue // it is apt that decides
			}
			for _, d := range provided {
				s.names[d[0].Name] = true
			}
		}
	}
	return s, s.configure()
}

// configure writes apt's configuration for the shop.
func (s *shop) configure() error {
	var sources strings.Builder
	for _, repo := range s.sys.Config.Repositories {
		fmt.Fprintf(&sources, "deb [arch=%s trusted=yes] %s %s %s\n", s.arch, repo.URI, repo.Suite, strings.Join(repo.Components, " "))
	}
	for name, text := range map[string]string{
		"etc/apt/sources.list": sources.String(),
		"etc/apt/apt.conf":     fmt.Sprintf(aptConf, s.arch, s.arch),
	} {
		if err := os.WriteFile(filepath.Join(s.root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// aptConf is all that apt is told. The lists were verified when they were
// fetched, so that apt need not be able to. Without a limit on its memory old
// versions of apt would refuse large suites.
const aptConf = `APT::Architecture "%s";
#clear APT::Architectures;
APT::Architectures { "%s"; };
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "true";
APT::Cache-Limit "500000000";
Acquire::Languages "none";
Dir::Log "/tmp";
`

// locate makes the lock of what apt chose.
func (s *shop) locate(ctx context.Context, packages []distro.Package) (*distro.Located, error) {
	l := &locating{s: s.sys, catalog: &catalog{indexes: s.indexes}, found: map[distro.Package]located{}, reasons: map[distro.Package]string{}, left: packages}
	l.inIndexes(ctx)
	if len(l.left) > 0 {
		return nil, fmt.Errorf("apt chose %s, which the signed indexes do not have", l.left[0])
	}
	return l.result(distro.LocateRequest{})
}

// at is the time that keys are judged at: for snapshots that of the signature.
func (r *resolving) at() time.Time {
	if r.Snapshot.IsZero() {
		return r.Now
	}
	return time.Time{}
}
