package mirror

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/samebits/samebits/lockfile"
)

// A path index tells what one index of packages (a file of Debian's Packages,
// say) says of each path: it is derived from that file, named by its digest,
// and read in place, so that a mirror of many archives takes little memory.
//
// After the magic come records of one size, sorted by the first 16 bytes of
// the SHA-256 of the path: those 16 bytes; a byte that is 1 for a SHA-256 and
// 2 for an identity; 32 bytes of that; 8 bytes of size, big endian, -1 where it
// is not known.
const (
	pathIndexMagic = "samebits paths 1\n"
	keySize        = 16
	recordSize     = keySize + 1 + sha256.Size + 8
	isDigest       = 1
	isIdentity     = 2
	// maxPackages bounds what one index may name.
	maxPackages = 4_000_000
)

// want is what a file has to be: of a digest, or of an identity.
type want struct {
	digest   lockfile.Digest
	identity [sha256.Size]byte // where the digest is zero
	size     int64             // or -1
}

type pathRecord [recordSize]byte

func pathKey(path string) (key [keySize]byte) {
	sum := sha256.Sum256([]byte(path))
	copy(key[:], sum[:])
	return key
}

func newPathRecord(p *Package) (r pathRecord, err error) {
	key := pathKey(p.Path)
	copy(r[:], key[:])
	switch {
	case !p.Digest.IsZero():
		r[keySize] = isDigest
		copy(r[keySize+1:], p.Digest[:])
	case len(p.Identity) > 0 && len(p.Identity) <= sha256.Size:
		r[keySize] = isIdentity
		copy(r[keySize+1:], p.Identity)
	default:
		return r, fmt.Errorf("the index tells no digest of %s", p.Path)
	}
	binary.BigEndian.PutUint64(r[keySize+1+sha256.Size:], uint64(p.Size))
	return r, nil
}

func (r *pathRecord) want() (w want) {
	if r[keySize] == isDigest {
		copy(w.digest[:], r[keySize+1:])
	} else {
		copy(w.identity[:], r[keySize+1:])
	}
	w.size = int64(binary.BigEndian.Uint64(r[keySize+1+sha256.Size:]))
	return w
}

func sortRecords(records []pathRecord) {
	slices.SortFunc(records, func(a, b pathRecord) int { return bytes.Compare(a[:], b[:]) })
}

// writePathIndex has a file of sorted records appear at once.
func writePathIndex(name string, records []pathRecord) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	buf := append(make([]byte, 0, 1<<20), pathIndexMagic...)
	for i := range records {
		if buf = append(buf, records[i][:]...); len(buf) > 1<<20-recordSize {
			if _, err = f.Write(buf); err != nil {
				break
			}
			buf = buf[:0]
		}
	}
	if err == nil {
		_, err = f.Write(buf)
	}
	// The file must be whole after a power cut too: nothing else tells.
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// lookupPath asks a path index. An index that is not there is an error that
// wraps fs.ErrNotExist; a path that it does not have is not one.
func lookupPath(name, path string) (w want, ok bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return w, false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return w, false, err
	}
	n, rest := int((info.Size()-int64(len(pathIndexMagic)))/recordSize), (info.Size()-int64(len(pathIndexMagic)))%recordSize
	if n < 0 || rest != 0 {
		return w, false, fmt.Errorf("the path index %s is damaged; remove it", name)
	}
	key := pathKey(path)
	var r pathRecord
	var readErr error
	i, found := findRecord(n, func(i int) int {
		if _, err := f.ReadAt(r[:], int64(len(pathIndexMagic))+int64(i)*recordSize); err != nil && err != io.EOF {
			readErr = err
		}
		return bytes.Compare(r[:keySize], key[:])
	})
	if readErr != nil || !found {
		return w, false, readErr
	}
	_, err = f.ReadAt(r[:], int64(len(pathIndexMagic))+int64(i)*recordSize)
	return r.want(), err == nil, err
}

// findRecord finds the first of n sorted records of which compare gives 0.
func findRecord(n int, compare func(int) int) (int, bool) {
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if compare(mid) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < n && compare(lo) == 0
}
