package debian

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	debfile "github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

// inPackageCache looks for what is left in apt's cache of packages, then in the
// directories that were named. No signature stands behind a file there, so
// what is found is marked unsigned.
func (l *locating) inPackageCache(ctx context.Context, directories []string) error {
	dir := l.s.Config.ArchivesDir
	files, err := l.s.Files.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.s.events.Warning(fmt.Sprintf("the package cache /%s is not used: %v", dir, err))
	}
	found := map[distro.Package]lockfile.Entry{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if l.isWanted(f.Name()) {
			name := path.Join(dir, f.Name())
			l.look(found, "/"+name, func() (*os.File, error) { return l.s.Files.Open(name) })
		}
	}
	for _, dir := range directories {
		if err := l.inDirectory(ctx, dir, found); err != nil {
			return err
		}
	}
	l.take(func(p distro.Package) (located, bool) {
		e, ok := found[p]
		return located{entry: e}, ok
	})
	return nil
}

// inDirectory looks at all packages below a directory outside the root.
func (l *locating) inDirectory(ctx context.Context, dir string, found map[distro.Package]lockfile.Entry) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			l.s.events.Warning(fmt.Sprintf("the packages in %s are not used: %v", name, err))
			return nil
		}
		if !e.IsDir() && l.isWanted(e.Name()) {
			l.look(found, name, func() (*os.File, error) { return os.Open(name) })
		}
		return nil
	})
}

// isWanted reports whether a file may be of a package that is looked for.
func (l *locating) isWanted(base string) bool {
	name, _, ok := strings.Cut(base, "_")
	return ok && strings.HasSuffix(base, ".deb") &&
		slices.ContainsFunc(l.left, func(p distro.Package) bool { return p.Name == name })
}

// look adds the package that a file holds. The first file of each counts, and
// directories are read in order, so the choice is the same each time.
func (l *locating) look(found map[distro.Package]lockfile.Entry, name string, open func() (*os.File, error)) {
	p, d, err := cached(open)
	if err != nil {
		l.s.events.Warning(fmt.Sprintf("the package %s is not used: %v", name, err))
		return
	}
	if _, seen := found[p]; !seen {
		found[p] = l.guess(p, d)
	}
}

// cached reads which package a file holds, and hashes it.
func cached(open func() (*os.File, error)) (distro.Package, lockfile.Digest, error) {
	f, err := open()
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
	return lockfile.Entry{Digest: d, Path: path.Join("pool/main", poolPrefix(p.Name), p.Name, base), Unsigned: true}
}

// poolPrefix is the directory of a pool that has the directory of a source
// package.
func poolPrefix(source string) string {
	if strings.HasPrefix(source, "lib") && len(source) > 3 {
		return source[:4]
	}
	return source[:1]
}
