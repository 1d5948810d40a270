package debian

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	debfile "github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

// inPackageCache looks for what is left in apt's cache of packages. No
// signature stands behind a file there, so what is found is marked unsigned.
func (l *locating) inPackageCache(ctx context.Context) error {
	dir := l.s.Config.ArchivesDir
	files, err := l.s.Files.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		l.s.events.Warning(fmt.Sprintf("the package cache /%s is not used: %v", dir, err))
		return nil
	}
	byPackage := map[distro.Package]lockfile.Entry{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		name, _, ok := strings.Cut(f.Name(), "_")
		if !ok || !strings.HasSuffix(f.Name(), ".deb") ||
			!slices.ContainsFunc(l.left, func(p distro.Package) bool { return p.Name == name }) {
			continue
		}
		p, d, err := l.cached(path.Join(dir, f.Name()))
		if err != nil {
			l.s.events.Warning(fmt.Sprintf("the cached package /%s is not used: %v", path.Join(dir, f.Name()), err))
			continue
		}
		if _, seen := byPackage[p]; !seen { // ReadDir sorts: the choice is the same each time
			byPackage[p] = l.guess(p, d)
		}
	}
	l.take(func(p distro.Package) (located, bool) {
		e, ok := byPackage[p]
		return located{entry: e}, ok
	})
	return nil
}

// cached reads which package a file holds, and hashes it.
func (l *locating) cached(name string) (distro.Package, lockfile.Digest, error) {
	f, err := l.s.Files.Open(name)
	if err != nil {
		return distro.Package{}, lockfile.Digest{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return distro.Package{}, lockfile.Digest{}, err
	}
	c, err := debfile.Read(f, info.Size())
	if err != nil {
		return distro.Package{}, lockfile.Digest{}, err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return distro.Package{}, lockfile.Digest{}, err
	}
	return distro.Package{Name: c.Package, Version: c.Version, Arch: c.Architecture}, lockfile.Digest(h.Sum(nil)), nil
}

// guess makes the entry of a cached package. Where an index has the package at
// another version, its archive and directory are taken to be those of this one
// too; else the archive is not known, and the path is what Debian's would be.
// Wrong guesses do no harm: the digest says which file is meant.
func (l *locating) guess(p distro.Package, d lockfile.Digest) lockfile.Entry {
	_, version, epoch := strings.Cut(p.Version, ":")
	if !epoch {
		version = p.Version
	}
	base := p.Name + "_" + version + "_" + p.Arch + ".deb"
	var like []sighting
	for _, x := range l.catalog.indexes {
		for _, r := range x.records {
			if r.Name == p.Name {
				like = append(like, sighting{x, r})
			}
		}
	}
	if len(like) > 0 {
		best := slices.MinFunc(like, sighting.compare)
		return lockfile.Entry{Digest: d, Path: path.Join(path.Dir(best.record.Path), base), Archive: best.index.archive, Unsigned: true}
	}
	prefix := p.Name[:1]
	if strings.HasPrefix(p.Name, "lib") && len(p.Name) > 3 {
		prefix = p.Name[:4]
	}
	return lockfile.Entry{Digest: d, Path: path.Join("pool/main", prefix, p.Name, base), Unsigned: true}
}
