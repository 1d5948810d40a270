package mirror

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/debian/deb822"
	"github.com/samebits/samebits/lockfile"
)

// Debian is the Format of the archives of apt, as the Debian wiki's
// DebianRepository/Format describes them.
type Debian struct {
	// Keys may sign the archive. Nil has signatures passed on unchecked.
	Keys *archive.Keys
	// Architectures are those whose Packages are to be there before a suite
	// is first seen; what clients ask for is added to that as they do.
	Architectures []string
	// Components narrows that down; with none, those of all components are.
	Components []string
}

const (
	inRelease  = "InRelease"
	release    = "Release"
	releaseGPG = "Release.gpg"
)

// Roots finds the Release files at and above the path. Suites may have slashes
// in their names (bookworm/updates), and flat repositories have their Release
// anywhere.
func (d *Debian) Roots(name string) (roots []string, begins bool) {
	dir, base := path.Split(name)
	switch base {
	case inRelease:
		return []string{name}, true
	case release, releaseGPG:
		// Each binary-<arch> has a small Release of its own.
		if parent := path.Base(dir); !strings.HasPrefix(parent, "binary-") && parent != "source" {
			return []string{dir + release}, true
		}
	}
	if strings.HasPrefix(name, "pool/") {
		return nil, false
	}
	for dir = strings.TrimSuffix(dir, "/"); ; dir = path.Dir(dir) {
		if dir == "." || dir == "" {
			return append(roots, inRelease, release), false
		}
		if dir == "dists" {
			return roots, false
		}
		roots = append(roots, dir+"/"+inRelease, dir+"/"+release)
	}
}

// Read gets InRelease alone, or Release with Release.gpg.
func (d *Debian) Read(root string, get Getter, stored bool) (*Set, error) {
	data, err := get(root)
	if err != nil {
		return nil, err
	}
	var text []byte
	signed := d.Keys != nil
	if path.Base(root) == inRelease {
		text, err = d.openInRelease(data, stored)
	} else {
		text, err = data, nil
		var signature []byte
		signature, err = get(root + ".gpg")
		if errors.Is(err, fs.ErrNotExist) && d.Keys == nil {
			err = nil
		}
		if err == nil && d.Keys != nil && !stored {
			err = archive.VerifyDetached(data, signature, d.Keys, time.Now())
		}
	}
	if err != nil {
		return nil, err
	}
	rel, err := archive.ParseRelease(text)
	if err != nil {
		return nil, err
	}
	files, err := d.files(strings.TrimSuffix(root, path.Base(root)), text, rel)
	if err != nil {
		return nil, err
	}
	return &Set{Archive: rel.Archive(), Date: rel.Date, Signed: signed, Files: files}, nil
}

func (d *Debian) openInRelease(data []byte, stored bool) ([]byte, error) {
	if d.Keys == nil || stored {
		return archive.Unsigned(data)
	}
	return archive.Verify(data, d.Keys, time.Now())
}

// files lists what a Release names, with the paths by hash. Debian's own has
// some thousands.
func (d *Debian) files(dir string, text []byte, rel *archive.Release) ([]File, error) {
	digests, err := otherDigests(text)
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(rel.Files))
	for name, f := range rel.Files {
		full := dir + name
		if lockfile.CheckPath(full) != nil || f.Size < 0 {
			continue // such a path cannot be asked for
		}
		file := File{Path: full, Digest: f.Digest, Size: f.Size}
		at := path.Dir(full) + "/by-hash/"
		if path.Dir(full) == "." {
			at = "by-hash/"
		}
		file.Others = append(file.Others, at+"SHA256/"+f.Digest.String())
		if rel.ByHash {
			file.First = file.Others[0]
		}
		for _, o := range digests[name] {
			file.Others = append(file.Others, at+o)
		}
		d.describe(&file, name)
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	d.chooseEager(files, rel.NoAllIndex)
	return files, nil
}

// describe says what a file of metadata is by its name.
func (d *Debian) describe(f *File, name string) {
	dir, base := path.Split(name)
	stem := strings.TrimSuffix(base, path.Ext(base))
	if path.Ext(base) == "" {
		stem = base
	}
	f.Index = stem == "Packages" || stem == "Sources" || base == "Index" && strings.HasSuffix(dir, ".diff/")
	parts := strings.Split(strings.TrimSuffix(dir, "/"), "/")
	if n := len(parts); f.Index && n >= 2 {
		f.Component = strings.Join(parts[:n-1], "/")
		f.Arch = strings.TrimPrefix(parts[n-1], "binary-")
	}
}

// preferred are the forms that apt asks for, best first.
var preferred = []string{".xz", ".lzma", ".bz2", ".lz4", ".zst", ".gz", ""}

// chooseEager marks the best form of each wanted Packages. noAll says that
// those of each architecture have the packages for all of them too.
func (d *Debian) chooseEager(files []File, noAll bool) {
	best := map[string]int{} // by path without ending
	rank := func(i int) int { return slices.Index(preferred, path.Ext(files[i].Path)) }
	for i, f := range files {
		stem := strings.TrimSuffix(f.Path, path.Ext(f.Path))
		if path.Ext(f.Path) == "" {
			stem = f.Path
		}
		if f.Index && path.Base(stem) == "Packages" && rank(i) >= 0 && d.wants(f, noAll) {
			if j, ok := best[stem]; !ok || rank(i) < rank(j) {
				best[stem] = i
			}
		}
	}
	for _, i := range best {
		files[i].Eager = true
	}
}

func (d *Debian) wants(f File, noAll bool) bool {
	if strings.Contains(f.Component, "debian-installer") || len(d.Components) > 0 && !slices.Contains(d.Components, f.Component) {
		return false
	}
	return slices.Contains(d.Architectures, f.Arch) || f.Arch == "all" && !noAll && len(d.Architectures) > 0
}

// otherDigests returns, for each path of a Release, the part of its by-hash
// path for every algorithm besides SHA-256: "SHA512/<hex>".
func otherDigests(text []byte) (map[string][]string, error) {
	algorithms := []struct {
		field string
		size  int
	}{{"SHA512", 64}, {"SHA1", 20}, {"MD5Sum", 16}}
	out := map[string][]string{}
	fields := make([]string, len(algorithms))
	for i, a := range algorithms {
		fields[i] = a.field
	}
	err := deb822.Scan(bytes.NewReader(text), fields, func(values [][]byte) error {
		for i, a := range algorithms {
			for line := range bytes.Lines(values[i]) {
				w := bytes.Fields(line)
				if len(w) != 3 || len(w[0]) != 2*a.size {
					continue
				}
				if sum, err := hex.DecodeString(string(w[0])); err == nil {
					out[string(w[2])] = append(out[string(w[2])], a.field+"/"+hex.EncodeToString(sum))
				}
			}
		}
		return nil
	})
	return out, err
}

// Packages reads a Packages, a Sources or the Index of a directory of diffs.
func (d *Debian) Packages(index File, r io.Reader, yield func(Package) error) error {
	switch base := path.Base(index.Path); {
	case base == "Index":
		return diffIndex(path.Dir(index.Path), r, yield)
	case strings.HasPrefix(base, "Sources"):
		return sources(r, yield)
	}
	fields := []string{"Package", "Version", "Architecture", "Filename", "Size", "SHA256"}
	return deb822.Scan(r, fields, func(v [][]byte) error {
		p := Package{Name: string(v[0]), Version: string(v[1]), Arch: string(v[2]), Path: cleanPath(string(v[3]))}
		size, err := strconv.ParseInt(string(v[4]), 10, 64)
		if err != nil || size < 0 || p.Digest.UnmarshalText(v[5]) != nil || p.Digest.IsZero() || lockfile.CheckPath(p.Path) != nil {
			return nil // nothing can be checked by such a record
		}
		p.Size = size
		return yield(p)
	})
}

// cleanPath undoes what flat repositories write: "./x.deb".
func cleanPath(p string) string {
	for strings.HasPrefix(p, "./") {
		p = strings.TrimLeft(p[1:], "/")
	}
	return p
}

// sources reads the paragraphs of a Sources: each names a few files.
func sources(r io.Reader, yield func(Package) error) error {
	fields := []string{"Package", "Version", "Directory", "Checksums-Sha256"}
	return deb822.Scan(r, fields, func(v [][]byte) error {
		dir := strings.TrimSuffix(cleanPath(string(v[2])+"/"), "/")
		return eachChecksum(v[3], func(digest lockfile.Digest, size int64, name string) error {
			full := path.Join(dir, name)
			if lockfile.CheckPath(full) != nil || strings.Contains(name, "/") {
				return nil
			}
			p := Package{Path: full, Size: size, Digest: digest}
			if strings.HasSuffix(name, ".dsc") {
				p.Name, p.Version, p.Arch = string(v[0]), string(v[1]), "source"
			}
			return yield(p)
		})
	})
}

// diffIndex reads what a directory of diffs has for download.
func diffIndex(dir string, r io.Reader, yield func(Package) error) error {
	return deb822.Scan(r, []string{"SHA256-Download"}, func(v [][]byte) error {
		return eachChecksum(v[0], func(digest lockfile.Digest, size int64, name string) error {
			full := dir + "/" + name
			if lockfile.CheckPath(full) != nil {
				return nil
			}
			byHash := dir + "/by-hash/SHA256/" + digest.String()
			return errors.Join(yield(Package{Path: full, Size: size, Digest: digest}),
				yield(Package{Path: byHash, Size: size, Digest: digest}))
		})
	})
}

func eachChecksum(value []byte, f func(lockfile.Digest, int64, string) error) error {
	for line := range bytes.Lines(value) {
		w := bytes.Fields(line)
		if len(w) == 0 {
			continue
		}
		var digest lockfile.Digest
		if len(w) != 3 || digest.UnmarshalText(w[0]) != nil || digest.IsZero() {
			return fmt.Errorf("a line %q where a digest, a size and a name are due", line[:min(len(line), 60)])
		}
		size, err := strconv.ParseInt(string(w[1]), 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("%q is not a size", w[1])
		}
		if err := f(digest, size, string(w[2])); err != nil {
			return err
		}
	}
	return nil
}
