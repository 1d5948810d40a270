package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

// Limits of images that others wrote.
const (
	minClusterBits = 9
	maxClusterBits = 21
	maxL1          = 4 << 20 // entries, 32 MiB
)

// Image is an image that was opened. It reads as the disk does, and may be used
// by several goroutines at once.
type Image struct {
	Size        int64 // of the disk, in bytes
	Compression Compression
	ClusterSize int

	r        io.ReaderAt
	fileSize int64
	bits     uint
	l1       []uint64
	decoder  *zstd.Decoder

	mu     sync.Mutex
	l2At   int64 // of the table in l2, 0 for none
	l2     []uint64
	lastAt int64 // of the cluster of the disk that is in last, plus one
	last   []byte
}

// Open opens an image of size bytes, of version 2 or 3.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	m, err := open(r, size)
	if err != nil {
		return nil, fmt.Errorf("opening a qcow2 image: %w", err)
	}
	return m, nil
}

func open(r io.ReaderAt, size int64) (*Image, error) {
	be := binary.BigEndian
	b := make([]byte, headerLength)
	n, err := io.ReadFull(io.NewSectionReader(r, 0, size), b)
	if n < 72 {
		return nil, err
	}
	v := be.Uint32(b[4:])
	if string(b[:4]) != magic || v != 2 && v != 3 {
		return nil, errors.New("it does not begin as one of version 2 or 3")
	}
	m := &Image{Size: int64(be.Uint64(b[24:])), r: r, fileSize: size, bits: uint(be.Uint32(b[20:]))}
	features, length := uint64(0), uint32(72)
	if v == 3 {
		features, length = be.Uint64(b[72:]), be.Uint32(b[100:])
	}
	if features&compressionType != 0 && length > 104 {
		m.Compression = Compression(b[104])
	}
	switch {
	case be.Uint64(b[8:]) != 0:
		return nil, errors.New("it has a backing file")
	case be.Uint32(b[32:]) != 0:
		return nil, errors.New("it is encrypted")
	case be.Uint32(b[60:]) != 0:
		return nil, errors.New("it has snapshots")
	case features&^(compressionType|1) != 0: // bit 0: counts may be wrong
		return nil, fmt.Errorf("it has features that are not known: %#x", features)
	case m.Compression != Deflate && m.Compression != Zstd:
		return nil, fmt.Errorf("its compression %d is not known", m.Compression)
	case m.bits < minClusterBits || m.bits > maxClusterBits:
		return nil, fmt.Errorf("its clusters have 2^%d bytes", m.bits)
	}
	m.ClusterSize = 1 << m.bits
	if m.Compression == Zstd {
		if m.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20)); err != nil {
			return nil, err
		}
	}
	return m, m.readL1(int64(be.Uint64(b[40:])), int64(be.Uint32(b[36:])))
}

func (m *Image) readL1(at, entries int64) error {
	perTable := int64(m.ClusterSize) / 8 * int64(m.ClusterSize)
	if m.Size < 0 || entries > maxL1 || m.Size > entries*perTable {
		return fmt.Errorf("its first table of %d entries is not for %d bytes", entries, m.Size)
	}
	var err error
	m.l1, err = m.numbers(at, entries)
	return err
}

// numbers reads a table.
func (m *Image) numbers(at, count int64) ([]uint64, error) {
	if at < 0 || count*8 > m.fileSize || at > m.fileSize-count*8 {
		return nil, fmt.Errorf("a table at byte %d is not in the image", at)
	}
	b := make([]byte, count*8)
	if n, err := m.r.ReadAt(b, at); n < len(b) {
		return nil, err
	}
	out := make([]uint64, count)
	for i := range out {
		out[i] = binary.BigEndian.Uint64(b[8*i:])
	}
	return out, nil
}

// ReadAt implements [io.ReaderAt], on the disk.
func (m *Image) ReadAt(p []byte, at int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at < 0 {
		return 0, errors.New("reading a qcow2 image: before its beginning")
	}
	done := 0
	for done < len(p) && at < m.Size {
		within := at & int64(m.ClusterSize-1)
		part := p[done:min(int64(len(p)), int64(done)+int64(m.ClusterSize)-within, int64(done)+m.Size-at)]
		if err := m.read(part, at-within, within); err != nil {
			return done, fmt.Errorf("reading a qcow2 image: byte %d of the disk: %w", at, err)
		}
		done += len(part)
		at += int64(len(part))
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// read reads a part of the cluster that begins at a byte of the disk.
func (m *Image) read(p []byte, cluster, within int64) error {
	entry, err := m.entry(cluster)
	switch {
	case err != nil:
		return err
	case entry&compressed != 0:
		if m.lastAt != cluster+1 {
			if err := m.unpack(entry); err != nil {
				return err
			}
			m.lastAt = cluster + 1
		}
		copy(p, m.last[within:])
		return nil
	case entry&zeroCluster != 0 || entry&hostMask == 0:
		clear(p)
		return nil
	}
	n, err := m.r.ReadAt(p, int64(entry&hostMask)+within)
	if n == len(p) {
		return nil
	}
	return err
}

// entry is where a cluster of the disk is in the image.
func (m *Image) entry(cluster int64) (uint64, error) {
	perTable := int64(m.ClusterSize) / 8
	index := cluster >> m.bits
	at := int64(m.l1[index/perTable] & hostMask)
	if at == 0 {
		return 0, nil
	}
	if m.l2At != at {
		table, err := m.numbers(at, perTable)
		if err != nil {
			return 0, err
		}
		m.l2At, m.l2 = at, table
	}
	return m.l2[index%perTable], nil
}

// unpack decompresses a cluster into last.
func (m *Image) unpack(entry uint64) error {
	m.lastAt = 0
	shift := 62 - (m.bits - 8)
	at := int64(entry & (1<<shift - 1))
	sectors := int64(entry&(compressed-1)>>shift) + 1
	length := min(sectors*sectorSize-at%sectorSize, m.fileSize-at)
	if at < 0 || length <= 0 {
		return fmt.Errorf("its data at byte %d is not in the image", at)
	}
	packed := make([]byte, length)
	if n, err := m.r.ReadAt(packed, at); n < len(packed) {
		return err
	}
	if m.last == nil {
		m.last = make([]byte, m.ClusterSize)
	}
	var r io.Reader
	if m.Compression == Zstd {
		if err := m.decoder.Reset(bytes.NewReader(packed)); err != nil {
			return err
		}
		r = m.decoder
	} else {
		r = flate.NewReader(bytes.NewReader(packed))
	}
	_, err := io.ReadFull(r, m.last)
	return err
}
