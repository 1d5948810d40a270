package mirror

import (
	"bufio"
	"bytes"
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
	metaName  = []byte("meta")
	doneKey   = []byte("done") // how many bytes of the file are indexed
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
		for _, b := range [][]byte{byDigest, byPath, byVersion, metaName} {
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
			for _, b := range [][]byte{byDigest, byPath, byVersion, metaName} {
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
			if err := h.index(batch, at); err != nil {
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

func (s *Seen) versionKey() []byte { return append(s.versionPrefix(), s.Digest[:]...) }

func (s *Seen) versionPrefix() []byte {
	return []byte(s.Name + "\x00" + s.Version + "\x00" + s.Arch + "\x00" + s.Archive + "\x00")
}

// index puts the places of lines into the index, in the order of their keys.
func (h *history) index(batch []located, done int64) error {
	return h.db.Update(func(tx *bolt.Tx) error {
		put := func(bucket []byte, key func(*Seen) []byte) error {
			slices.SortFunc(batch, func(a, b located) int { return bytes.Compare(key(&a.Seen), key(&b.Seen)) })
			b := tx.Bucket(bucket)
			for i := range batch {
				if k := key(&batch[i].Seen); k != nil && b.Get(k) == nil {
					if err := b.Put(k, binary.BigEndian.AppendUint64(nil, uint64(batch[i].at))); err != nil {
						return err
					}
				}
			}
			return nil
		}
		return errors.Join(
			put(byDigest, func(s *Seen) []byte { return s.Digest[:] }),
			put(byPath, (*Seen).pathKey),
			put(byVersion, func(s *Seen) []byte {
				if s.Name == "" {
					return nil
				}
				return s.versionKey()
			}),
			tx.Bucket(metaName).Put(doneKey, binary.BigEndian.AppendUint64(nil, uint64(done))))
	})
}

// add records those that are new. It returns those of which the same archive
// had shown another digest for the same name, version and architecture.
func (h *history) add(all []Seen) (fresh int, changed []Seen, err error) {
	var text []byte
	var batch []located
	err = h.db.View(func(tx *bolt.Tx) error {
		paths, versions := tx.Bucket(byPath), tx.Bucket(byVersion).Cursor()
		for i := range all {
			s := &all[i]
			if paths.Get(s.pathKey()) != nil {
				continue
			}
			if s.Name != "" {
				prefix := s.versionPrefix()
				k, _ := versions.Seek(prefix)
				if bytes.HasPrefix(k, prefix) && !bytes.Equal(k[len(prefix):], s.Digest[:]) {
					changed = append(changed, *s)
				}
			}
			batch = append(batch, located{*s, int64(len(text))})
			text = append(text, s.line()...)
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
	return len(batch), changed, h.index(batch, at+int64(len(text)))
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
