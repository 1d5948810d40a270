package mirror

import (
	"bytes"

	bolt "go.etcd.io/bbolt"

	"github.com/samebits/samebits/lockfile"
)

// isChange reports whether what a Seen has in common with an earlier one of
// another digest is told as a change.
func (m *Mirror) isChange(c changedSeen) bool {
	if m.looksInto(c.Prefix) {
		return c.what&samePath != 0
	}
	return c.what&sameVersion != 0
}

// A Change is another digest of a package that an archive had shown before: it
// may be an attack.
type Change struct {
	Seen
	Before lockfile.Digest `json:"before"` // the one that was seen first
}

// Changes returns the changes that were ever seen, the latest first, at most
// limit and not more than some hundred.
func (m *Mirror) Changes(limit int) []Change {
	out := []Change{}
	for _, c := range m.history.changes(limit, m.isChange) {
		bucket, key := byVersion, c.versionKey()
		if m.looksInto(c.Prefix) {
			bucket, key = byPath, c.pathKey()
		}
		out = append(out, Change{c.Seen, m.history.before(bucket, key)})
	}
	return out
}

// A changedSeen is a Seen of which another digest had been seen before, and
// what the two have in common.
type changedSeen struct {
	Seen
	what byte
}

// maxChanges bounds how many changes are looked at for one answer.
const maxChanges = 1000

// changes returns what has changed, the latest first, as far as ok says that
// it counts, at most limit.
func (h *history) changes(limit int, ok func(changedSeen) bool) (out []changedSeen) {
	_ = h.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(byChange).Cursor()
		looked := 0
		for k, v := c.Last(); k != nil && len(out) < limit && looked < maxChanges; k, v = c.Prev() {
			looked++
			if s, found := h.at(k); found && len(v) == 1 && ok(changedSeen{s, v[0]}) {
				out = append(out, changedSeen{s, v[0]})
			}
		}
		return nil
	})
	return out
}

// before returns the digest of the first line whose key in a bucket differs
// from key in nothing but the digest, which is its last part.
func (h *history) before(bucket, key []byte) (first lockfile.Digest) {
	prefix := key[:len(key)-len(first)]
	var least []byte
	_ = h.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(bucket).Cursor()
		n := 0
		for k, at := c.Seek(prefix); bytes.HasPrefix(k, prefix) && n < maxChanges; k, at = c.Next() {
			n++
			if len(k) == len(key) && !bytes.Equal(k, key) && (least == nil || bytes.Compare(at, least) < 0) {
				least = bytes.Clone(at)
				copy(first[:], k[len(prefix):])
			}
		}
		return nil
	})
	return first
}
