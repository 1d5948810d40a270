package arch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/distro/arch/trust"
)

// Limits on what is read, in bytes. Real databases have up to 10 MB.
const (
	maxDatabase  = 512 << 20
	maxSignature = 64 << 10
)

// A database is what one repository has of the wanted packages.
type database struct {
	repo *pacman.Repository
	home home
	// signed says that a trusted key signed the database itself.
	signed   bool
	packages []pacman.Desc
}

// A catalog is what the repositories of a root have of the wanted packages.
type catalog struct {
	databases []*database // in the order of pacman.conf
	keys      *trust.Keyring
	noKeys    string // why keys is nil
	// unused says of each repository that could not be used why. Whoever
	// reads the catalog has been warned of them.
	unused []string
	// absent says that a repository has no database on disk and none could be
	// fetched.
	absent bool
}

// catalog reads the databases of all repositories, from the root or from the
// network as req says, and keeps the packages that want asks for.
func (s *System) catalog(ctx context.Context, req distro.LocateRequest, want func(string) bool) (*catalog, error) {
	c := &catalog{}
	type loaded struct {
		database *database
		problem  string
		absent   bool
	}
	repos := s.Config.Repositories
	results := make([]loaded, len(repos))
	group, ctx := errgroup.WithContext(ctx)
	keys := s.lazyKeys()
	for i := range repos {
		group.Go(func() error {
			l := loader{s: s, req: req, want: want, keys: keys, repo: &repos[i]}
			d, err := l.load(ctx)
			r := &results[i]
			if err != nil {
				r.problem = fmt.Sprintf("the database of %s is not used: %v", repos[i].Name, err)
				r.absent = errors.Is(err, fs.ErrNotExist)
			}
			r.database = d
			return ctx.Err()
		})
	}
	group.Go(func() error { keys(); return nil })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var err error
	if c.keys, err = keys(); err != nil {
		c.noKeys = err.Error()
	}
	for _, r := range results {
		if r.database != nil {
			c.databases = append(c.databases, r.database)
		}
		if r.problem != "" {
			s.events.Warning(r.problem)
			c.unused = append(c.unused, r.problem)
		}
		c.absent = c.absent || r.absent
	}
	return c, nil
}

// A loader reads one repository.
type loader struct {
	s    *System
	req  distro.LocateRequest
	want func(string) bool
	keys func() (*trust.Keyring, error)
	repo *pacman.Repository
}

// load returns the repository's database. It may be there and an error too,
// where an older one stands in for what could not be fetched.
func (l *loader) load(ctx context.Context) (*database, error) {
	if l.repo.Usage&(pacman.UsageInstall|pacman.UsageUpgrade) == 0 {
		return nil, nil
	}
	var failed error
	if l.req.Fresh && l.reaches() {
		d, err := l.fetch(ctx)
		if err == nil {
			return d, nil
		}
		failed = fmt.Errorf("no fresh one could be had: %w", err)
	}
	name := path.Join(l.s.dbPath, "sync", l.repo.Name+".db")
	data, err := l.s.Files.ReadFile(name, maxDatabase)
	if errors.Is(err, fs.ErrNotExist) {
		switch {
		case failed != nil:
			return nil, failed
		case l.reaches():
			return l.fetch(ctx)
		}
		return nil, fmt.Errorf("/%s is not there; run pacman -Sy, or let samebits fetch it: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	signature, err := l.s.Files.ReadFile(name+".sig", maxSignature)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	d, err := l.read(data, signature)
	return d, errors.Join(failed, err)
}

// reaches reports whether a server can be asked at all.
func (l *loader) reaches() bool {
	return slices.ContainsFunc(l.s.servers(l.repo, false), l.reachesServer)
}

func (l *loader) reachesServer(server string) bool {
	return l.req.Fetcher != nil || strings.HasPrefix(server, "file:")
}

// fetch gets the database from the first server that has one that can be used.
func (l *loader) fetch(ctx context.Context) (*database, error) {
	var errs []error
	for _, server := range l.s.servers(l.repo, false) {
		if !l.reachesServer(server) {
			continue
		}
		name := server + "/" + l.repo.Name + ".db"
		l.s.events.Stepping("fetching the database " + withoutLogin(name))
		data, err := l.s.get(ctx, l.req.Fetcher, name, maxDatabase)
		var signature []byte
		if err == nil && l.repo.SigLevel.Database != pacman.Never {
			signature, err = l.s.get(ctx, l.req.Fetcher, name+".sig", maxSignature)
			if errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if err == nil {
			var d *database
			if d, err = l.read(data, signature); err == nil {
				return d, nil
			}
		}
		errs = append(errs, fmt.Errorf("%s: %w", withoutLogin(name), err))
	}
	return nil, errors.Join(errs...)
}

// read judges a database by its signature and reads it.
func (l *loader) read(data, signature []byte) (*database, error) {
	level := l.repo.SigLevel
	d := &database{repo: l.repo, home: l.s.homeOf(l.repo)}
	switch {
	case level.Database == pacman.Never:
	case len(signature) == 0 && level.Database == pacman.Required:
		return nil, errors.New("it has no signature, which SigLevel in pacman.conf requires")
	case len(signature) > 0:
		keys, err := l.keys()
		if err != nil && level.Database == pacman.Required {
			return nil, fmt.Errorf("its signature cannot be judged: %w", err)
		}
		if err == nil {
			_, err := keys.Verify(bytes.NewReader(data), signature)
			d.signed = err == nil
			if err != nil && level.DatabaseTrustAll {
				// Whom nobody trusts does not make a hash a signed one.
				_, err = keys.TrustAll().Verify(bytes.NewReader(data), signature)
			}
			if err != nil {
				return nil, fmt.Errorf("its signature is refused: %w; run pacman -Sy, or update the keyring", err)
			}
		}
	}
	all, err := pacman.ReadSync(bytes.NewReader(data), l.want)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		if err := usable(&p); err != nil {
			l.s.events.Warning(fmt.Sprintf("%s of %s is not used: %v", p.Name, l.repo.Name, err))
			continue
		}
		d.packages = append(d.packages, p)
	}
	return d, nil
}

// usable refuses what could not be an entry of a lock.
func usable(p *pacman.Desc) error {
	if err := checkPackage(identity(p)); err != nil {
		return err
	}
	name, version, arch, ok := pacman.ParseFilename(p.Filename)
	if !ok || name != p.Name || version != p.Version || arch != p.Arch {
		return fmt.Errorf("its file %q is not called after it", p.Filename)
	}
	if p.SHA256 == "" {
		return errors.New("the database has no SHA-256 of it")
	}
	return nil
}

// get reads all that a URL has. A file: URL is of the root.
func (s *System) get(ctx context.Context, fetcher distro.Fetcher, rawURL string, limit int64) ([]byte, error) {
	if name, ok := filePath(rawURL); ok {
		return s.Files.ReadFile(name, limit)
	}
	body, err := fetcher.Get(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}
