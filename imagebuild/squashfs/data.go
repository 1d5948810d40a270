package squashfs

import (
	"context"
	"io"
	"sync"

	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

// stored is where a file's content is.
type stored struct {
	start    uint64   // of its blocks
	blocks   []uint32 // their sizes
	sparse   uint64   // bytes that are zero and not stored
	fragment uint32
	offset   uint32 // in the fragment
}

// block is what is compressed at once: a part of a file, or a fragment.
type block struct {
	file       *stored // nil for a fragment
	data, out  []byte
	size       uint32 // as it is written
	compressed bool
}

var blocks = sync.Pool{New: func() any { return &block{} }}

// data writes the contents of files.
type data struct {
	o         *Options
	out       *stream
	files     []*stored // by Node.InodeIndex
	fragments []byte    // 16 bytes each
	pending   *block    // the fragment that is being filled
	count     uint32    // fragments that were filled
}

func (d *data) write(ctx context.Context, t *tree.Tree) error {
	firsts := d.place(t)
	return compress.InOrder(ctx, func(ctx context.Context, give func(*block) error) error {
		ahead := tree.ReadAhead(ctx, func(yield func(tree.Node) bool) {
			for _, n := range firsts {
				if !yield(n) {
					return
				}
			}
		})
		defer ahead.Close()
		for _, n := range firsts {
			if err := ctx.Err(); err != nil {
				return err
			}
			f := &file{d: d, give: give, stored: d.files[n.InodeIndex()], isSmall: n.Inode().Size < int64(d.o.BlockSize)}
			if err := ahead.CopyTo(n, f); err != nil {
				return err
			}
			if err := f.end(); err != nil {
				return err
			}
		}
		if d.pending != nil {
			return give(d.pending)
		}
		return ctx.Err()
	}, func() func(*block) {
		c := d.o.newCompressor()
		return func(b *block) { b.compress(c) }
	}, d.take)
}

// place makes equal files one, and returns the first of each.
func (d *data) place(t *tree.Tree) []tree.Node {
	type key struct {
		digest tree.Digest
		size   int64
	}
	known := map[key]*stored{}
	d.files = make([]*stored, t.NumInodes())
	var firsts []tree.Node
	for n := range t.Inodes() {
		if !n.Mode().IsRegular() {
			continue
		}
		inode := n.Inode()
		k := key{inode.Digest, inode.Size}
		s, found := known[k]
		if !found {
			s = &stored{fragment: none32}
			known[k] = s
			firsts = append(firsts, n)
		}
		d.files[n.InodeIndex()] = s
	}
	return firsts
}

func (b *block) compress(c compressor) {
	if b.file != nil && sparse.IsZero(b.data) {
		b.size = 0
		return
	}
	b.out = c.compress(b.out[:0], b.data)
	b.compressed = len(b.out) < len(b.data)
	if b.compressed {
		b.size = uint32(len(b.out))
	} else {
		b.size = uint32(len(b.data)) | plainBlock
	}
}

// take writes a block and notes where.
func (d *data) take(b *block) error {
	at := d.out.at()
	if b.file == nil {
		d.fragments = little.AppendUint64(d.fragments, uint64(at))
		d.fragments = little.AppendUint32(d.fragments, b.size)
		d.fragments = little.AppendUint32(d.fragments, 0)
	} else {
		if len(b.file.blocks) == 0 {
			b.file.start = uint64(at)
		}
		b.file.blocks = append(b.file.blocks, b.size)
		if b.size == 0 {
			b.file.sparse += uint64(len(b.data))
		}
	}
	var err error
	switch {
	case b.size == 0:
	case b.compressed:
		_, err = d.out.Write(b.out)
	default:
		_, err = d.out.Write(b.data)
	}
	blocks.Put(b)
	return err
}

func newBlock(of *stored) *block {
	b := blocks.Get().(*block)
	b.file, b.data, b.compressed = of, b.data[:0], false
	return b
}

// file divides a content into blocks, or puts it into a fragment.
type file struct {
	d       *data
	give    func(*block) error
	stored  *stored
	isSmall bool
	now     *block
}

func (f *file) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		if f.now == nil {
			f.now = newBlock(f.stored)
		}
		n := min(len(p), f.d.o.BlockSize-len(f.now.data))
		f.now.data = append(f.now.data, p[:n]...)
		p = p[n:]
		if len(f.now.data) == f.d.o.BlockSize {
			if err := f.give(f.now); err != nil {
				return 0, err
			}
			f.now = nil
		}
	}
	return all, nil
}

func (f *file) end() error {
	if f.now == nil {
		return nil
	}
	if !f.isSmall {
		return f.give(f.now)
	}
	d := f.d
	if d.pending != nil && len(d.pending.data)+len(f.now.data) > d.o.BlockSize {
		if err := f.give(d.pending); err != nil {
			return err
		}
		d.pending = nil
	}
	if d.pending == nil {
		d.pending = newBlock(nil)
		d.count++
	}
	f.stored.fragment, f.stored.offset = d.count-1, uint32(len(d.pending.data))
	d.pending.data = append(d.pending.data, f.now.data...)
	blocks.Put(f.now)
	return nil
}

// stream writes one byte after the other to what is written at random.
type stream struct {
	w      io.WriterAt
	next   int64
	buffer []byte
}

const streamBuffer = 1 << 20

func (s *stream) at() int64 { return s.next + int64(len(s.buffer)) }

func (s *stream) Write(p []byte) (int, error) {
	if len(s.buffer)+len(p) > streamBuffer {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	s.buffer = append(s.buffer, p...)
	return len(p), nil
}

func (s *stream) flush() error {
	if len(s.buffer) == 0 {
		return nil
	}
	_, err := s.w.WriteAt(s.buffer, s.next)
	s.next = s.at()
	s.buffer = s.buffer[:0]
	return err
}
