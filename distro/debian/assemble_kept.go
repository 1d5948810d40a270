package debian

import (
	"context"
	"io"

	"github.com/samebits/samebits/distro"
)

// openData opens the data archive of a package, decompressed: as it was kept
// from another assembly, or else anew, and then it is kept as far as it is read
// to its end.
func openData(ctx context.Context, p *parcel, kept distro.Unpacked) (io.ReadCloser, error) {
	if kept != nil {
		if r, err := kept.Open(ctx, p.entry.Digest); err == nil {
			return r, nil
		}
	}
	r, err := p.Data()
	if err != nil || kept == nil {
		return r, err
	}
	out, in := io.Pipe()
	k := &keeping{ReadCloser: r, in: in, done: make(chan struct{})}
	go func() {
		defer close(k.done)
		// What cannot be kept is decompressed again the next time.
		err := kept.Keep(ctx, p.entry.Digest, out)
		out.CloseWithError(err)
	}()
	return k, nil
}

// keeping passes on what is read, and has it kept.
type keeping struct {
	io.ReadCloser
	in   *io.PipeWriter
	lost bool // the other side does not want more
	done chan struct{}
}

func (k *keeping) Read(b []byte) (int, error) {
	n, err := k.ReadCloser.Read(b)
	if n > 0 && !k.lost {
		_, werr := k.in.Write(b[:n])
		k.lost = werr != nil
	}
	if err != nil {
		k.in.CloseWithError(err) // io.EOF is a good end
	}
	return n, err
}

// Close ends the keeping of what was not read to its end.
func (k *keeping) Close() error {
	k.in.CloseWithError(io.ErrUnexpectedEOF)
	<-k.done
	return k.ReadCloser.Close()
}
