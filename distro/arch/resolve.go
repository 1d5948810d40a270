package arch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

var _ distro.Resolver = Distro{}

// Resolve implements [distro.Resolver]. The databases of the repositories are
// fetched; pacman, of the same repositories, is laid into a root with them,
// and says what it would install into an empty system. Since Arch signs
// packages and not databases, all packages are fetched and verified, those of
// pacman before it runs.
//
// An empty Base stands for "base", the package of that name. Arch has no
// suites. The pacman that runs is of the architecture that is resolved for.
func (Distro) Resolve(ctx context.Context, req distro.ResolveRequest) (*distro.Located, error) {
	r, err := newResolution(req)
	if err != nil {
		return nil, err
	}
	s, err := r.shop(ctx)
	if err != nil {
		return nil, err
	}
	wanted, err := r.wanted(s)
	if err != nil {
		return nil, err
	}
	packages, err := r.solve(ctx, s, wanted)
	if err != nil {
		return nil, err
	}
	r.Events.Stepping("verifying " + distro.CountPackages(len(packages)))
	return r.locate(ctx, s, packages)
}

// A resolution is one run of Resolve.
type resolution struct {
	distro.ResolveRequest
	arch       string
	components []string
	mirrors    []string // with the day of the snapshot in them
}

var (
	repositoryName = regexp.MustCompile(`^[A-Za-z0-9@_+][A-Za-z0-9@._+-]*$`)
	serverURL      = regexp.MustCompile(`^https?://[^\s#]+$`)
)

func newResolution(req distro.ResolveRequest) (*resolution, error) {
	r := &resolution{ResolveRequest: req}
	if r.arch = archArch(req.Arch); r.arch == "" {
		if r.arch = archArch(req.Host); req.Distro == "arch" {
			r.arch = "x86_64" // there is no other
		}
	}
	switch {
	case word(r.arch) != r.arch || r.arch == "any":
		return nil, distro.BadRequest("%q is no architecture of packages", req.Arch)
	case req.Distro == "arch" && r.arch != "x86_64":
		return nil, distro.BadRequest("Arch Linux is for x86_64 alone; for %s there is --distro archarm", req.Arch)
	case len(req.Suites) > 0:
		return nil, distro.BadRequest("Arch has no suites; --components names repositories, and --snapshot a day")
	case !slices.Contains([]string{"", "none", "base"}, req.Base):
		return nil, distro.BadRequest("%q is no base of a system of Arch; there are none and base", req.Base)
	}
	if r.components = req.Components; len(r.components) == 0 {
		r.components = known[req.Distro].components
	}
	if len(r.components) == 0 {
		return nil, distro.BadRequest("name the repositories of %s with --components, such as core,extra", req.Distro)
	}
	for _, c := range r.components {
		if !repositoryName.MatchString(c) || c == "options" {
			return nil, distro.BadRequest("%q is no repository; one is such as core", c)
		}
	}
	var err error
	if r.mirrors, err = req.AtSnapshot(dayForm); err != nil {
		return nil, err
	}
	for _, m := range r.mirrors {
		if !serverURL.MatchString(m) {
			return nil, distro.BadRequest("%q is no URL of a mirror", m)
		}
	}
	switch {
	case len(r.mirrors) > 0:
	case known[req.Distro].archive == "":
		return nil, distro.BadRequest("no mirror of %s is built in; name one with --mirror", req.Distro)
	case !req.Snapshot.IsZero() && req.Distro != "arch":
		return nil, distro.BadRequest("no archive of snapshots of %s is known; name one with --mirror", req.Distro)
	}
	return r, nil
}

// A shop is all that the repositories offer.
type shop struct {
	sys     *System
	catalog *catalog
	// databases are as they were fetched, by the name of the repository.
	databases map[string][]byte
	found     map[distro.Package]located
}

// where names the shop for a person.
func (s *shop) where() string {
	var names []string
	for _, d := range s.catalog.databases {
		names = append(names, d.repo.Name)
	}
	return strings.Join(names, ", ") + " for " + s.sys.id.Arch
}

// shop makes an empty system with the keys and the repositories, and fetches
// their databases.
func (r *resolution) shop(ctx context.Context) (*shop, error) {
	keys, err := r.keyFiles()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{
		configFile:                      []byte(r.config("Required DatabaseOptional")),
		localState + "/ALPM_DB_VERSION": []byte("9\n"),
	}
	for name, data := range keys {
		files[keyringDir+"/"+name] = data
	}
	root := filepath.Join(r.Dir, "system")
	for name, data := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return nil, err
		}
	}
	sys, err := open(root, r.Events)
	if err != nil {
		return nil, err
	}
	sys.id = lockfile.System{Distro: r.Distro, Version: "-", Arch: r.arch}
	s := &shop{sys: sys, catalog: &catalog{}, databases: map[string][]byte{}, found: map[distro.Package]located{}}
	lazy := sys.lazyKeys()
	if s.catalog.keys, err = lazy(); err != nil {
		return nil, fmt.Errorf("the keyring: %w", err)
	}
	for i := range sys.Config.Repositories {
		repo := &sys.Config.Repositories[i]
		keep := &recorder{Fetcher: r.Fetcher}
		l := &loader{s: sys, req: distro.LocateRequest{Fetcher: keep}, want: func(string) bool { return true }, keys: lazy, repo: repo}
		d, err := l.fetch(ctx)
		if err != nil {
			return nil, fmt.Errorf("the database of %s cannot be used: %w", repo.Name, err)
		}
		s.catalog.databases = append(s.catalog.databases, d)
		s.databases[repo.Name] = keep.database
	}
	return s, nil
}

// config is a pacman.conf for the repositories.
func (r *resolution) config(level string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[options]\nArchitecture = %s\nSigLevel = %s\n", r.arch, level)
	for _, c := range r.components {
		fmt.Fprintf(&b, "[%s]\n", c)
		for _, server := range r.servers() {
			fmt.Fprintf(&b, "Server = %s\n", server)
		}
	}
	return b.String()
}

// locate fetches and verifies packages, and makes a lock of them.
func (r *resolution) locate(ctx context.Context, s *shop, packages []distro.Package) (*distro.Located, error) {
	req := distro.LocateRequest{Fetcher: r.Fetcher, Identifier: r.Identifier}
	l := &locating{
		s: s.sys, req: req, catalog: s.catalog, found: map[distro.Package]located{},
		reasons: map[distro.Package]distro.Reason{}, signatures: map[string][]byte{},
	}
	l.files = s.sys.shelves(nil, func(string) bool { return false })
	l.verify = &verifier{s: s.sys, req: req, keys: s.catalog.keys, files: l.files}
	for _, p := range packages {
		if found, ok := s.found[p]; ok { // it is a part of pacman
			l.found[p] = found
		} else {
			l.left = append(l.left, p)
		}
	}
	if err := l.inDatabases(ctx); err != nil {
		return nil, err
	}
	maps.Copy(s.found, l.found)
	return l.result()
}

// names are those of all packages, of what they provide and of their groups.
func (s *shop) names() map[string]bool {
	names := map[string]bool{}
	for _, d := range s.catalog.databases {
		for i := range d.packages {
			p := &d.packages[i]
			names[p.Name] = true
			for _, g := range p.Groups {
				names[g] = true
			}
			for _, provided := range p.Provides {
				names[pacman.ParseDependency(provided).Name] = true
			}
		}
	}
	return names
}

// A recorder keeps the database that a fetcher gets.
type recorder struct {
	distro.Fetcher
	database []byte
}

// Get implements [distro.Fetcher].
func (r *recorder) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	body, err := r.Fetcher.Get(ctx, url)
	if err != nil || strings.HasSuffix(url, ".sig") {
		return body, err
	}
	data, err := io.ReadAll(io.LimitReader(body, maxDatabase+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	r.database = data
	return io.NopCloser(bytes.NewReader(data)), nil
}
