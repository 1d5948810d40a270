package arch

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/samebits/samebits/distro/decompress"
)

// Packages are decompressed ahead of their turn, each into a queue of chunks.
const (
	firstChunk  = 32 << 10 // many packages are small
	chunkBytes  = 256 << 10
	queueChunks = 48 // 12 MiB a package
)

// A stream is a package that another goroutine decompresses.
type stream struct {
	chunks  chan []byte
	current []byte
	err     error // once chunks is closed
	cancel  context.CancelFunc
	slot    chan struct{} // shared: what is in it is being read or waits for that
}

// readAhead begins to decompress the packages in their order: the one whose
// turn it is and so many after it.
func readAhead(ctx context.Context, parcels []*parcel, parallel int) []*stream {
	streams := make([]*stream, len(parcels))
	ctxs := make([]context.Context, len(parcels))
	slots := make(chan struct{}, max(parallel, 1)+1)
	for i := range parcels {
		streams[i] = &stream{chunks: make(chan []byte, queueChunks), slot: slots}
		ctxs[i], streams[i].cancel = context.WithCancel(ctx)
	}
	go func() {
		// Slots are given in order, so the one whose turn it is has one.
		for i, p := range parcels {
			select {
			case slots <- struct{}{}:
				go streams[i].fill(ctxs[i], p)
			case <-ctx.Done():
				streams[i].err = ctx.Err()
				close(streams[i].chunks)
			}
		}
	}()
	return streams
}

// fill decompresses a package into the queue.
func (s *stream) fill(ctx context.Context, p *parcel) {
	defer close(s.chunks)
	f, err := os.Open(p.blob)
	if err != nil {
		s.err = err
		return
	}
	s.err = errors.Join(s.decompress(ctx, f), f.Close())
}

func (s *stream) decompress(ctx context.Context, f io.Reader) error {
	r, err := decompress.Sniff(f)
	if err != nil {
		return err
	}
	defer r.Close()
	for size := firstChunk; ; size = chunkBytes {
		chunk := make([]byte, size)
		n, err := fillUp(r, chunk)
		if n > 0 {
			select {
			case s.chunks <- chunk[:n]:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fillUp is io.ReadFull, but a file that is cut off stays an error.
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

// end ends the turn. What nobody has read is let go of.
func (s *stream) end() {
	s.cancel()
	for range s.chunks {
	}
	s.current = nil
	select {
	case <-s.slot:
	default: // it never got one
	}
}
