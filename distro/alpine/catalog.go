package alpine

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/alpine/apk"
)

// A catalog is what the repositories of a root offer.
type catalog struct {
	keys *keyring
	// channels are in the order of apk's configuration, those without a usable
	// index left out.
	channels []*channel
	// unused says of each repository that could not be used why. Whoever
	// reads the catalog has been warned of them already.
	unused []string
	// absent says that a repository has no index in the root, and none could
	// be fetched.
	absent bool
	// cached says that an index is the one that the root had.
	cached bool
}

// maxParallel bounds what is read, fetched or checked at once.
const maxParallel = 16

// catalog reads the indexes of all repositories: from the root's cache and
// from local repositories, else, or where req asks for fresh ones, from the
// network.
func (s *System) catalog(ctx context.Context, req distro.LocateRequest) (*catalog, error) {
	keys, err := s.keyring()
	if err != nil {
		return nil, err
	}
	l := &loader{s: s, req: req, keys: keys}
	results := make([]loaded, len(s.Repositories))
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for i, repo := range s.Repositories {
		group.Go(func() error {
			results[i] = l.load(ctx, repo)
			return nil
		})
	}
	_ = group.Wait() // none of them fails
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := &catalog{keys: keys}
	for _, r := range results {
		if r.channel != nil {
			c.channels = append(c.channels, r.channel)
		}
		c.absent = c.absent || r.absent
		c.cached = c.cached || r.cached
		for _, m := range r.problems {
			c.unused = append(c.unused, m)
			s.events.Warning(m)
		}
	}
	return c, nil
}

// A loader reads repositories, each by one call of load.
type loader struct {
	s    *System
	req  distro.LocateRequest
	keys *keyring
}

// A loaded is what came of one repository.
type loaded struct {
	channel  *channel // nil where no index could be used
	problems []string
	absent   bool
	cached   bool
}

func (l *loader) load(ctx context.Context, repo apk.Repository) loaded {
	base := repositoryURL(repo)
	if _, local := localDir(base); local {
		index, err := l.read(strings.TrimPrefix(repo.Index(l.s.id.Arch), "file://"))
		if err != nil {
			return loaded{problems: []string{unusable(repo, err)}}
		}
		return loaded{channel: newChannel(repo, index, l.keys)}
	}
	var out loaded
	if l.req.Fresh && l.req.Fetcher != nil {
		index, err := l.fetch(ctx, repo)
		if err == nil {
			return loaded{channel: newChannel(repo, index, l.keys)}
		}
		out.problems = append(out.problems, "no fresh index is used: "+unusable(repo, err))
	}
	for _, name := range cachedIndexes(repo, l.s.id.Arch) {
		index, err := l.read(name)
		if err == nil {
			out.channel, out.cached = newChannel(repo, index, l.keys), true
			return out
		}
		if !errors.Is(err, fs.ErrNotExist) {
			out.problems = append(out.problems, fmt.Sprintf("the index %s is not used: %v%s", l.s.Files.Join(name), err, remedy(err)))
		}
	}
	switch {
	case l.req.Fetcher == nil:
		out.absent = true
		out.problems = append(out.problems, describe(repo)+" has no index in the root that could be used; run apk update, or let samebits fetch it")
	case !l.req.Fresh:
		index, err := l.fetch(ctx, repo)
		if err != nil {
			out.problems = append(out.problems, unusable(repo, err))
			return out
		}
		out.channel = newChannel(repo, index, l.keys)
	}
	return out
}

func unusable(repo apk.Repository, err error) string {
	return fmt.Sprintf("the index of %s is not used: %v%s", describe(repo), err, remedy(err))
}

// remedy says what a person can do about an index, with what it takes to join
// it to the error.
func remedy(err error) string {
	var sig *apk.SignatureError
	switch {
	case !errors.As(err, &sig):
		return ""
	case errors.Is(err, apk.ErrUnknownKey):
		return "; put the public key of the repository into etc/apk/keys if it is to be trusted"
	case errors.Is(err, apk.ErrNoSignature):
		return "; the repository must sign its index"
	}
	return "; run apk update to fetch it anew, or use another mirror"
}

// read reads an index of the root.
func (l *loader) read(name string) (*apk.Index, error) {
	f, err := l.s.Files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return apk.ReadIndex(f, l.keys.Keys)
}

// fetch gets the index of a repository.
func (l *loader) fetch(ctx context.Context, repo apk.Repository) (*apk.Index, error) {
	l.s.events.Stepping("fetching the index of " + describe(repo))
	body, err := l.req.Fetcher.Get(ctx, repo.Index(l.s.id.Arch))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("its mirror has none for the architecture %s: %w", l.s.id.Arch, err)
	}
	if err != nil {
		return nil, err
	}
	index, err := apk.ReadIndex(body, l.keys.Keys)
	return index, errors.Join(err, body.Close())
}

// cacheDirs are where apk keeps indexes, and packages if it is told to: the
// first is there only where a person has set it up, and goes first.
var cacheDirs = []string{"etc/apk/cache", "var/cache/apk"}

// cachedIndexes returns the paths below the root at which apk keeps the index
// of a repository: their names have eight digits of a hash of the index's URL
// (SHA-256 in apk 3, SHA-1 before) or, in older ones, of the repository's
// as it was written.
func cachedIndexes(repo apk.Repository, arch string) []string {
	index := []byte(repo.Index(arch))
	hash2, hash3 := sha1.Sum(index), sha256.Sum256(index)
	sums := [][]byte{hash3[:4], hash2[:4]}
	words := strings.Fields(repo.Line)
	if len(words) > 0 {
		old := sha1.Sum([]byte(words[len(words)-1]))
		sums = append(sums, old[:4])
	}
	var out []string
	for _, dir := range cacheDirs {
		for _, sum := range sums {
			out = append(out, fmt.Sprintf("%s/APKINDEX.%x.tar.gz", dir, sum))
		}
	}
	return out
}
