package alpine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

var _ distro.Resolver = Distro{}

// Resolve implements [distro.Resolver]. The indexes of the branches are
// fetched and verified; apk, of the same branches, is laid into a root with
// them, and says what it would add to an empty system. Since no index tells
// the digest of a file, all packages are fetched, checked and hashed.
//
// An empty Base stands for "essential", which is what Alpine's own images of a
// minimal root have; "base" is alpine-base. Without Suites each mirror is a
// repository by itself.
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
			return nil, fmt.Errorf("apk for %s, which is to run here: %w", r.host, err)
		}
	}
	packages, err := r.solve(ctx, goal, tools, wanted)
	if err != nil {
		return nil, err
	}
	r.Events.Stepping("hashing " + distro.CountPackages(len(packages)))
	return r.locate(ctx, goal, packages)
}

// A resolving is one run of Resolve.
type resolving struct {
	distro.ResolveRequest
	arch, host string
	components []string
	mirrors    []string // with the time of the snapshot in them
}

var branchWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

func newResolving(req distro.ResolveRequest) (*resolving, error) {
	r := &resolving{ResolveRequest: req, host: alpineArch(req.Host)}
	if r.arch = alpineArch(req.Arch); r.arch == "" {
		r.arch = r.host
	}
	if !isArch(r.arch) || r.arch == "noarch" {
		return nil, distro.BadRequest("%q is no architecture of packages; Alpine's are such as x86_64 and aarch64", req.Arch)
	}
	if r.components = req.Components; len(r.components) == 0 {
		r.components = defaultComponents
	}
	for _, word := range slices.Concat(req.Suites, r.components) {
		if !branchWord.MatchString(word) {
			return nil, distro.BadRequest("%q is no branch or repository; they are such as v3.20 and main", word)
		}
	}
	if _, ok := bases[r.base()]; !ok {
		return nil, distro.BadRequest("%q is no base of a system of Alpine; there are none, essential and base", req.Base)
	}
	var err error
	if r.mirrors, err = req.AtSnapshot(distro.Stamp); err != nil {
		return nil, err
	}
	switch {
	case len(r.mirrors) > 0:
	case req.Distro != "alpine":
		return nil, distro.BadRequest("no mirror of %s is built in; name one with --mirror", req.Distro)
	case !req.Snapshot.IsZero():
		return nil, distro.BadRequest("Alpine keeps no snapshots; name a mirror of your own that does with --mirror")
	case len(req.Suites) == 0:
		return nil, distro.BadRequest("name the branch with --suite, such as v3.20 or edge")
	}
	return r, nil
}

func (r *resolving) base() string {
	if r.Base == "" {
		return defaultBase
	}
	return r.Base
}

// A shop is all that the repositories offer for one architecture.
type shop struct {
	arch    string
	sys     *System
	catalog *catalog
	indexes [][]byte // as they were fetched, in the order of the channels
	found   map[distro.Package]located
}

// where names the shop for a person.
func (s *shop) where() string {
	var names []string
	for _, c := range s.catalog.channels {
		names = append(names, c.short())
	}
	return strings.Join(names, ", ") + " for " + s.arch
}

// shop fetches and verifies the indexes for an architecture.
func (r *resolving) shop(ctx context.Context, arch string) (*shop, error) {
	keys, err := r.keyring(arch)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(r.Dir, arch)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	created, err := Distro{}.Create(dir, lockfile.System{Distro: r.Distro, Version: "-", Arch: arch}, r.Events)
	if err != nil {
		return nil, err
	}
	s := &shop{arch: arch, sys: created.(*System), catalog: &catalog{keys: keys}, found: map[distro.Package]located{}}
	repositories, err := r.repositories()
	if err != nil {
		return nil, err
	}
	for _, places := range repositories {
		if err := r.stock(ctx, s, places); err != nil {
			return nil, err
		}
	}
	s.sys.id = lockfile.System{Distro: r.Distro, Version: s.version(), Arch: arch}
	return s, nil
}

// stock fetches an index from the first of the places that has it.
func (r *resolving) stock(ctx context.Context, s *shop, places []apk.Repository) error {
	var failed error
	for _, repo := range places {
		keep := &recorder{Fetcher: r.Fetcher}
		l := &loader{s: s.sys, req: distro.LocateRequest{Fetcher: keep}, keys: s.catalog.keys}
		l.s.id.Arch = s.arch
		index, err := l.fetch(ctx, repo)
		if err == nil {
			s.sys.Repositories = append(s.sys.Repositories, repo)
			s.catalog.channels = append(s.catalog.channels, newChannel(repo, index, s.catalog.keys))
			s.indexes = append(s.indexes, keep.got.Bytes())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failed == nil || errors.Is(failed, fs.ErrNotExist) {
			failed = fmt.Errorf("the index of %s is not used: %w%s", describe(repo), err, r.remedy(err))
		}
	}
	return failed
}

// remedy says what a person can do about an index.
func (r *resolving) remedy(err error) string {
	switch {
	case errors.Is(err, apk.ErrUnknownKey) && len(r.Keyrings) == 0:
		return "; its key is not among those built in: name its public key with --keyring"
	case errors.Is(err, apk.ErrUnknownKey):
		return "; name its public key with --keyring, in a file that is called as the repository calls it"
	case errors.Is(err, fs.ErrNotExist):
		return "; is that branch still there?"
	}
	return ""
}

// version is VERSION_ID of a system of the branch: the version of the package
// that has os-release.
func (s *shop) version() string {
	for _, name := range []string{"alpine-release", "alpine-base"} {
		if r, ok := s.newest(name); ok {
			v, _, _ := strings.Cut(r.Version, "-r")
			return v
		}
	}
	return "-"
}

// newest finds the newest record of a name.
func (s *shop) newest(name string) (found apk.Record, ok bool) {
	for _, c := range s.catalog.channels {
		for _, r := range c.index.Records {
			if r.Name == name && !r.Unsupported && (!ok || apk.Compare(r.Version, found.Version) > 0) {
				found, ok = r, true
			}
		}
	}
	return found, ok
}

// locate fetches and hashes packages, and makes a lock of them.
func (r *resolving) locate(ctx context.Context, s *shop, packages []distro.Package) (*distro.Located, error) {
	req := distro.LocateRequest{Fetcher: r.Fetcher, Identifier: r.Identifier}
	l := &locating{s: s.sys, req: req, catalog: s.catalog, identifier: r.Identifier, installed: map[string]apk.Record{},
		found: map[distro.Package]located{}, reasons: map[distro.Package]distro.Reason{}}
	if l.identifier == nil {
		l.identifier = atHand{}
	}
	l.shelf = s.sys.newShelf(nil)
	wanted := map[string]bool{}
	for _, p := range packages {
		wanted[p.Name] = true
	}
	l.see(func(rec apk.Record) bool { return wanted[rec.Name] })
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, p := range packages {
		if found, ok := s.found[p]; ok { // it is a part of apk
			l.note(p, found, distro.Reason{})
			continue
		}
		group.Go(func() error {
			found, reason := l.find(ctx, p)
			l.note(p, found, reason)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	maps.Copy(s.found, l.found)
	return l.result(req)
}

// maxIndex bounds an index as it is fetched, in bytes. Alpine's have 2 MB.
const maxIndex = 256 << 20

// A recorder keeps what a fetcher gets.
type recorder struct {
	distro.Fetcher
	got bytes.Buffer
}

// Get implements [distro.Fetcher].
func (r *recorder) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	body, err := r.Fetcher.Get(ctx, url)
	if err != nil {
		return nil, err
	}
	r.got.Reset()
	n, err := io.Copy(&r.got, io.LimitReader(body, maxIndex+1))
	if err == nil && n > maxIndex {
		err = fmt.Errorf("it has more than %d bytes", maxIndex)
	}
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(r.got.Bytes())), nil
}
