package erofs

import (
	"context"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
	"github.com/samebits/samebits/imagebuild/tree/sparse"
)

// writeLarge writes files that may have holes, which are chunks of zeros, and
// returns how many blocks the file system has.
func (l *layout) writeLarge(ctx context.Context, w io.WriterAt, t *tree.Tree) (int64, error) {
	out := &blockWriter{w: w, next: l.blocks}
	var head []byte
	err := l.streamed(ctx, t, func(n tree.Node) error {
		size := n.Inode().Size
		bits := chunkBits(size)
		c := chunks{ctx: ctx, out: out, size: 1 << bits}
		if err := n.CopyTo(&c); err != nil {
			return err
		}
		if err := c.end(); err != nil {
			return err
		}
		if err := l.checkSize(out.block()); err != nil {
			return err
		}
		p := &l.places[n.InodeIndex()]
		if c.holes == 0 {
			head = l.appendInode(head[:0], n, size, layoutPlain, c.addresses[0])
		} else {
			head = l.appendInode(head[:0], n, size, layoutChunks, uint32(bits-blockBits))
			for _, a := range c.addresses {
				head = little.AppendUint32(head, a)
			}
		}
		_, err := w.WriteAt(head, p.at)
		return err
	})
	if err != nil {
		return 0, err
	}
	return out.block(), out.flush()
}

// chunks writes the chunks of a file that are not zero, and notes where.
type chunks struct {
	ctx       context.Context
	out       *blockWriter
	size      int
	part      []byte // of a chunk
	addresses []uint32
	holes     int
}

func (c *chunks) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	all := len(p)
	if len(c.part) > 0 {
		n := min(c.size-len(c.part), len(p))
		c.part = append(c.part, p[:n]...)
		p = p[n:]
		if len(c.part) < c.size {
			return all, nil
		}
		if err := c.chunk(c.part); err != nil {
			return 0, err
		}
		c.part = c.part[:0]
	}
	for len(p) >= c.size {
		if err := c.chunk(p[:c.size]); err != nil {
			return 0, err
		}
		p = p[c.size:]
	}
	c.part = append(c.part, p...)
	return all, nil
}

func (c *chunks) chunk(p []byte) error {
	if sparse.IsZero(p) {
		c.addresses = append(c.addresses, nullAddress)
		c.holes++
		return nil
	}
	c.addresses = append(c.addresses, uint32(c.out.block()))
	return c.out.write(p)
}

func (c *chunks) end() error {
	if len(c.part) == 0 {
		return nil
	}
	return c.chunk(c.part)
}
