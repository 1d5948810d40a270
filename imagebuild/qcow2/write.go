package qcow2

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

// Write writes the first size bytes of a disk as an image to w, from its byte 0
// on, and returns the image's size. A disk that knows its holes, as a
// [tree.Sparse] does by its Extents, is not read in them; it is read by several
// goroutines at once. w has to be empty.
func Write(ctx context.Context, disk io.ReaderAt, size int64, w io.WriterAt, o Options) (int64, error) {
	n, err := write(ctx, disk, size, w, o)
	if err != nil {
		return 0, fmt.Errorf("writing a qcow2 image: %w", err)
	}
	return n, nil
}

func write(ctx context.Context, disk io.ReaderAt, size int64, w io.WriterAt, o Options) (int64, error) {
	if err := o.check(size); err != nil {
		return 0, err
	}
	s := &source{r: disk, size: size}
	if sparse, ok := disk.(interface{ Extents() []tree.Extent }); ok {
		s.extents, s.sparse = sparse.Extents(), true
	}
	l1Size := up(up(size, clusterSize)/clusterSize, perL2) / perL2
	p := &writer{w: w, l1: make([]uint64, l1Size), l2: map[int64][]uint64{}, o: o}
	p.end = clusterSize + up(l1Size*8, clusterSize)
	p.count(0, p.end)
	if err := s.each(ctx, o.Compression, p.add); err != nil {
		return 0, err
	}
	return p.finish(size)
}

// writer is an image that is written.
type writer struct {
	w    io.WriterAt
	o    Options
	end  int64 // where what comes next goes
	l1   []uint64
	l2   map[int64][]uint64 // by index in l1
	refs []uint16           // of each cluster of the image
}

// count counts a reference to each cluster of a part of the image.
func (p *writer) count(at, length int64) {
	last := (at + length - 1) / clusterSize
	for int64(len(p.refs)) <= last {
		p.refs = append(p.refs, 0)
	}
	for i := at / clusterSize; i <= last; i++ {
		p.refs[i]++
	}
}

// add writes a cluster of the disk.
func (p *writer) add(c *cluster) error {
	data, entry := c.packed, uint64(0)
	if data == nil {
		data = *c.data
		p.end = up(p.end, clusterSize)
		entry = uint64(p.end) | copied
	} else {
		// How many sectors it has besides the one that it begins in.
		more := (p.end+int64(len(data))-1)/sectorSize - p.end/sectorSize
		entry = compressed | uint64(more)<<(62-(clusterBits-8)) | uint64(p.end)
	}
	table := p.l2[c.index/perL2]
	if table == nil {
		table = make([]uint64, perL2)
		p.l2[c.index/perL2] = table
	}
	table[c.index%perL2] = entry
	p.count(p.end, int64(len(data)))
	_, err := p.w.WriteAt(data, p.end)
	p.end += int64(len(data))
	return err
}

// finish writes what tells where the data is.
func (p *writer) finish(size int64) (int64, error) {
	p.end = up(p.end, clusterSize)
	for i := range p.l1 {
		table := p.l2[int64(i)]
		if table == nil {
			continue
		}
		p.l1[i] = uint64(p.end) | copied
		p.count(p.end, clusterSize)
		if _, err := p.w.WriteAt(bigEndian(table), p.end); err != nil {
			return 0, err
		}
		p.end += clusterSize
	}
	if _, err := p.w.WriteAt(bigEndian(p.l1), clusterSize); err != nil {
		return 0, err
	}
	refs, refsClusters := p.end, int64(0)
	if err := p.writeRefs(&refsClusters); err != nil {
		return 0, err
	}
	_, err := p.w.WriteAt(p.header(size, refs, refsClusters), 0)
	return p.end, err
}

// writeRefs writes the table of blocks of counts, and these, which count
// themselves, too.
func (p *writer) writeRefs(tableClusters *int64) error {
	used := p.end / clusterSize
	blocks := int64(0)
	for {
		*tableClusters = max(1, up(blocks*8, clusterSize)/clusterSize)
		need := up(used+*tableClusters+blocks, perRefBlock) / perRefBlock
		if need == blocks {
			break
		}
		blocks = need
	}
	p.count(p.end, (*tableClusters+blocks)*clusterSize)
	table := make([]uint64, *tableClusters*clusterSize/8)
	at := p.end + *tableClusters*clusterSize
	for i := range blocks {
		table[i] = uint64(at)
		block := make([]byte, 0, clusterSize)
		for _, n := range p.refs[i*perRefBlock : min((i+1)*perRefBlock, int64(len(p.refs)))] {
			block = binary.BigEndian.AppendUint16(block, n)
		}
		if _, err := p.w.WriteAt(block[:clusterSize], at); err != nil {
			return err
		}
		at += clusterSize
	}
	_, err := p.w.WriteAt(bigEndian(table), p.end)
	p.end = at
	return err
}

func (p *writer) header(size, refs, refsClusters int64) []byte {
	be := binary.BigEndian
	b := make([]byte, clusterSize)
	copy(b, magic)
	be.PutUint32(b[4:], version)
	be.PutUint32(b[20:], clusterBits)
	be.PutUint64(b[24:], uint64(size))
	be.PutUint32(b[36:], uint32(len(p.l1)))
	be.PutUint64(b[40:], clusterSize)
	be.PutUint64(b[48:], uint64(refs))
	be.PutUint32(b[56:], uint32(refsClusters))
	be.PutUint32(b[96:], refcountBits)
	be.PutUint32(b[100:], headerLength)
	if p.o.Compression == Zstd {
		be.PutUint64(b[72:], compressionType)
		b[104] = byte(Zstd)
	}
	return b
}

func bigEndian(numbers []uint64) []byte {
	b := make([]byte, 0, 8*len(numbers))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}
