package target

import (
	"crypto/sha256"
	"io"
	"sync"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Spool is a [tree.Store] in a file, as [tree.Spool] is, for many small
// contents: they are gathered before they are written.
type Spool struct {
	file interface {
		io.WriterAt
		io.ReaderAt
	}
	mu      sync.Mutex
	end     int64  // of what is in the file
	pending []byte // what comes after it
	buffer  []byte // of Keep
	bound   int64  // of all; 0 for none
}

// pendingBytes is how much is written at a time.
const pendingBytes = 1 << 20

// NewSpool spools to file, from its beginning.
func NewSpool(file interface {
	io.WriterAt
	io.ReaderAt
}) *Spool {
	return &Spool{file: file, pending: make([]byte, 0, pendingBytes), buffer: make([]byte, 256<<10)}
}

// Keep implements [tree.Store].
func (s *Spool) Keep(r io.Reader) (tree.Content, int64, tree.Digest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, h := s.end+int64(len(s.pending)), sha256.New()
	for {
		n, err := r.Read(s.buffer)
		h.Write(s.buffer[:n])
		if s.bound > 0 && s.end+int64(len(s.pending)+n) > s.bound {
			return nil, 0, tree.Digest{}, &RoomError{s.bound}
		}
		if len(s.pending)+n > pendingBytes {
			if err := s.flush(); err != nil {
				return nil, 0, tree.Digest{}, err
			}
		}
		s.pending = append(s.pending, s.buffer[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, tree.Digest{}, err
		}
	}
	size := s.end + int64(len(s.pending)) - start
	return tree.Section(s, start, size), size, tree.Digest(h.Sum(nil)), nil
}

// flush writes what is pending. s.mu is held.
func (s *Spool) flush() error {
	n, err := s.file.WriteAt(s.pending, s.end)
	if err != nil {
		return err
	}
	s.end += int64(n)
	s.pending = s.pending[:0]
	return nil
}

// ReadAt implements [io.ReaderAt] over all that was kept.
func (s *Spool) ReadAt(b []byte, at int64) (int, error) {
	s.mu.Lock()
	end := s.end
	inFile := int(min(max(end-at, 0), int64(len(b))))
	n := inFile
	if from := max(at-end, 0); n < len(b) && from < int64(len(s.pending)) {
		n += copy(b[n:], s.pending[from:])
	}
	s.mu.Unlock()
	if inFile > 0 {
		if got, err := s.file.ReadAt(b[:inFile], at); got < inFile {
			return got, err
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
