package squashfs

import (
	"fmt"
	"io"
	"sync"
)

// fileContent is a file of an image.
type fileContent struct {
	p                *reader
	start            uint64
	size             int64
	blocks           []uint32
	fragment, offset uint32
}

// fragmentCache keeps the fragment that was read last, since the next file is
// likely in it, too.
type fragmentCache struct {
	sync.Mutex
	index uint32
	data  []byte
}

// Open implements [tree.Content].
func (f *fileContent) Open() (io.ReadCloser, error) {
	return &fileReader{f: f, at: f.start, left: f.size}, nil
}

type fileReader struct {
	f    *fileContent
	next int    // of the blocks
	at   uint64 // where that is
	left int64  // bytes that are not in now yet
	now  []byte
}

func (r *fileReader) Close() error { return nil }

func (r *fileReader) Read(b []byte) (int, error) {
	if len(r.now) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.f.p.ctx.Err(); err != nil {
			return 0, err
		}
		if err := r.block(); err != nil {
			return 0, err
		}
		r.left -= int64(len(r.now))
	}
	n := copy(b, r.now)
	r.now = r.now[n:]
	return n, nil
}

func (r *fileReader) block() error {
	p := r.f.p
	want := int(min(int64(p.s.block), r.left))
	if r.next == len(r.f.blocks) {
		data, err := p.fragment(r.f.fragment)
		if err != nil {
			return err
		}
		if int(r.f.offset)+want > len(data) {
			return errTruncated
		}
		r.now = data[r.f.offset:][:want]
		return nil
	}
	size := r.f.blocks[r.next]
	r.next++
	if size == 0 {
		r.now = make([]byte, want)
		return nil
	}
	data, err := p.dataBlock(r.at, size)
	if err != nil {
		return err
	}
	if len(data) != want {
		return fmt.Errorf("a block of %d bytes, and not %d", len(data), want)
	}
	r.at += uint64(size &^ plainBlock)
	r.now = data
	return nil
}

func (p *reader) dataBlock(at uint64, size uint32) ([]byte, error) {
	length := size &^ plainBlock
	if length > p.s.block {
		return nil, fmt.Errorf("a block of %d bytes", length)
	}
	raw := make([]byte, length)
	if err := p.within(raw, at); err != nil {
		return nil, err
	}
	if size&plainBlock != 0 {
		return raw, nil
	}
	return p.d.decompress(raw, int(p.s.block))
}

func (p *reader) fragment(index uint32) ([]byte, error) {
	c := p.shared
	c.Lock()
	defer c.Unlock()
	if c.data == nil || c.index != index {
		data, err := p.dataBlock(p.fragments[2*index], uint32(p.fragments[2*index+1]))
		if err != nil {
			return nil, err
		}
		c.index, c.data = index, data
	}
	return c.data, nil
}
