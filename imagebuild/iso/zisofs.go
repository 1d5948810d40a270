package iso

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/samebits/samebits/imagebuild/tree"
)

// What a file that is compressed in blocks begins with, as zisofs has it.
const (
	zisofsMagic   = "\x37\xe4\x53\x96\xc9\xdb\xd6\x07"
	zisofsHeader  = 16
	minZisofsBits = 15
	maxZisofsBits = 17
	maxPacked     = 256 << 30 // bytes of all of them
)

// zisofs is what a record says of a compressed file.
type zisofs struct {
	bits uint
	size int64 // of what was compressed
}

func parseZisofs(e []byte) (*zisofs, error) {
	z := &zisofs{uint(e[3]), int64(binary.LittleEndian.Uint32(e[4:]))}
	if string(e[:2]) != "pz" || e[2] != zisofsHeader/4 || z.bits < minZisofsBits || z.bits > maxZisofsBits {
		return nil, fmt.Errorf("it is compressed in the way %q in blocks of 2^%d bytes, which is not known", e[:2], z.bits)
	}
	return z, nil
}

// unpack makes the content of a file that which was compressed.
func (p *reader) unpack(n *tree.Inode, z *zisofs) error {
	if p.packed += z.size; p.packed > maxPacked {
		return fmt.Errorf("more than %d bytes are compressed", int64(maxPacked))
	}
	c, ok := n.Content.(*content)
	if !ok || len(c.parts) != 1 {
		return errors.New("it is compressed, and in several extents")
	}
	n.Content = &unpacked{zisofs: *z, in: io.NewSectionReader(c.r, c.parts[0].Offset, c.parts[0].Length), done: p.ctx.Err}
	n.Size = z.size
	return nil
}

// unpacked is the content of a compressed file.
type unpacked struct {
	zisofs
	in   *io.SectionReader
	done func() error
}

// Open implements [tree.Content].
func (u *unpacked) Open() (io.ReadCloser, error) {
	head := make([]byte, zisofsHeader)
	if _, err := u.in.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("what is compressed: %w", err)
	}
	if string(head[:8]) != zisofsMagic || int64(binary.LittleEndian.Uint32(head[8:])) != u.size || head[12] != zisofsHeader/4 || uint(head[13]) != u.bits {
		return nil, errors.New("what is compressed does not begin so")
	}
	return &unpacking{u: u}, nil
}

// unpacking reads it block by block.
type unpacking struct {
	u    *unpacked
	next int64 // block
	now  []byte
}

func (r *unpacking) Close() error { return nil }

func (r *unpacking) Read(b []byte) (int, error) {
	for len(r.now) == 0 {
		if r.next<<r.u.bits >= r.u.size {
			return 0, io.EOF
		}
		if err := r.u.done(); err != nil {
			return 0, err
		}
		var err error
		if r.now, err = r.u.block(r.next); err != nil {
			return 0, err
		}
		r.next++
	}
	n := copy(b, r.now)
	r.now = r.now[n:]
	return n, nil
}

// block is one of the blocks, which lies between the place that is told for it and
// that for the next one. One of no bytes is of zeros.
func (u *unpacked) block(number int64) ([]byte, error) {
	var places [8]byte
	if _, err := u.in.ReadAt(places[:], zisofsHeader+4*number); err != nil {
		return nil, fmt.Errorf("the block %d: %w", number, err)
	}
	from, to := int64(binary.LittleEndian.Uint32(places[:])), int64(binary.LittleEndian.Uint32(places[4:]))
	size := min(int64(1)<<u.bits, u.size-number<<u.bits)
	if from > to || to > u.in.Size() {
		return nil, fmt.Errorf("the block %d is from byte %d to %d", number, from, to)
	}
	b := make([]byte, size)
	if from == to {
		return b, nil
	}
	z, err := zlib.NewReader(io.NewSectionReader(u.in, from, to-from))
	if err != nil {
		return nil, fmt.Errorf("the block %d: %w", number, err)
	}
	defer z.Close()
	if _, err := io.ReadFull(z, b); err != nil {
		return nil, fmt.Errorf("the block %d: %w", number, err)
	}
	return b, nil
}
