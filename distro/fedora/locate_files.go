package fedora

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/fedora/rpm"
	"github.com/samebits/samebits/lockfile"
)

// packageFiles are the package files of this machine, by their base names:
// those of the root's caches first.
type packageFiles struct {
	byName map[string][]string // file: URLs
}

// Bounds on directories of packages: nobody has more.
const (
	maxPackageFiles = 1 << 20
	maxCacheDepth   = 5
)

// newPackageFiles lists the package caches of the root and directories.
func (s *System) newPackageFiles(dirs []string) *packageFiles {
	f := &packageFiles{byName: map[string][]string{}}
	n := 0
	add := func(file string) bool {
		base := filepath.Base(file)
		if strings.HasSuffix(base, ".rpm") {
			f.byName[base] = append(f.byName[base], (&url.URL{Scheme: "file", Path: file}).String())
			n++
		}
		return n < maxPackageFiles
	}
	for _, dir := range s.cacheDirs() {
		s.cachedFiles(dir, 0, add)
	}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() && !add(file) {
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			s.events.Warning(fmt.Sprintf("the packages below %s are not all used: %v", dir, err))
		}
	}
	return f
}

// cachedFiles lists the files below a directory of the root. Links are let be:
// dnf makes none, and they could lead out of the root.
func (s *System) cachedFiles(dir string, depth int, add func(string) bool) bool {
	entries, err := s.Files.ReadDir(dir)
	if err != nil || depth > maxCacheDepth {
		return true // mostly since there is none
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch {
		case e.IsDir():
			if !s.cachedFiles(name, depth+1, add) {
				return false
			}
		case e.Type().IsRegular() && !add(s.Files.Join(name)):
			return false
		}
	}
	return true
}

// named returns the URLs of the files of a name.
func (f *packageFiles) named(base string) []string { return slices.Clone(f.byName[base]) }

// fileName is what the file of a package is called.
func fileName(p distro.Package) string {
	_, version, epoch := strings.Cut(p.Version, ":")
	if !epoch {
		version = p.Version
	}
	return p.Name + "-" + version + "." + p.Arch + ".rpm"
}

// inDirectories looks for a package among the files of this machine. A file
// with a trusted signature counts as much as one of a signed index. One
// without is taken with a mark if it is the build that is installed.
func (l *locating) inDirectories(ctx context.Context, p distro.Package) (located, bool) {
	urls := l.files.named(fileName(p))
	if len(urls) == 0 {
		return located{}, false
	}
	e := l.guess(p)
	var err error
	if e.Digest, err = l.signedFile(ctx, p, urls); err == nil {
		return located{entry: e}, true
	}
	refused := err
	e.Unsigned = true
	if e.Digest, err = l.builtFile(ctx, p, urls); err == nil {
		return located{entry: e}, true
	}
	if isRefusal(refused) {
		l.because(p, fmt.Sprintf("the file %s is refused: %v", fileName(p), refused))
	}
	return located{}, false
}

// signedFile asks for a file of a package that a trusted key signed.
func (l *locating) signedFile(ctx context.Context, p distro.Package, urls []string) (lockfile.Digest, error) {
	return l.identify(ctx, distro.Unhashed{Identity: path.Join("rpm/signed", l.build(p), fileName(p)), Size: -1, URLs: urls}, func(r io.Reader) error {
		file, _, err := rpm.Check(r, l.s.config.keys)
		if err != nil {
			return err
		}
		return l.isPackage(p, file)
	})
}

// builtFile asks for a file of the build that is installed, whoever signed it
// or not: the header is the installed one, and the header has the digest of
// the content.
func (l *locating) builtFile(ctx context.Context, p distro.Package, urls []string) (lockfile.Digest, error) {
	return l.identify(ctx, distro.Unhashed{Identity: path.Join("rpm/built", l.build(p), fileName(p)), Size: -1, URLs: urls}, func(r io.Reader) error {
		file, err := rpm.CheckDigests(r)
		if err != nil {
			return err
		}
		if _, known := l.sameBuild(p, file); !known {
			return errors.New("no trusted key signed it, and which build is installed is not known")
		}
		return l.isPackage(p, file)
	})
}

// build names the build that is installed, "any" where that is not known.
func (l *locating) build(p distro.Package) string {
	if have := l.installed[p]; have != nil {
		if digest, ok, err := have.HeaderDigest(); err == nil && ok {
			return hex.EncodeToString(digest[:])
		}
	}
	return "any"
}

// guess makes the entry of a package that is in no index, without its digest:
// at the build system, if it is one of Fedora's; else where an index has the
// package at another version; else with no archive. Wrong guesses do no harm:
// the digest says which file is meant.
func (l *locating) guess(p distro.Package) lockfile.Entry {
	if signed, _, ok := l.kojiPaths(p); ok && signed != "" {
		return lockfile.Entry{Path: signed, Archive: lockfile.Archive{Name: archiveKoji}}
	}
	var like []lockfile.Entry
	for _, x := range l.catalog.indexes {
		for i := range x.records {
			if r := &x.records[i]; r.Name == p.Name && r.Arch == p.Arch {
				e := sighting{x, r}.entry()
				e.Path = path.Join(path.Dir(e.Path), fileName(p))
				like = append(like, e)
			}
		}
	}
	if len(like) > 0 {
		return slices.MinFunc(like, func(a, b lockfile.Entry) int {
			return cmp.Or(cmp.Compare(len(a.Archive.URL), len(b.Archive.URL)), a.Compare(b))
		})
	}
	return lockfile.Entry{Path: "Packages/" + fileName(p)}
}
