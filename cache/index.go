package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
	"go.etcd.io/bbolt"
)

// The index answers what the names file says without reading all of it. Its
// only bucket of content has keys of a digest and a path. Beside it lies a
// seal, the SHA-256 of the whole index file: one that was truncated, damaged
// or left half written by a crash does not match, and is not opened.
//
// Whoever calls has the cache's lock: shared to read, exclusive to write.

var (
	namesBucket = []byte("names")
	metaBucket  = []byte("meta")
	coversKey   = []byte("covers")
)

// batch is how many keys go into one transaction.
const batch = 2000

var errStale = errors.New("the index is not of these names")

type index struct{ db *bbolt.DB }

func (x *index) close() { x.db.Close() }

// covers identifies the first end bytes of a names file, by their length and
// the digest of the last of them.
func covers(f *os.File, end int64) ([]byte, error) {
	const tail = 4 << 10
	from := max(0, end-tail)
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, from, end-from)); err != nil {
		return nil, err
	}
	return h.Sum(binary.BigEndian.AppendUint64(nil, uint64(end))), nil
}

// seal returns what the seal of the index file must say now.
func (c *Cache) seal() ([]byte, error) {
	f, err := openBlob(c.path(indexFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := hashAll(context.Background(), h, f); err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%x  %s\n", h.Sum(nil), indexFile), nil
}

// sealedIndex opens the index to read, if it is sound and made of exactly the
// first end bytes of the names file.
func (c *Cache) sealedIndex(names *os.File, end int64) (*index, error) {
	want, err := c.seal()
	if err != nil {
		return nil, err
	}
	if got, err := os.ReadFile(c.path(sealFile)); err != nil || !bytes.Equal(got, want) {
		return nil, errors.Join(errStale, err)
	}
	db, err := bbolt.Open(c.path(indexFile), blobMode, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return nil, err
	}
	x := &index{db}
	id, err := covers(names, end)
	if err == nil && !bytes.Equal(x.covers(), id) {
		err = errStale
	}
	if err != nil {
		x.close()
		return nil, err
	}
	return x, nil
}

func (x *index) covers() (id []byte) {
	x.db.View(func(tx *bbolt.Tx) error {
		if b := tx.Bucket(metaBucket); b != nil {
			id = bytes.Clone(b.Get(coversKey))
		}
		return nil
	})
	return id
}

func (n name) key() []byte { return append(slices.Clone(n.digest[:]), n.path...) }

func (x *index) has(n name) (found bool) {
	x.db.View(func(tx *bbolt.Tx) error {
		k, _ := tx.Bucket(namesBucket).Cursor().Seek(n.key())
		found = bytes.Equal(k, n.key())
		return nil
	})
	return found
}

// each calls f for the names of one digest, or of all if only is nil.
func (x *index) each(only *lockfile.Digest, f func(name)) error {
	var prefix []byte
	if only != nil {
		prefix = only[:]
	}
	return x.db.View(func(tx *bbolt.Tx) error {
		cur := tx.Bucket(namesBucket).Cursor()
		for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix) && k != nil; k, _ = cur.Next() {
			f(name{lockfile.Digest(k[:sha256.Size]), strings.Clone(string(k[sha256.Size:]))})
		}
		return nil
	})
}

// extendIndex adds sorted names to a sound index, which from then on covers
// the first end bytes of the names file.
func (c *Cache) extendIndex(names *os.File, end int64, add []name) error {
	id, err := covers(names, end)
	if err != nil {
		return err
	}
	// What the disk has of the index after a power failure is told by the
	// seal, so there is no need to wait for the disk.
	db, err := bbolt.Open(c.path(indexFile), blobMode, &bbolt.Options{NoSync: true, Timeout: time.Second})
	if err != nil {
		return err
	}
	err = putNames(db, add)
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(metaBucket)
			if err != nil {
				return err
			}
			return b.Put(coversKey, id)
		})
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	seal, err := c.seal()
	if err != nil {
		return err
	}
	return os.WriteFile(c.path(sealFile), seal, blobMode)
}

func putNames(db *bbolt.DB, add []name) error {
	// The bucket is there even if it stays empty.
	for part := range slices.Chunk(append([]name{{}}, add...), batch) {
		err := db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(namesBucket)
			if err != nil {
				return err
			}
			for _, n := range part {
				if n.path == "" {
					continue
				}
				if err := b.Put(n.key(), []byte{}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// rebuildIndex makes the index of the first end bytes of the names file.
func (c *Cache) rebuildIndex(names *os.File, end int64) error {
	if err := c.dropIndex(); err != nil {
		return err
	}
	var all []name
	if err := parseNames(io.NewSectionReader(names, 0, end), func(n name) { all = append(all, n) }); err != nil {
		return err
	}
	slices.SortFunc(all, name.compare)
	return c.explain(c.extendIndex(names, end, slices.Compact(all)))
}

// dropIndex removes the index, whatever may lie there in its place.
func (c *Cache) dropIndex() error {
	for _, name := range []string{sealFile, indexFile} {
		if err := os.RemoveAll(c.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c.explain(err)
		}
	}
	return nil
}
