package ext4

import (
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

const (
	streamSize = 1 << 20
	sparseSize = 64 << 20 // of contents whose holes are not read
)

var zeros [blockSize]byte

// stream writes bytes to ascending places, without blocks of zeros.
type stream struct {
	w   io.WriterAt
	at  int64 // of the buffer's first byte
	buf []byte
}

func newStream(w io.WriterAt) *stream { return &stream{w: w, buf: make([]byte, 0, streamSize)} }

func (s *stream) Write(p []byte) (int, error) {
	if len(s.buf)+len(p) > streamSize {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	s.buf = append(s.buf, p...)
	return len(p), nil
}

// seek goes on at another byte.
func (s *stream) seek(to int64) error {
	if to == s.at+int64(len(s.buf)) {
		return nil
	}
	err := s.flush()
	s.at = to
	return err
}

func (s *stream) flush() error {
	if len(s.buf) > 0 && !(len(s.buf) <= blockSize && sparse.IsZero(s.buf)) {
		if _, err := s.w.WriteAt(s.buf, s.at); err != nil {
			return err
		}
	}
	s.at += int64(len(s.buf))
	s.buf = s.buf[:0]
	return nil
}

// fileWriter gives a file's blocks places, but for those of zeros.
type fileWriter struct {
	e     *writer
	i     *diskInode
	block int64 // the next
	part  []byte
}

func (f *fileWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if len(f.part) == 0 && len(p) >= blockSize {
			if err := f.add(p[:blockSize]); err != nil {
				return 0, err
			}
			p = p[blockSize:]
			continue
		}
		k := min(len(p), blockSize-len(f.part))
		f.part = append(f.part, p[:k]...)
		p = p[k:]
		if len(f.part) == blockSize {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (f *fileWriter) add(b []byte) error {
	f.block++
	if sparse.IsZero(b) {
		return nil
	}
	at, err := f.e.allocate()
	if err != nil {
		return err
	}
	f.i.add(f.block-1, at)
	return f.e.put(at, b)
}

// flush writes a last block that is not full.
func (f *fileWriter) flush() error {
	if len(f.part) == 0 {
		return nil
	}
	b := append(f.part, zeros[len(f.part):]...)
	f.part = f.part[:0]
	return f.add(b)
}

func (e *writer) file(n tree.Node, i *diskInode, ahead *tree.Ahead) error {
	f := &fileWriter{e: e, i: i}
	inode := n.Inode()
	if done, err := f.sparse(&inode); done || err != nil {
		if err != nil && err != errFull {
			err = &tree.PathError{Path: n.Path(), Err: err}
		}
		return err
	}
	if err := ahead.CopyTo(n, f); err != nil {
		return err
	}
	return f.flush()
}

// sparse writes a content that is mostly holes.
func (f *fileWriter) sparse(n *tree.Inode) (bool, error) {
	s, ok := n.Content.(tree.Sparse)
	if !ok || n.Size < sparseSize {
		return false, nil
	}
	data := int64(0)
	for _, x := range s.Extents() {
		data += x.Length
	}
	if data > n.Size/2 {
		return false, nil
	}
	r, err := s.Open()
	if err != nil {
		return false, err
	}
	defer r.Close()
	at, ok := r.(io.ReaderAt)
	if !ok {
		return false, nil
	}
	b := make([]byte, blockSize)
	for _, x := range s.Extents() {
		for f.block = max(f.block, x.Offset/blockSize); f.block*blockSize < min(x.Offset+x.Length, n.Size); {
			clear(b)
			k := min(blockSize, n.Size-f.block*blockSize)
			if got, err := at.ReadAt(b[:k], f.block*blockSize); int64(got) < k {
				return false, err
			}
			if err := f.add(b); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}
