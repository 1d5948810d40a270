package debian

import (
	"context"
	"io"
	"sync"

	"github.com/samebits/samebits/distro"
)

// Archives are decompressed ahead of their turn, also while scripts run, each
// into a queue of chunks.
const (
	chunkBytes = 256 << 10
	// headChunks is what the archive that is being written may be ahead.
	headChunks = 32
	// aheadChunks is what all others together may hold: 64 MiB.
	aheadChunks = 256
)

// chunks are those that nobody reads any more.
var chunks = sync.Pool{New: func() any { b := make([]byte, chunkBytes); return &b }}

// A stream is a data archive that is decompressed by another goroutine.
type stream struct {
	chunks  chan []byte
	head    chan struct{} // closed when it is the turn of this one
	budget  chan struct{} // shared: a token for each chunk of those ahead
	room    chan struct{} // a token for each chunk that was put without budget
	whole   []byte        // the chunk that is being read
	current []byte        // what is left of it
	err     error         // once chunks is closed
	cancel  context.CancelFunc
}

// readAhead begins to decompress the packages in the order in which they will
// be read, so many at once.
func readAhead(ctx context.Context, parcels []*parcel, parallel int, kept distro.Unpacked) map[*parcel]*stream {
	streams := make(map[*parcel]*stream, len(parcels))
	ctxs := make([]context.Context, len(parcels))
	budget := make(chan struct{}, aheadChunks)
	for i, p := range parcels {
		s := &stream{
			chunks: make(chan []byte, aheadChunks+headChunks), head: make(chan struct{}),
			budget: budget, room: make(chan struct{}, headChunks),
		}
		ctxs[i], s.cancel = context.WithCancel(ctx)
		streams[p] = s
	}
	// Slots are given in order, so the one whose turn it is always has one.
	slots := make(chan struct{}, max(parallel, 1))
	go func() {
		for i, p := range parcels {
			s := streams[p]
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				s.err = ctx.Err()
				close(s.chunks)
				continue
			}
			go func() {
				defer func() { <-slots }()
				s.fill(ctxs[i], p, kept)
			}()
		}
	}()
	return streams
}

// fill decompresses the archive of a package into the queue.
func (s *stream) fill(ctx context.Context, p *parcel, kept distro.Unpacked) {
	defer close(s.chunks)
	r, err := openData(ctx, p, kept)
	if err != nil {
		s.err = err
		return
	}
	defer r.Close()
	for {
		if s.err = s.wait(ctx); s.err != nil {
			return
		}
		chunk := *chunks.Get().(*[]byte)
		n, err := fillUp(r, chunk)
		s.chunks <- chunk[:n]
		if err != nil {
			if err != io.EOF {
				s.err = err
			}
			return
		}
	}
}

// wait waits until there is room for another chunk. While it is not its turn,
// a stream takes of what all share; in its turn it has room of its own, so
// that those ahead cannot hold it up.
func (s *stream) wait(ctx context.Context) error {
	select {
	case <-s.head:
	default:
		select {
		case s.budget <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.head:
		}
	}
	select {
	case s.room <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fillUp is io.ReadFull, but an archive that is cut off stays an error.
func fillUp(r io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = r.Read(b[n:])
		n += m
	}
	return n, err
}

// begin says that it is the turn of this stream.
func (s *stream) begin() { close(s.head) }

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
		s.release()
		s.recycle()
		s.whole, s.current = chunk, chunk
	}
	n := copy(b, s.current)
	s.current = s.current[n:]
	return n, nil
}

// recycle lets another stream have the chunk that was read.
func (s *stream) recycle() {
	if s.whole != nil {
		chunk := s.whole[:chunkBytes]
		chunks.Put(&chunk)
		s.whole, s.current = nil, nil
	}
}

// release gives back the token of one chunk. Those of its own come after
// those of the budget, but which is given back first makes no difference to
// the sum that is held, and none is given back twice.
func (s *stream) release() {
	select {
	case <-s.room:
	default:
		<-s.budget
	}
}

// end ends the turn. What nobody has read is let go of.
func (s *stream) end() {
	s.cancel()
	s.recycle()
	for range s.chunks {
		s.release()
	}
}
