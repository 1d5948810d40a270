package mirror

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// What a Mirror does where the fields of its Config are zero.
const (
	DefaultFresh    = time.Minute
	DefaultPatience = time.Minute
	DefaultParallel = 16
	DefaultKeepSets = 24 * time.Hour
	DefaultMaxRoot  = 64 << 20 // bytes
	DefaultMaxFile  = 64 << 30 // bytes
)

// Config says what a Mirror serves and how.
type Config struct {
	// Cache is the directory of the package cache, State that of all else
	// that the mirror keeps. Only one Mirror may use a State at a time.
	Cache, State string
	Upstreams    []Upstream
	// Client reaches the outside; nil for one that works as the zero
	// web.Config says. Login is what to log in with when the roots of sets
	// are asked for, and should be the client's own; may be nil.
	Client *web.Client
	Login  func(*url.URL) (web.Login, bool)

	// Fresh is how long a root is served without asking upstream again.
	Fresh time.Duration
	// Patience is how long a client waits for upstream to answer before it
	// gets the last good set.
	Patience time.Duration
	// Stall is how long upstream may be silent in the middle of a file; 0 for
	// the default of fetch.
	Stall time.Duration
	// Parallel is how many files may be asked of one upstream at a time.
	Parallel int
	// KeepSets is how long the files of a set are served under paths that
	// name their digest after another has replaced it.
	KeepSets time.Duration
	// MaxRoot and MaxFile bound what is taken from upstream, in bytes.
	MaxRoot, MaxFile int64
	// Budget is how many bytes the cache may take; 0 sets no limit. Only
	// what no pin names is evicted for it, least recently used first.
	Budget int64
	// Share is the store that this mirror has in common with others; nil for
	// none. docs/mirror-store.md describes it.
	Share share.Store
	// Offline has the mirror serve only what it has.
	Offline bool

	// ReadTokens, where there are any, are asked of every client, as a bearer
	// token or as the password of basic authentication. AdminToken is for
	// what changes the mirror; without one that cannot be done over HTTP.
	ReadTokens []string
	AdminToken string

	// Log is told what happens; nil for nobody.
	Log *slog.Logger
	// Now tells the times that frozen states are known by; nil for time.Now.
	Now func() time.Time
}

// An Upstream is an archive that is mirrored.
type Upstream struct {
	// Prefix is the first part of its paths on the mirror, such as "debian"
	// or "debian-security"; it may have slashes within.
	Prefix string
	// URLs are the roots of places that have the archive, best first. They
	// may hold logins.
	URLs []string
	// Aliases are further URLs by which clients that use the mirror as their
	// proxy may ask for the archive. They are never asked.
	Aliases []string
	Format  Format
}

// reserved are the first parts of paths that are the mirror's own.
var reserved = []string{"blob", "snapshot", "api", "metrics", "healthz", "static", "history"}

func (c Config) withDefaults() Config {
	c.Fresh = cmp.Or(c.Fresh, DefaultFresh)
	c.Patience = cmp.Or(c.Patience, DefaultPatience)
	c.Parallel = cmp.Or(c.Parallel, DefaultParallel)
	c.KeepSets = cmp.Or(c.KeepSets, DefaultKeepSets)
	c.MaxRoot = cmp.Or(c.MaxRoot, DefaultMaxRoot)
	c.MaxFile = cmp.Or(c.MaxFile, DefaultMaxFile)
	if c.Client == nil {
		c.Client = web.NewClient(web.Config{Login: c.Login})
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Check says what is wrong with a Config, all of it.
func (c Config) Check() error {
	var errs []error
	if c.Cache == "" || c.State == "" {
		errs = append(errs, errors.New("a mirror needs a directory for its cache and one for its state"))
	}
	for _, token := range append(slices.Clone(c.ReadTokens), c.AdminToken) {
		if token != "" && len(token) < 16 {
			errs = append(errs, errors.New("a token has less than 16 characters and could be guessed; make one with \"openssl rand -hex 20\""))
		}
	}
	seen := map[string]bool{}
	for _, u := range c.Upstreams {
		if err := u.check(); err != nil {
			errs = append(errs, fmt.Errorf("upstream %q: %w", u.Prefix, err))
		}
		if seen[u.Prefix] {
			errs = append(errs, fmt.Errorf("two upstreams have the prefix %q", u.Prefix))
		}
		seen[u.Prefix] = true
	}
	return errors.Join(errs...)
}

func (u Upstream) check() error {
	if err := lockfile.CheckPath(u.Prefix); err != nil {
		return fmt.Errorf("its prefix cannot be a path: %w", err)
	}
	first, _, _ := strings.Cut(u.Prefix, "/")
	if slices.Contains(reserved, first) {
		return fmt.Errorf("the mirror itself uses /%s/", first)
	}
	if u.Format == nil {
		return errors.New("it has no format")
	}
	if len(u.URLs) == 0 {
		return errors.New("it has no URL to fetch from")
	}
	for _, raw := range slices.Concat(u.URLs, u.Aliases) {
		if _, err := parseBase(raw); err != nil {
			return err
		}
	}
	return nil
}

// parseBase reads the URL of an archive's root. The error does not repeat the
// URL, which may hold a password.
func parseBase(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("a URL of it is none such as http://ftp.debian.org/debian")
	}
	if u.RawQuery != "" || u.Fragment != "" || strings.Contains(raw, "{{") {
		return nil, errors.New("a URL of it has a query, a fragment or a field; the root of an archive has none")
	}
	return u, nil
}
