// Package rpmdb reads the database of the packages that rpm installed, in all
// three forms that are in use: rpmdb.sqlite (Fedora 33 and later, RHEL 9),
// Packages.db (ndb, of SUSE) and Packages (the hash of Berkeley DB, before).
//
// It refuses to write, to lock and to create anything: a root may be read-only
// or belong to someone else. It needs no library of SQLite: one table is read
// from its pages, and what a write-ahead log has newer is read with it. A
// database that was left in the middle of a change is an error and never half
// a list.
package rpmdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"

	"github.com/samebits/samebits/distro/rootfs"
)

// Dirs are the directories in which rpm keeps its database, relative to a
// root. Most systems have one, and links at the places of the others.
var Dirs = []string{"usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm"}

// A form is one of the kinds of database.
type form struct {
	// backend is what rpm calls it.
	backend, file string
	open          func(db io.ReaderAt, size int64, beside func(suffix string) (*os.File, error)) (iter.Seq2[[]byte, error], error)
}

// forms are in the order in which they are preferred where a conversion left
// an old one beside a new one.
var forms = []form{
	{"sqlite", "rpmdb.sqlite", openSQLite},
	{"ndb", "Packages.db", openNDB},
	{"bdb", "Packages", openBDB},
}

// Paths are those at which a database may be, relative to a root.
func Paths() []string {
	var out []string
	for _, dir := range Dirs {
		for _, f := range forms {
			out = append(out, path.Join(dir, f.file))
		}
	}
	return out
}

// A Place says where the database of a root is.
type Place struct {
	// Dir is its directory, relative to the root.
	Dir string
	// Backend is what rpm calls its form: sqlite, ndb or bdb.
	Backend string
	form    form
}

// File is the path of the database, relative to the root.
func (p Place) File() string { return path.Join(p.Dir, p.form.file) }

// Find finds the database of a root. It wraps fs.ErrNotExist where there is
// none.
func Find(files *rootfs.Root) (Place, error) {
	for _, dir := range Dirs {
		for _, f := range forms {
			info, err := files.Stat(path.Join(dir, f.file))
			if err == nil && info.Mode().IsRegular() && info.Size() > 0 {
				return Place{Dir: dir, Backend: f.backend, form: f}, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return Place{}, err
			}
		}
	}
	return Place{}, fmt.Errorf("%s has no package database of rpm (%s): %w", files.Path(), path.Join(Dirs[1], forms[0].file), fs.ErrNotExist)
}

// attempts is how often a database is read that changes meanwhile.
const attempts = 5

// Read returns all packages of the database, in its own order, with the
// pseudo-packages "gpg-pubkey" among them (see [Package.IsKey]).
func Read(ctx context.Context, files *rootfs.Root, place Place) ([]*Package, error) {
	for range attempts {
		before, err := stamp(files, place)
		if err != nil {
			return nil, err
		}
		packages, readErr := readOnce(ctx, files, place)
		after, err := stamp(files, place)
		if err != nil {
			return nil, err
		}
		if before != after {
			continue // rpm is at work: what was read may be of two states
		}
		if readErr != nil {
			return nil, fmt.Errorf("read the package database %s: %w", files.Join(place.File()), readErr)
		}
		return packages, nil
	}
	return nil, fmt.Errorf("the package database %s changes all the time; try again when rpm has ended", files.Join(place.File()))
}

// A state tells whether files have changed.
type state [2]struct{ size, time int64 }

func stamp(files *rootfs.Root, place Place) (state, error) {
	var out state
	for i, suffix := range []string{"", "-wal"} {
		info, err := files.Stat(place.File() + suffix)
		if suffix != "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return state{}, err
		}
		out[i].size, out[i].time = info.Size(), info.ModTime().UnixNano()
	}
	return out, nil
}

func readOnce(ctx context.Context, files *rootfs.Root, place Place) ([]*Package, error) {
	db, err := files.Open(place.File())
	if err != nil {
		return nil, err
	}
	defer db.Close()
	info, err := db.Stat()
	if err != nil {
		return nil, err
	}
	pages, err := inMemory(db, info.Size())
	if err != nil {
		return nil, err
	}
	blobs, err := place.form.open(pages, info.Size(), func(suffix string) (*os.File, error) { return files.Open(place.File() + suffix) })
	if err != nil {
		return nil, err
	}
	var out []*Package
	for blob, err := range blobs {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		p, err := parsePackage(blob)
		if err != nil {
			return nil, fmt.Errorf("package %d: %w", len(out)+1, err)
		}
		out = append(out, p)
	}
	return out, nil
}

// maxInMemory is up to what size, in bytes, a database is read at once: one
// call in place of thousands.
const maxInMemory = 64 << 20

func inMemory(db *os.File, size int64) (io.ReaderAt, error) {
	if size > maxInMemory {
		return db, nil
	}
	data, err := readAt(db, size, 0)
	return bytes.NewReader(data), err
}

// errDamaged says that a database does not have the form that it should.
var errDamaged = errors.New("it is damaged; rpmdb --rebuilddb in the root mends what can be mended")

// maxBlob is the most bytes that a header may have; rpm allows no more.
const maxBlob = 256 << 20

// readAt reads exactly n bytes.
func readAt(r io.ReaderAt, n, offset int64) ([]byte, error) {
	buf := make([]byte, n)
	if _, err := r.ReadAt(buf, offset); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("it ends before byte %d: %w", offset+n, errDamaged)
		}
		return nil, err
	}
	return buf, nil
}
