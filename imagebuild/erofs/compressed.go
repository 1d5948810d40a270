package erofs

import (
	"context"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/samebits/samebits/imagebuild/compress"
	"github.com/samebits/samebits/imagebuild/tree"
)

// Files are compressed in segments, each by itself, so that all CPUs can take
// part and the bytes do not depend on how many there are.
const (
	segmentSize = 1 << 20
	zstdExtent  = 1 << zstdWindow // of a file, in one cluster
)

// extent is a run of a file that is in one cluster.
type extent struct {
	length int // bytes of the file
	blocks int
	plain  bool // not compressed
}

// segment is a part of a file: what is in data is put into out.
type segment struct {
	node    tree.Node
	isLast  bool
	data    []byte
	out     []byte // whole blocks
	extents []extent
}

var segments = sync.Pool{New: func() any { return &segment{} }}

// writeCompressed writes the files that are compressed, and returns how many
// blocks the file system has.
func (l *layout) writeCompressed(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
	c := &collector{l: l, w: w, out: &blockWriter{w: w, next: l.blocks}}
	err := compress.InOrder(ctx, func(ctx context.Context, give func(*segment) error) error {
		ahead := tree.ReadAhead(ctx, func(yield func(tree.Node) bool) {
			for n := range t.Inodes() {
				if l.places[n.InodeIndex()].streamed && !yield(n) {
					return
				}
			}
		})
		defer ahead.Close()
		return l.streamed(ctx, t, func(n tree.Node) error {
			s := &splitter{node: n, give: give}
			if err := ahead.CopyTo(n, s); err != nil {
				return err
			}
			return s.end()
		})
	}, l.o.newCompressor, c.take)
	if err != nil {
		return 0, err
	}
	return c.out.block(), c.out.flush()
}

// splitter divides a file into segments.
type splitter struct {
	node tree.Node
	give func(*segment) error
	now  *segment
}

func (s *splitter) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		if s.now != nil && len(s.now.data) == segmentSize {
			if err := s.give(s.now); err != nil {
				return 0, err
			}
			s.now = nil
		}
		if s.now == nil {
			s.now = segments.Get().(*segment)
			s.now.node, s.now.isLast = s.node, false
			s.now.data, s.now.out, s.now.extents = s.now.data[:0], s.now.out[:0], s.now.extents[:0]
		}
		n := min(len(p), segmentSize-len(s.now.data))
		s.now.data = append(s.now.data, p[:n]...)
		p = p[n:]
	}
	return all, nil
}

func (s *splitter) end() error {
	s.now.isLast = true
	return s.give(s.now)
}

func (o *Options) newCompressor() func(*segment) {
	if o.Compression == LZ4 {
		c := new(lz4Compressor)
		return func(s *segment) { s.lz4(c) }
	}
	level := zstd.SpeedDefault
	if o.Level > 0 {
		level = zstd.EncoderLevel(o.Level)
	}
	// The options are right, and else there is no error.
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(level), zstd.WithWindowSize(zstdExtent), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err)
	}
	buffer := make([]byte, 0, 2*zstdExtent)
	return func(s *segment) {
		for begin := 0; begin < len(s.data); begin += zstdExtent {
			part := s.data[begin:min(begin+zstdExtent, len(s.data))]
			s.padded(z.EncodeAll(part, buffer[:0]), part)
		}
	}
}

func (s *segment) lz4(c *lz4Compressor) {
	clear(c.table[:])
	for begin := 0; begin < len(s.data); {
		rest := len(s.data) - begin
		if rest > blockSize {
			if out, taken := c.table.compress(c.block[:0], s.data, begin, blockSize); taken > blockSize {
				// It has to end where the block does.
				s.out = append(append(s.out, zeros[:blockSize-len(out)]...), out...)
				s.extents = append(s.extents, extent{taken, 1, false})
				begin += taken
				continue
			}
		}
		n := min(rest, blockSize)
		s.plain(s.data[begin : begin+n])
		begin += n
	}
}

// plain puts in what has at most one block.
func (s *segment) plain(part []byte) {
	s.out = append(append(s.out, part...), zeros[:blockSize-len(part)]...)
	s.extents = append(s.extents, extent{len(part), 1, true})
}

// padded puts in a cluster, unless that saves no block.
func (s *segment) padded(compressed, part []byte) {
	blocks := (len(compressed) + blockSize - 1) / blockSize
	if blocks*blockSize >= len(part) {
		for len(part) > 0 {
			n := min(len(part), blockSize)
			s.plain(part[:n])
			part = part[n:]
		}
		return
	}
	s.out = append(append(s.out, zeros[:blocks*blockSize-len(compressed)]...), compressed...)
	s.extents = append(s.extents, extent{len(part), blocks, false})
}

// collector writes segments and, after the last of a file, its inode.
type collector struct {
	l     *layout
	w     io.WriterAt
	out   *blockWriter
	start int64  // the first block of the file
	index []byte // of the file's blocks
	at    int    // in the last block, where the next extent begins
	plain bool   // so far, nothing of the file is compressed
	head  []byte
}

func (c *collector) take(s *segment) error {
	if len(c.index) == 0 {
		c.start, c.at, c.plain = c.out.block(), 0, true
	}
	block := c.out.block()
	for _, e := range s.extents {
		c.add(e, uint32(block))
		c.plain = c.plain && e.plain
		block += int64(e.blocks)
	}
	err := c.out.write(s.out)
	if err == nil {
		err = c.l.checkSize(c.out.block())
	}
	if err == nil && s.isLast {
		err = c.end(s.node)
	}
	segments.Put(s)
	return err
}

func (c *collector) entry(kind, at uint16, value uint32) {
	c.index = little.AppendUint16(c.index, kind)
	c.index = little.AppendUint16(c.index, at)
	c.index = little.AppendUint32(c.index, value)
}

// add indexes an extent. Each block of a file has one entry: where in it the one
// extent that begins there begins, or how far away the beginning is.
func (c *collector) add(e extent, block uint32) {
	kind := uint16(indexHead)
	if e.plain {
		kind = indexPlain
	}
	c.entry(kind, uint16(c.at), block)
	end := c.at + e.length
	behind := end / blockSize
	for i := 1; i < behind; i++ {
		back := uint32(i)
		if i == 1 && e.blocks > 1 {
			back = manyBlocks | uint32(e.blocks)
		}
		c.entry(indexNonHead, 0, back|uint32(behind-i)<<16)
	}
	c.at = end % blockSize
	if behind == 0 {
		c.at = 0 // the file's end is in the block that has an entry already
	}
}

func (c *collector) end(n tree.Node) error {
	if c.at > 0 {
		c.entry(indexPlain, uint16(c.at), 0)
	}
	size := n.Inode().Size
	p := &c.l.places[n.InodeIndex()]
	if c.plain {
		c.head = c.l.appendInode(c.head[:0], n, size, layoutPlain, uint32(c.start))
	} else {
		c.head = c.l.appendInode(c.head[:0], n, size, layoutCompressed, uint32(c.out.block()-c.start))
		c.head = append(c.head, zeros[:roundUp(int64(len(c.head)), indexSize)-int64(len(c.head))]...)
		var m [mapHead]byte
		if c.l.o.Compression == Zstd {
			m[4] = adviseBig
			m[6] = algorithmZstd
		}
		c.head = append(append(c.head, m[:]...), c.index...)
	}
	c.index = c.index[:0]
	_, err := c.w.WriteAt(c.head, p.at)
	return err
}
