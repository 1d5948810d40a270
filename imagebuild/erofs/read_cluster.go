package erofs

import (
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// What clusters have at most: Linux takes no larger ones.
const (
	maxPacked   = 1 << 20
	maxUnpacked = 12 << 20
)

// compressedMap is what is before the indexes of a compressed file.
type compressedMap struct {
	f          *file
	isBig      bool    // clusters may have several blocks
	algorithms [2]byte // of the two kinds of heads
	// Indexes of 8 bytes begin at base. Compact ones of 4 bytes do, too: so many
	// as are first, then those of 2, and then others of 4.
	base        int64
	first, twos int64
}

// An index tells what begins in a block of the file.
type index struct {
	kind    int
	in      int    // where in the block it begins
	address uint32 // of a head: the block where its cluster is
	blocks  int64  // of what is behind a head: that of the cluster, 0 where that is not told
}

func (f *file) compressedMap() (*compressedMap, error) {
	var raw [mapHead / 2]byte
	head := roundUp(f.behind, indexSize)
	if err := f.p.readAt(raw[:], head); err != nil {
		return nil, err
	}
	advise, algorithm, clusterBits := little.Uint16(raw[4:]), raw[6], raw[7]
	m := &compressedMap{f: f, isBig: advise&adviseBig != 0, algorithms: [2]byte{algorithm & 15, algorithm >> 4}, base: head + mapHead}
	known := uint16(adviseBig)
	if f.layout == layoutCompact {
		known |= adviseTwos | adviseBig2
		m.base = head + mapHead/2
		blocks := roundUp(f.size, blockSize) / blockSize
		m.first = -m.base & (packOfTwos - 1) / 4
		if advise&adviseTwos != 0 && m.first < blocks {
			m.twos = (blocks - m.first) &^ 15
		}
	}
	for _, a := range m.algorithms {
		if a != algorithmLZ4 && a != algorithmZstd {
			advise = ^uint16(0)
		}
	}
	if clusterBits != 0 || advise&^known != 0 {
		return nil, fmt.Errorf("compression in the form %#x by %#x, which is not known", little.Uint16(raw[4:]), algorithm)
	}
	return m, nil
}

// index is that of a block of the file.
func (m *compressedMap) index(block int64) (index, error) {
	if m.f.layout == layoutCompact {
		return m.compact(block)
	}
	var raw [indexSize]byte
	err := m.f.p.readAt(raw[:], m.base+block*indexSize)
	i := index{kind: int(little.Uint16(raw[:]) & 3), in: int(little.Uint16(raw[2:])), address: little.Uint32(raw[4:])}
	if i.kind == indexNonHead && i.address&manyBlocks != 0 {
		i.blocks = int64(i.address & (manyBlocks - 1))
	}
	return i, err
}

// compact is an index that is in a pack with others: 2 of 16 bits in 8 bytes, or
// 16 of 14 bits in 32, of which the last 4 have the block before the first cluster
// that begins in the pack.
func (m *compressedMap) compact(block int64) (i index, err error) {
	at, count, bits := m.base, 2, 16
	switch behind := block - m.first; {
	case behind < 0:
		at += block * 4
	case behind < m.twos:
		at += m.first*4 + behind*2
		count, bits = 16, 14
	default:
		at += m.first*4 + m.twos*2 + (behind-m.twos)*4
	}
	var raw [packOfTwos]byte
	size := int64(count*bits/8 + 4)
	start := at &^ (size - 1)
	if err := m.f.p.readAt(raw[:size], start); err != nil {
		return i, err
	}
	entry := func(k int) (kind, low int) {
		v := int(little.Uint32(raw[k*bits/8:]) >> (k * bits % 8))
		return v >> blockBits & 3, v & (blockSize - 1)
	}
	k := int((at - start) / (size / int64(count)))
	i.kind, i.in = entry(k)
	if i.kind == indexNonHead {
		if i.in&manyBlocks != 0 {
			i.blocks = int64(i.in & (manyBlocks - 1))
		}
		return i, nil
	}
	before, err := m.blocksBefore(k, entry)
	i.address = little.Uint32(raw[size-4:]) + before
	return i, err
}

// blocksBefore is how many blocks the clusters have that begin in a pack before
// its entry k, and one more where each has one: then the address is that before
// them.
func (m *compressedMap) blocksBefore(k int, entry func(int) (kind, low int)) (n uint32, err error) {
	if !m.isBig {
		n = 1
	}
	for k > 0 {
		k--
		kind, low := entry(k)
		switch {
		case kind != indexNonHead:
			n++
		case !m.isBig:
			// Its head is so many before it, maybe in another pack.
			if k -= low; k >= 0 {
				n++
			}
		case low&manyBlocks != 0:
			k-- // its head
			n += uint32(low & (manyBlocks - 1))
		case low <= 1:
			return 0, fmt.Errorf("an index of %d blocks back in a pack", low)
		default:
			k -= low - 2 // now at what has the number of blocks
		}
	}
	return n, nil
}

// extent is what is in the cluster that begins at a place of the file.
func (f *file) extent(at int64) ([]byte, error) {
	m, err := f.compressedMap()
	if err != nil {
		return nil, err
	}
	first := at / blockSize
	head, err := m.index(first)
	if err != nil {
		return nil, err
	}
	if head.kind == indexNonHead || head.in != int(at%blockSize) {
		return nil, fmt.Errorf("a cluster that does not begin at byte %d", at)
	}
	blocks, end := int64(1), f.size
	for block := first + 1; block*blockSize < f.size; block++ {
		next, err := m.index(block)
		if err != nil {
			return nil, err
		}
		if next.kind != indexNonHead {
			end = min(end, block*blockSize+int64(next.in))
			break
		}
		if block == first+1 && next.blocks > 0 {
			blocks = next.blocks
		}
		if block-first > maxUnpacked/blockSize {
			return nil, fmt.Errorf("a cluster of more than %d bytes", maxUnpacked)
		}
	}
	if end <= at || end-at > maxUnpacked || blocks > maxPacked/blockSize {
		return nil, fmt.Errorf("a cluster of %d bytes in %d blocks", end-at, blocks)
	}
	b := make([]byte, blocks*blockSize)
	if err := f.p.readAt(b, int64(head.address)*blockSize); err != nil {
		return nil, err
	}
	if head.kind == indexPlain {
		if end-at > int64(len(b)) {
			return nil, errTruncated
		}
		return b[:end-at], nil
	}
	return decompress(b, int(end-at), m.algorithms[head.kind/indexHead2])
}

func decompress(b []byte, size int, algorithm byte) ([]byte, error) {
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	out := make([]byte, size)
	var n int
	var err error
	if algorithm == algorithmLZ4 {
		n, err = lz4.UncompressBlock(b, out)
	} else {
		var z *zstd.Decoder
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked), zstd.WithDecoderMaxWindow(maxUnpacked)); err != nil {
			return nil, err
		}
		defer z.Close()
		out, err = z.DecodeAll(b, out[:0])
		n = len(out)
	}
	if err == nil && n != size {
		err = fmt.Errorf("a cluster of %d bytes, and not %d", n, size)
	}
	return out, err
}
