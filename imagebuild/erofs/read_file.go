package erofs

import (
	"fmt"
	"io"
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
	case layoutCompressed, layoutCompact:
		return f.extent(at)
	case layoutChunks:
		return f.chunk(at)
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

// chunk is some bytes of a file whose chunks are anywhere.
func (f *file) chunk(at int64) ([]byte, error) {
	bits := int(f.data&31) + blockBits
	size := int64(4)
	switch f.data >> 5 {
	case 0:
	case 1: // with the number of a device
		size = 8
	default:
		return nil, fmt.Errorf("chunks of the form %#x, which is not known", f.data)
	}
	var raw [8]byte
	if err := f.p.readAt(raw[:size], roundUp(f.behind, size)+at>>bits*size); err != nil {
		return nil, err
	}
	if size == 8 && little.Uint16(raw[2:]) != 0 {
		return nil, fmt.Errorf("a chunk on the device %d, which is not here", little.Uint16(raw[2:]))
	}
	in := at & (1<<bits - 1)
	b := make([]byte, min(f.size-at, 1<<bits-in, most))
	if a := little.Uint32(raw[size-4:]); a != nullAddress {
		return b, f.p.readAt(b, int64(a)*blockSize+in)
	}
	return b, nil
}
