package qcow2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"

	"github.com/samebits/samebits/imagebuild/tree"
)

// deflateWindow is how far back QEMU lets a match be.
const deflateWindow = 4 << 10

// packer makes clusters smaller. It is for one goroutine.
type packer struct {
	kind    Compression
	deflate *flate.Writer
	zstd    *zstd.Encoder
	out     bytes.Buffer
}

func newPacker(kind Compression) (p *packer, err error) {
	p = &packer{kind: kind}
	switch kind {
	case Deflate:
		p.deflate, err = flate.NewWriterWindow(&p.out, deflateWindow)
	case Zstd:
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
			zstd.WithWindowSize(clusterSize), zstd.WithEncoderLevel(zstd.SpeedDefault))
	}
	return p, err
}

// pack is a cluster made smaller, or nil where it does not get so.
func (p *packer) pack(cluster []byte) ([]byte, error) {
	p.out.Reset()
	switch p.kind {
	case None:
		return nil, nil
	case Deflate:
		p.deflate.Reset(&p.out)
		if _, err := p.deflate.Write(cluster); err != nil {
			return nil, err
		}
		if err := p.deflate.Close(); err != nil {
			return nil, err
		}
	case Zstd:
		p.out.Write(p.zstd.EncodeAll(cluster, p.out.AvailableBuffer()))
	}
	if p.out.Len() >= clusterSize {
		return nil, nil
	}
	return bytes.Clone(p.out.Bytes()), nil
}

// cluster is one of the disk, that is not all zeros.
type cluster struct {
	index  int64
	data   *[]byte // of clusterSize
	packed []byte  // nil if it stays as it is
	err    error
	ready  chan struct{}
}

var (
	clusters = sync.Pool{New: func() any { b := make([]byte, clusterSize); return &b }}
	zeros    [clusterSize]byte
)

// source is the disk that is read.
type source struct {
	r       io.ReaderAt
	size    int64
	extents []tree.Extent
	sparse  bool
}

// each reads and packs the clusters that are not zeros, on all CPUs, and hands
// them over in their order.
func (s *source) each(ctx context.Context, kind Compression, use func(*cluster) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	number := runtime.GOMAXPROCS(0)
	queue, work := make(chan *cluster, 4*number), make(chan *cluster)
	workers.Go(func() {
		defer close(queue)
		defer close(work)
		s.indexes(func(index int64) bool {
			c := &cluster{index: index, ready: make(chan struct{})}
			for _, to := range []chan *cluster{queue, work} {
				select {
				case to <- c:
				case <-ctx.Done():
					return false
				}
			}
			return true
		})
	})
	for range number {
		p, err := newPacker(kind)
		if err != nil {
			return err
		}
		workers.Go(func() {
			for c := range work {
				c.err = s.load(c, p)
				close(c.ready)
			}
		})
	}
	for c := range queue {
		select {
		case <-c.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
		if c.err != nil {
			return c.err
		}
		if c.data == nil {
			continue
		}
		err := use(c)
		clusters.Put(c.data)
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// indexes goes through the clusters that may have something in them.
func (s *source) indexes(yield func(int64) bool) {
	next, end := int64(0), (s.size+clusterSize-1)/clusterSize
	extents := s.extents
	if !s.sparse {
		extents = []tree.Extent{{Offset: 0, Length: s.size}}
	}
	for _, e := range extents {
		last := min(end, (e.Offset+e.Length+clusterSize-1)/clusterSize)
		for next = max(next, e.Offset/clusterSize); next < last; next++ {
			if !yield(next) {
				return
			}
		}
	}
}

// load reads a cluster, which has no data if it is all zeros.
func (s *source) load(c *cluster, p *packer) error {
	data := clusters.Get().(*[]byte)
	at := c.index * clusterSize
	want := min(clusterSize, s.size-at)
	n, err := s.r.ReadAt((*data)[:want], at)
	if int64(n) < want {
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("the disk ends at byte %d: %w", at+int64(n), io.ErrUnexpectedEOF)
		}
		return err
	}
	clear((*data)[want:])
	if bytes.Equal(*data, zeros[:]) {
		clusters.Put(data)
		return nil
	}
	c.data = data
	c.packed, err = p.pack(*data)
	return err
}
