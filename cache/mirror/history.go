package mirror

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/samebits/samebits/lockfile"
)

// A Seen is a package file that a signed index named at some time. The history
// of them never shrinks.
type Seen struct {
	Digest  lockfile.Digest `json:"sha256"`
	Size    int64           `json:"size"`    // in bytes, or -1
	Archive string          `json:"archive"` // as locks name it
	Prefix  string          `json:"prefix"`  // of the upstream
	Path    string          `json:"path"`
	Name    string          `json:"name,omitempty"`
	Version string          `json:"version,omitempty"`
	Arch    string          `json:"arch,omitempty"`
	First   time.Time       `json:"first"` // when it was first seen
}

// history keeps what was seen: a file of lines that is the truth, and an index
// of it that can be deleted.
type history struct {
	lines *lineFile
	db    *bolt.DB
}

var (
	byDigest  = []byte("digest")  // digest → offset of a line
	byPath    = []byte("path")    // prefix NUL path NUL digest → offset
	byVersion = []byte("version") // name NUL version NUL arch NUL archive NUL digest → offset
	byChange  = []byte("changed") // offset → what is other than before: sameVersion, samePath
	metaName  = []byte("meta")
	doneKey   = []byte("done") // how many bytes of the file are indexed

	historyBuckets = [][]byte{byDigest, byPath, byVersion, byChange, metaName}
)

// What a line has in common with one before it, though its digest is another.
const (
	sameVersion = 1 << iota // name, version, architecture and archive
	samePath                // prefix and path
)

func openHistory(file, index string) (*history, error) {
	lines, err := openLines(file)
	if err != nil {
		return nil, err
	}
	h := &history{lines: lines}
	if err = h.openIndex(index); err != nil {
		// The index is derived: one that cannot be read is made anew.
		if err := os.Remove(index); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, lines.close())
		}
		err = h.openIndex(index)
	}
	if err == nil {
		err = h.catchUp()
	}
	if err != nil {
		return nil, fmt.Errorf("open the history %s: %w", file, errors.Join(err, h.close()))
	}
	return h, nil
}

func (h *history) openIndex(name string) error {
	db, err := bolt.Open(name, 0o644, &bolt.Options{Timeout: 5 * time.Second, NoFreelistSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, b := range historyBuckets {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	h.db = db
	return nil
}

func (h *history) close() error {
	if h.db == nil {
		return h.lines.close()
	}
	return errors.Join(h.db.Close(), h.lines.close())
}

// indexed is how much of the file the index covers.
func (h *history) indexed() (n int64) {
	_ = h.db.View(func(tx *bolt.Tx) error {
		if v := tx.Bucket(metaName).Get(doneKey); len(v) == 8 {
			n = int64(binary.BigEndian.Uint64(v))
		}
		return nil
	})
	return n
}

// catchUp indexes what was added when the index could not be.
func (h *history) catchUp() error {
	from, size := h.indexed(), h.lines.length()
	if from > size {
		// The index tells of lines that are not there: start over.
		err := h.db.Update(func(tx *bolt.Tx) error {
			for _, b := range historyBuckets {
				if err := errors.Join(tx.DeleteBucket(b), second(tx.CreateBucket(b))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		from = 0
	}
	r := bufio.NewReaderSize(io.NewSectionReader(h.lines.f, from, size-from), maxLine)
	var batch []located
	for at := from; ; {
		line, err := r.ReadSlice('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if seen, ok := parseSeen(string(line)); ok {
			batch = append(batch, located{seen, at})
		}
		at += int64(len(line))
		if len(batch) == 10_000 || err == io.EOF {
			if _, err := h.index(batch, at); err != nil {
				return err
			}
			batch = batch[:0]
		}
		if err == io.EOF {
			return nil
		}
	}
}

func second[T any](_ T, err error) error { return err }

type located struct {
	Seen
	at int64
}

func (s *Seen) pathKey() []byte {
	return append([]byte(s.Prefix+"\x00"+s.Path+"\x00"), s.Digest[:]...)
}

// versionKey is nil for what has no name.
func (s *Seen) versionKey() []byte {
	if s.Name == "" {
		return nil
	}
	return append(s.versionPrefix(), s.Digest[:]...)
}

func (s *Seen) versionPrefix() []byte {
	return []byte(s.Name + "\x00" + s.Version + "\x00" + s.Arch + "\x00" + s.Archive + "\x00")
}

// index puts the places of lines into the index, in the order of their keys.
// It returns, by their places, the lines that have another digest than one
// before them, and what they have in common with that.
func (h *history) index(batch []located, done int64) (changed map[int64]byte, err error) {
	changed = map[int64]byte{}
	err = h.db.Update(func(tx *bolt.Tx) error {
		for _, by := range []struct {
			bucket []byte
			key    func(*Seen) []byte
			common byte
		}{{byDigest, func(s *Seen) []byte { return s.Digest[:] }, 0}, {byPath, (*Seen).pathKey, samePath}, {byVersion, (*Seen).versionKey, sameVersion}} {
			if err := putPlaces(tx.Bucket(by.bucket), keysOf(batch, by.key), by.common, changed); err != nil {
				return err
			}
		}
		for at, what := range changed {
			if err := tx.Bucket(byChange).Put(offsetKey(at), []byte{what}); err != nil {
				return err
			}
		}
		return tx.Bucket(metaName).Put(doneKey, offsetKey(done))
	})
	return changed, err
}

// A keyed is the place of a line and one of its keys, which ends with a digest.
type keyed struct {
	key []byte
	at  int64
}

// head is what a key has before its digest.
func (k *keyed) head() []byte { return k.key[:len(k.key)-len(lockfile.Digest{})] }

// keysOf makes the keys of those that have one, in their order but, where only
// the digest differs, in that of the lines.
func keysOf(batch []located, key func(*Seen) []byte) []keyed {
	keys := make([]keyed, 0, len(batch))
	for i := range batch {
		if k := key(&batch[i].Seen); k != nil {
			keys = append(keys, keyed{k, batch[i].at})
		}
	}
	slices.SortFunc(keys, func(a, b keyed) int {
		return cmp.Or(bytes.Compare(a.head(), b.head()), cmp.Compare(a.at, b.at))
	})
	return keys
}

// putPlaces puts places of lines under keys that are not there. Lines of which
// the digest alone differs from that of one before have common set in changed;
// 0 is for keys that are but a digest.
func putPlaces(b *bolt.Bucket, keys []keyed, common byte, changed map[int64]byte) error {
	c := b.Cursor()
	for i := range keys {
		k := &keys[i]
		if b.Get(k.key) != nil {
			continue
		}
		if common != 0 {
			if before, _ := c.Seek(k.head()); bytes.HasPrefix(before, k.head()) {
				changed[k.at] |= common
			}
		}
		if err := b.Put(k.key, offsetKey(k.at)); err != nil {
			return err
		}
	}
	return nil
}

func offsetKey(at int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(at)) }

// add records those that are new, and returns what of them has changed.
func (h *history) add(all []Seen) (fresh int, changed []changedSeen, err error) {
	var text []byte
	var batch []located
	err = h.db.View(func(tx *bolt.Tx) error {
		paths := tx.Bucket(byPath)
		for i := range all {
			if s := &all[i]; paths.Get(s.pathKey()) == nil {
				batch = append(batch, located{*s, int64(len(text))})
				text = append(text, s.line()...)
			}
		}
		return nil
	})
	if err != nil || len(batch) == 0 {
		return 0, nil, err
	}
	at, err := h.lines.add(text)
	if err == nil {
		err = h.lines.f.Sync()
	}
	if err != nil {
		return 0, nil, err
	}
	for i := range batch {
		batch[i].at += at
	}
	flags, err := h.index(batch, at+int64(len(text)))
	for _, l := range batch {
		if what := flags[l.at]; what != 0 {
			changed = append(changed, changedSeen{l.Seen, what})
			delete(flags, l.at)
		}
	}
	return len(batch), changed, err
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// line is a Seen as the file has it: fields between spaces.
func (s *Seen) line() string {
	return fmt.Sprintf("%s %d %s %s %s %s %s %s %s\n", s.Digest, s.Size, s.First.UTC().Format(timestampForm),
		dash(s.Archive), s.Prefix, s.Path, dash(s.Name), dash(s.Version), dash(s.Arch))
}

// proper reports whether a Seen can be written as a line.
func (s *Seen) proper() bool {
	for _, f := range []string{s.Archive, s.Prefix, s.Name, s.Version, s.Arch} {
		if strings.ContainsAny(f, " \t\n\r\x00") {
			return false
		}
	}
	return lockfile.CheckPath(s.Path) == nil && len(s.Path)+len(s.Name)+len(s.Version) < maxLine/4
}

func parseSeen(line string) (Seen, bool) {
	line, whole := strings.CutSuffix(line, "\n")
	w := strings.Split(line, " ")
	if !whole || len(w) != 9 {
		return Seen{}, false
	}
	d, err1 := lockfile.ParseDigest(w[0])
	size, err2 := strconv.ParseInt(w[1], 10, 64)
	first, err3 := time.Parse(timestampForm, w[2])
	for i := range w {
		if w[i] == "-" {
			w[i] = ""
		}
	}
	s := Seen{Digest: d, Size: size, First: first, Archive: w[3], Prefix: w[4], Path: w[5], Name: w[6], Version: w[7], Arch: w[8]}
	return s, errors.Join(err1, err2, err3) == nil && size >= -1 && s.proper()
}

// at reads the line at an offset.
func (h *history) at(offset []byte) (Seen, bool) {
	if len(offset) != 8 {
		return Seen{}, false
	}
	at := int64(binary.BigEndian.Uint64(offset))
	buf := make([]byte, maxLine)
	n, _ := h.lines.f.ReadAt(buf[:1024], at)
	end := bytes.IndexByte(buf[:n], '\n')
	if end < 0 {
		n, _ = h.lines.f.ReadAt(buf, at)
		end = bytes.IndexByte(buf[:n], '\n')
	}
	if end < 0 {
		return Seen{}, false
	}
	return parseSeen(string(buf[:end+1]))
}

// digest returns one place where a file with the digest was seen.
func (h *history) digest(d lockfile.Digest) (s Seen, ok bool) {
	_ = h.db.View(func(tx *bolt.Tx) error {
		s, ok = h.at(tx.Bucket(byDigest).Get(d[:]))
		return nil
	})
	return s, ok
}

// find returns at most limit of the Seens whose keys begin so.
func (h *history) find(bucket []byte, prefix string, limit int) []Seen {
	var out []Seen
	_ = h.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		for k, v := c.Seek([]byte(prefix)); bytes.HasPrefix(k, []byte(prefix)) && len(out) < limit; k, v = c.Next() {
			if s, ok := h.at(v); ok {
				out = append(out, s)
			}
		}
		return nil
	})
	return out
}
