package arch

import (
	"context"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/arch/pacman"
	"github.com/samebits/samebits/lockfile"
)

// inDirectories looks for what is left among the files at hand. One with a
// trusted signature, beside it or in a database, is as good as one out of a
// database; one without is marked unsigned; one with a signature that is
// refused is not used.
func (l *locating) inDirectories(ctx context.Context) error {
	results := make([]*located, len(l.left))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	for i, p := range l.left {
		names := l.files.of(p.Name, p.Version, p.Arch)
		group.Go(func() error {
			for _, base := range names {
				for _, f := range l.files.named(base) {
					found, err := l.onShelf(p, base, f)
					if err == nil && (results[i] == nil || results[i].entry.Unsigned && !found.entry.Unsigned) {
						results[i] = found
					}
					if err != nil {
						l.s.events.Warning(fmt.Sprintf("%s is not used: %v", f.name, err))
					}
				}
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	found := map[distro.Package]located{}
	for i, p := range l.left {
		if results[i] != nil {
			found[p] = *results[i]
		}
	}
	l.take(found)
	return nil
}

// onShelf examines one file.
func (l *locating) onShelf(p distro.Package, base string, f shelved) (*located, error) {
	var signature []byte
	if l.catalog.keys != nil {
		signature = l.signatures[base]
		for _, s := range l.files.named(base + ".sig") {
			if path.Dir(s.name) != path.Dir(f.name) {
				continue
			}
			var err error
			if signature, err = s.read(maxSignature); err != nil {
				return nil, err
			}
		}
	}
	c := &claim{signature: signature, want: p, built: l.built[p]}
	if signature != nil {
		c.keys = l.catalog.keys
	}
	if err := f.check(c.check); err != nil {
		return nil, err
	}
	h := l.likelyHome(p, signature != nil)
	e := lockfile.Entry{Digest: c.got, Path: h.path(base), Archive: h.archive, Unsigned: signature == nil}
	return &located{e, c.found.BuildDate}, nil
}

// likelyHome guesses where a package lies that no database has at this
// version: where another version lies; else, if it is signed, where the
// distribution's archive keeps its past. Wrong guesses do no harm: the digest
// says which file is meant.
func (l *locating) likelyHome(p distro.Package, signed bool) home {
	for _, d := range l.catalog.databases {
		if slices.ContainsFunc(d.packages, func(q pacman.Desc) bool { return q.Name == p.Name }) {
			return d.home
		}
	}
	pub := l.s.publisher()
	h := home{lockfile.Archive{Name: pub.archive}, path.Join("packages", p.Name[:1], p.Name)}
	if !signed || !isKnownArchive(pub.archive) {
		h.archive.Name = lockfile.ArchiveName("", "")
	}
	return h
}
