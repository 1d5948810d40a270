package alpine

import (
	"context"
	"io"
)

// Data segments are decompressed ahead of their turn, each into a queue of
// chunks.
const (
	firstChunk  = 32 << 10 // most packages are small
	chunkBytes  = 256 << 10
	queueChunks = 32 // 8 MiB a package
	moreAhead   = 6  // packages that may wait for their turn besides those at work
)

// A stream is a data segment that another goroutine decompresses.
type stream struct {
	chunks  chan []byte
	current []byte
	err     error // once chunks is closed
	cancel  context.CancelFunc
	ahead   <-chan struct{} // a place for each that has begun and is not done
}

// done ends the decompression, and lets another package begin. It is called
// for the streams in their order, once each.
func (s *stream) done() {
	s.cancel()
	<-s.ahead
}

// readAhead begins to decompress the packages in their order, so many at once,
// and no further ahead than memory is good for.
func readAhead(ctx context.Context, parcels []*parcel, parallel int) []*stream {
	streams := make([]*stream, len(parcels))
	ctxs := make([]context.Context, len(parcels))
	parallel = max(parallel, 1)
	slots, ahead := make(chan struct{}, parallel), make(chan struct{}, parallel+moreAhead)
	for i := range parcels {
		streams[i] = &stream{chunks: make(chan []byte, queueChunks), ahead: ahead}
		ctxs[i], streams[i].cancel = context.WithCancel(ctx)
	}
	go func() {
		for i, p := range parcels {
			if !take(ctx, ahead) || !take(ctx, slots) {
				streams[i].err = ctx.Err()
				close(streams[i].chunks)
				continue
			}
			go func() {
				defer func() { <-slots }()
				streams[i].fill(ctxs[i], p)
			}()
		}
	}()
	return streams
}

// take takes a place, unless it is all over.
func take(ctx context.Context, places chan<- struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// fill decompresses the data segment of a package into the queue.
func (s *stream) fill(ctx context.Context, p *parcel) {
	defer close(s.chunks)
	if p.isEmpty() {
		return
	}
	r, err := p.Data()
	if err != nil {
		s.err = err
		return
	}
	defer r.Close()
	for size := firstChunk; ; size = chunkBytes {
		chunk := make([]byte, size)
		n, err := fillUp(r, chunk)
		if n > 0 {
			select {
			case s.chunks <- chunk[:n]:
			case <-ctx.Done():
				s.err = ctx.Err()
				return
			}
		}
		if err != nil {
			if err != io.EOF {
				s.err = err
			}
			return
		}
	}
}

// fillUp is io.ReadFull, but a segment that is cut off stays an error.
func fillUp(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// Read implements [io.Reader].
func (s *stream) Read(b []byte) (int, error) {
	for len(s.current) == 0 {
		chunk, ok := <-s.chunks
		if !ok {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
		}
		s.current = chunk
	}
	n := copy(b, s.current)
	s.current = s.current[n:]
	return n, nil
}
