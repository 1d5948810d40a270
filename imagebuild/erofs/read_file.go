package erofs

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// file is the data of an inode.
type file struct {
	p      *reader
	layout uint8
	data   uint32
	size   int64
	behind int64 // where what is behind the inode begins
}

// Open implements [tree.Content].
func (f *file) Open() (io.ReadCloser, error) { return &fileReader{f: f}, nil }

type fileReader struct {
	f   *file
	at  int64 // of what comes after now
	now []byte
}

func (r *fileReader) Close() error { return nil }

func (r *fileReader) Read(b []byte) (int, error) {
	for len(r.now) == 0 {
		if r.at == r.f.size {
			return 0, io.EOF
		}
		if err := r.f.p.ctx.Err(); err != nil {
			return 0, err
		}
		var err error
		if r.now, err = r.f.part(r.at); err != nil {
			return 0, err
		}
		r.at += int64(len(r.now))
	}
	n := copy(b, r.now)
	r.now = r.now[n:]
	return n, nil
}

// most is read at once.
const most = 128 << 10

// part is some bytes of the data from a place on, at least one.
func (f *file) part(at int64) ([]byte, error) {
	left := f.size - at
	switch f.layout {
	case layoutCompressed:
		return f.extent(at)
	case layoutChunks:
		bits := int(f.data&31) + blockBits
		if f.data>>5 != 0 {
			return nil, fmt.Errorf("chunks of the form %#x, which is not known", f.data)
		}
		var raw [4]byte
		if err := f.p.readAt(raw[:], roundUp(f.behind, 4)+at>>bits*4); err != nil {
			return nil, err
		}
		in := at & (1<<bits - 1)
		b := make([]byte, min(left, 1<<bits-in, most))
		if a := little.Uint32(raw[:]); a != nullAddress {
			return b, f.p.readAt(b, int64(a)*blockSize+in)
		}
		return b, nil
	case layoutInline:
		if full := f.size / blockSize * blockSize; at >= full {
			b := make([]byte, left)
			return b, f.p.readAt(b, f.behind)
		} else {
			left = full - at
		}
	}
	b := make([]byte, min(left, most))
	return b, f.p.readAt(b, int64(f.data)*blockSize+at)
}

// extent is what is in the cluster that begins at a place of the file.
func (f *file) extent(at int64) ([]byte, error) {
	var raw [indexSize]byte
	head := roundUp(f.behind, indexSize)
	if err := f.p.readAt(raw[:], head); err != nil {
		return nil, err
	}
	advise, algorithm, clusterBits := little.Uint16(raw[4:]), raw[6], raw[7]
	if clusterBits != 0 || advise&^adviseBig != 0 || algorithm != algorithmLZ4 && algorithm != algorithmZstd {
		return nil, fmt.Errorf("compression in the form %#x by %d", advise, algorithm)
	}
	index := func(block int64) (kind, in int, value uint32, err error) {
		err = f.p.readAt(raw[:], head+mapHead+block*indexSize)
		return int(little.Uint16(raw[:])), int(little.Uint16(raw[2:])), little.Uint32(raw[4:]), err
	}
	first := at / blockSize
	kind, in, address, err := index(first)
	if err != nil {
		return nil, err
	}
	if kind > indexHead || in != int(at%blockSize) {
		return nil, fmt.Errorf("a cluster that does not begin at byte %d", at)
	}
	blocks, end := int64(1), f.size
	for block := first + 1; block*blockSize < f.size; block++ {
		next, in, value, err := index(block)
		if err != nil {
			return nil, err
		}
		if next != indexNonHead {
			end = min(end, block*blockSize+int64(in))
			break
		}
		if block == first+1 && value&manyBlocks != 0 {
			blocks = int64(value & (manyBlocks - 1))
		}
		if block-first > segmentSize/blockSize {
			return nil, fmt.Errorf("a cluster of more than %d bytes", segmentSize)
		}
	}
	if end <= at || end-at > segmentSize || blocks > segmentSize/blockSize {
		return nil, fmt.Errorf("a cluster of %d bytes in %d blocks", end-at, blocks)
	}
	b := make([]byte, blocks*blockSize)
	if err := f.p.readAt(b, int64(address)*blockSize); err != nil {
		return nil, err
	}
	if kind == indexPlain {
		if end-at > int64(len(b)) {
			return nil, errTruncated
		}
		return b[:end-at], nil
	}
	return decompress(b, int(end-at), algorithm)
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
		if z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(segmentSize), zstd.WithDecoderMaxWindow(segmentSize)); err != nil {
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
