package inspect

import (
	"errors"
	"io"
	"sync"

	"github.com/samebits/samebits/imagebuild/tree"
)

// source is a row of bytes. Where at is nil it can only be read from its
// beginning on, and its size may be unknown, which is -1.
type source struct {
	at   io.ReaderAt
	size int64
	open func() (io.ReadCloser, error)
}

// sourceAt is a part of what can be read at random.
func sourceAt(r io.ReaderAt, offset, size int64) source {
	if offset == 0 {
		return source{at: r, size: size}
	}
	return source{at: io.NewSectionReader(r, offset, size), size: size}
}

// sourceOf is the content of a file of a tree.
func sourceOf(n tree.Inode) source {
	if n.Content == nil {
		return source{size: n.Size, open: func() (io.ReadCloser, error) {
			if n.Size > 0 {
				return nil, tree.ErrNoContent
			}
			return tree.Bytes(nil).Open()
		}}
	}
	s := source{size: n.Size, open: n.Content.Open}
	if r, err := n.Content.Open(); err == nil {
		if at, ok := r.(io.ReaderAt); ok {
			s.at = at // of no descriptor, since those of files on disk are not inspected so
		} else {
			r.Close()
		}
	}
	return s
}

func (s source) valid() bool { return s.at != nil || s.open != nil }

// Open implements [tree.Content].
func (s source) Open() (io.ReadCloser, error) {
	if s.at != nil {
		return tree.Section(s.at, 0, s.size).Open()
	}
	return s.open()
}

// head is up to so many bytes from the beginning.
func (s source) head(size int) ([]byte, error) {
	r, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, size)
	n, err := io.ReadFull(r, b)
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return b[:n], err
}

// readable reads the whole.
func (s source) readable() error {
	r, err := s.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(io.Discard, r)
	return err
}

// all is the whole, which must not have more than limit bytes.
func (s source) all(limit int) ([]byte, error) {
	b, err := s.head(limit + 1)
	if err == nil && len(b) > limit {
		err = errTooLong
	}
	return b, err
}

var errTooLong = errors.New("it is longer than what is read of such")

// random is the source as one that can be read at random. Going back in one that
// cannot is reading it again, so that this is for headers and small files.
func (s source) random() source {
	if s.at == nil {
		s.at = &again{open: s.open}
	}
	return s
}

// again reads at random what can only be read from the beginning.
type again struct {
	open func() (io.ReadCloser, error)
	mu   sync.Mutex
	r    io.ReadCloser
	at   int64
}

// ReadAt implements [io.ReaderAt].
func (a *again) ReadAt(b []byte, at int64) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if at < 0 {
		return 0, errors.New("before the beginning")
	}
	if a.r == nil || at < a.at {
		if err := a.rewind(); err != nil {
			return 0, err
		}
	}
	n, err := io.CopyN(io.Discard, a.r, at-a.at)
	if a.at += n; err != nil {
		return 0, err
	}
	m, err := io.ReadFull(a.r, b)
	a.at += int64(m)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return m, err
}

func (a *again) rewind() (err error) {
	if a.r != nil {
		a.r.Close()
	}
	a.r, err = a.open()
	a.at = 0
	return err
}
