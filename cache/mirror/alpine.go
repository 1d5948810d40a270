package mirror

import (
	"archive/tar"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/samebits/samebits/distro/alpine/apk"
	"github.com/samebits/samebits/lockfile"
)

// Alpine is the Format of the archives of apk: any number of repositories,
// each a directory with an index and the packages of an architecture. The
// index is APKINDEX.tar.gz, or of apk 3 Packages.adb or any other .adb.
//
// An index tells no digest of a package but its identity, which vouches for
// the package's control segment and through that for its data.
type Alpine struct {
	// Keys may sign the indexes. Nil has signatures passed on unchecked.
	Keys *apk.Keys
	// Archive is what locks call the archive, of those repositories that lie
	// as in Alpine's own; it may be empty.
	Archive string

	verified verified
}

const (
	apkIndex  = "APKINDEX.tar.gz"
	adbIndex  = "Packages.adb"
	adbEnding = ".adb"
	apkEnding = ".apk"
)

// alpinePlace matches the indexes of Alpine's own repositories:
// branch/repository/architecture/index.
var alpinePlace = regexp.MustCompile(`^(?:edge|v[0-9]+\.[0-9]+|latest-stable)/[a-z][a-z0-9_-]*/[^/]+/[^/]+$`)

// Roots takes an index for a root, and expects packages beside it.
func (a *Alpine) Roots(name string) (roots []string, begins bool) {
	dir, base := path.Split(name)
	switch {
	case base == apkIndex || strings.HasSuffix(base, adbEnding):
		return []string{name}, true
	case strings.HasSuffix(base, apkEnding):
		return []string{dir + apkIndex, dir + adbIndex}, false
	}
	return nil, false
}

// Read gets the index, which is signed itself.
func (a *Alpine) Read(root string, get Getter, stored bool) (*Set, error) {
	data, err := get(root)
	if err != nil {
		return nil, err
	}
	if !stored {
		err := a.verified.once(func() error {
			_, err := apk.ReadIndex(bytes.NewReader(data), a.Keys)
			return err
		}, data)
		if err != nil {
			return nil, err
		}
	}
	f := File{Path: root, Digest: lockfile.DigestOf(data), Size: int64(len(data)), Index: true, Raw: true, Eager: true}
	if parts := strings.Split(root, "/"); len(parts) > 2 {
		f.Component, f.Arch = parts[len(parts)-3], parts[len(parts)-2]
	}
	set := &Set{Date: indexDate(data), Signed: a.Keys != nil, Files: []File{f}}
	if alpinePlace.MatchString(root) {
		set.Archive = a.Archive
	}
	return set, nil
}

// indexDate is when an APKINDEX.tar.gz was made: the time of the first file in
// the part of it that is signed. It is zero where that tells none, as in
// indexes that are made reproducibly, and those of apk 3.
func indexDate(data []byte) time.Time {
	r := bytes.NewReader(data)
	z, err := gzip.NewReader(r)
	for err == nil {
		z.Multistream(false)
		h, readErr := tar.NewReader(z).Next()
		if readErr != nil {
			break
		}
		if !strings.HasPrefix(h.Name, ".SIGN.") {
			if h.ModTime.Unix() <= 0 {
				break
			}
			return h.ModTime.UTC()
		}
		if _, err = io.Copy(io.Discard, io.LimitReader(z, maxBeside)); err == nil {
			err = z.Reset(r)
		}
	}
	return time.Time{}
}

// Packages reads an index.
func (a *Alpine) Packages(index File, r io.Reader, yield func(Package) error) error {
	x, err := apk.ReadIndex(r, nil)
	if err != nil {
		return err
	}
	dir, _ := path.Split(index.Path)
	for i := range x.Records {
		rec := &x.Records[i]
		p := Package{Size: rec.Size, Identity: rec.Identity, Name: rec.Name, Version: rec.Version, Arch: rec.Arch}
		if len(p.Identity) == 0 || len(p.Identity) > 32 {
			continue // nothing can be checked by such a record
		}
		if p.Size <= 0 {
			p.Size = -1
		}
		places := apkPaths(dir, x.PackagePath, rec)
		p.Optional = len(places) > 1
		for _, p.Path = range places {
			if lockfile.CheckPath(p.Path) != nil {
				continue
			}
			if err := yield(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// apkPaths returns where a package may lie: with the index, or in the
// directory of its own architecture beside that. dir is empty or ends with a
// slash. form is the index's PackagePath.
func apkPaths(dir, form string, rec *apk.Record) []string {
	parent, own := path.Split(strings.TrimSuffix(dir, "/"))
	if form != "" {
		name := expandForm(form, rec)
		switch {
		case own == "":
			return []string{name}
		case strings.HasPrefix(name, own+"/"):
			return []string{parent + name}
		}
		return []string{dir + name, parent + name}
	}
	name := rec.Name + "-" + rec.Version + apkEnding
	if own == "" || rec.Arch == "" || rec.Arch == own || strings.Contains(rec.Arch, "/") {
		return []string{dir + name}
	}
	return []string{dir + name, parent + rec.Arch + "/" + name}
}

// formField is a field in an index's PackagePath: the value of a record's
// field, or its first bytes.
var formField = regexp.MustCompile(`\$\{(name|version|arch|hash)(?::([0-9]{1,3}))?\}`)

func expandForm(form string, rec *apk.Record) string {
	values := map[string]string{"name": rec.Name, "version": rec.Version, "arch": rec.Arch, "hash": hex.EncodeToString(rec.Identity)}
	return formField.ReplaceAllStringFunc(form, func(field string) string {
		m := formField.FindStringSubmatch(field)
		value := values[m[1]]
		if n, err := strconv.Atoi(m[2]); err == nil {
			value = value[:min(n, len(value))]
		}
		return value
	})
}

// Checks is true of packages.
func (a *Alpine) Checks(name string) bool { return strings.HasSuffix(name, apkEnding) }

// Check holds a package to its identity.
func (a *Alpine) Check(p Package, _ Getter, r io.ReadSeeker) (Package, error) {
	if p.Identity == nil {
		return p, nil
	}
	rec, err := apk.ReadPackage(r)
	if err != nil {
		return p, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return p, err
	}
	want := apk.Record{Name: rec.Name, Version: rec.Version, Arch: rec.Arch, Identity: apkIdentity(p.Identity)}
	if err := apk.CheckPackage(r, want, a.Keys); err != nil {
		return p, fmt.Errorf("it is not the package of the index: %w", err)
	}
	p.Name, p.Version, p.Arch = rec.Name, rec.Version, rec.Arch
	if own := path.Base(path.Dir(p.Path)); p.Arch == "noarch" && own != "." {
		p.Arch = own // as the index has it, and so what was installed from it
	}
	return p, nil
}

// apkIdentity undoes the padding of a SHA-1. That a SHA-256 ends with so many
// zeros does not happen.
func apkIdentity(padded []byte) []byte {
	if len(padded) == 32 && bytes.Equal(padded[20:], make([]byte, 12)) {
		return padded[:20]
	}
	return padded
}
