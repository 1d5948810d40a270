package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Header is what the header of an image says, also of one that [Open] refuses.
type Header struct {
	Version     int   // 2 or 3
	Size        int64 // of the disk, in bytes
	ClusterSize int   // bytes
	Compression Compression
	RefcountBits,
	Snapshots int
	Encrypted   bool
	BackingFile string // "" without one
	Dirty       bool   // the counts of references may be wrong
	Corrupt     bool
	External    bool // the data is in another file
	Extended    bool // the second tables have entries of 16 bytes
}

const (
	maxBackingName  = 1023
	maxRefcountLog  = 6
	featureDirty    = 1 << 0
	featureCorrupt  = 1 << 1
	featureExternal = 1 << 2
	featureExtended = 1 << 4
)

// ReadHeader reads the header of an image of size bytes, of version 2 or 3.
func ReadHeader(r io.ReaderAt, size int64) (*Header, error) {
	h, err := readHeader(io.NewSectionReader(r, 0, max(0, size)))
	if err != nil {
		return nil, fmt.Errorf("reading the header of a qcow2 image: %w", err)
	}
	return h, nil
}

func readHeader(r *io.SectionReader) (*Header, error) {
	be := binary.BigEndian
	b := make([]byte, headerLength)
	if n, err := io.ReadFull(r, b); n < 72 {
		return nil, err
	}
	h := &Header{
		Version: int(be.Uint32(b[4:])), Size: int64(be.Uint64(b[24:])), RefcountBits: 16,
		Encrypted: be.Uint32(b[32:]) != 0, Snapshots: int(be.Uint32(b[60:])),
	}
	bits := be.Uint32(b[20:])
	switch {
	case string(b[:4]) != magic || h.Version != 2 && h.Version != 3:
		return nil, errors.New("it does not begin as one of version 2 or 3")
	case bits < minClusterBits || bits > maxClusterBits:
		return nil, fmt.Errorf("its clusters have 2^%d bytes", bits)
	case h.Size < 0:
		return nil, fmt.Errorf("a disk of %d bytes", uint64(h.Size))
	}
	h.ClusterSize = 1 << bits
	if h.Version == 3 {
		if err := h.third(b); err != nil {
			return nil, err
		}
	}
	at, length := be.Uint64(b[8:]), be.Uint32(b[16:])
	if at == 0 {
		return h, nil
	}
	if length > maxBackingName || at > uint64(h.ClusterSize) {
		return nil, fmt.Errorf("the name of a backing file of %d bytes at byte %d", length, at)
	}
	name := make([]byte, length)
	if n, err := r.ReadAt(name, int64(at)); n < len(name) {
		return nil, err
	}
	h.BackingFile = string(name)
	return h, nil
}

// third reads what only version 3 has.
func (h *Header) third(b []byte) error {
	be := binary.BigEndian
	features, log := be.Uint64(b[72:]), be.Uint32(b[96:])
	if log > maxRefcountLog {
		return fmt.Errorf("counts of references of 2^%d bits", log)
	}
	h.RefcountBits = 1 << log
	h.Dirty, h.Corrupt = features&featureDirty != 0, features&featureCorrupt != 0
	h.External, h.Extended = features&featureExternal != 0, features&featureExtended != 0
	if features&compressionType != 0 && be.Uint32(b[100:]) > 104 {
		h.Compression = Compression(b[104])
	}
	return nil
}

// String is what QEMU calls the compression.
func (c Compression) String() string {
	switch c {
	case None:
		return "none"
	case Deflate:
		return "zlib"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("type %d", int(c))
}
