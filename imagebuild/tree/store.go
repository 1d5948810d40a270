package tree

import (
	"bytes"
	"crypto/sha256"
	"io"
	"sync"
)

// Store keeps contents that a reader of an archive meets, since an archive is
// read once and a tree's contents many times. Keep reads r to its end and
// returns the content, its size and its digest; an error of r is returned as it
// is. Keep is called by one goroutine at a time.
type Store interface {
	Keep(r io.Reader) (Content, int64, Digest, error)
}

// MemoryStore keeps contents in memory, and equal ones once: for small trees.
type MemoryStore struct {
	seen map[Digest]Content
}

// Keep implements [Store].
func (m *MemoryStore) Keep(r io.Reader) (Content, int64, Digest, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, Digest{}, err
	}
	d := Digest(sha256.Sum256(b))
	content, found := m.seen[d]
	if !found {
		if m.seen == nil {
			m.seen = map[Digest]Content{}
		}
		content = Bytes(bytes.Clone(b))
		m.seen[d] = content
	}
	return content, int64(len(b)), d, nil
}

// Spool keeps contents one after the other in one file, which the caller makes,
// closes and removes. The contents live as long as it is open.
type Spool struct {
	file interface {
		io.WriterAt
		io.ReaderAt
	}
	mu  sync.Mutex
	end int64
}

// NewSpool spools to file, from its beginning.
func NewSpool(file interface {
	io.WriterAt
	io.ReaderAt
}) *Spool {
	return &Spool{file: file}
}

// Keep implements [Store].
func (s *Spool) Keep(r io.Reader) (Content, int64, Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := sha256.New()
	size, err := io.Copy(io.MultiWriter(io.NewOffsetWriter(s.file, s.end), h), r)
	if err != nil {
		return nil, 0, Digest{}, err
	}
	content := Section(s.file, s.end, size)
	s.end += size
	return content, size, Digest(h.Sum(nil)), nil
}
