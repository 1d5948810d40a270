package inspect

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"github.com/samebits/samebits/imagebuild/tree"
)

// An archive is read from its beginning to its end, which hands its contents, one
// after the other, to a store. in counts what was read of it.
type archive struct {
	source source
	// read reads what is in the stream, which is decompressed where the whole is.
	read func(ctx context.Context, in *stream, store tree.Store) (*tree.Tree, []Attribute, error)
	// ending is how the whole is compressed, as package decompress has it.
	ending string
}

// stream is an archive that is being read. What reads it should read the buffer,
// so that it is known where a content begins.
type stream struct {
	*bufio.Reader
	count *counter
	exact bool // the bytes are those of the source
}

// counter counts what was read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if c.n > maxUnpacked && err == nil {
		err = errors.New("it unpacks to more than 256 GiB")
	}
	return n, err
}

// position is how many bytes were taken out of the stream.
func (s *stream) position() int64 { return s.count.n - int64(s.Buffered()) }

const bufferSize = 64 << 10

// tree reads the archive. Contents are where they lie, or where a repeated
// reading comes to them.
func (a *archive) tree(ctx context.Context) (*tree.Tree, []Attribute, error) {
	return a.walk(ctx, func(in *stream) tree.Store { return &places{archive: a, in: in} })
}

// walk reads the archive once.
func (a *archive) walk(ctx context.Context, store func(*stream) tree.Store) (*tree.Tree, []Attribute, error) {
	in, end, err := a.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	return a.read(ctx, in, store(in))
}

func (a *archive) open(ctx context.Context) (*stream, func(), error) {
	r, err := a.source.Open()
	if err != nil {
		return nil, nil, err
	}
	unpacked, err := unpack(a.ending, &interruptible{ctx, r})
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	c := &counter{r: unpacked}
	return &stream{bufio.NewReaderSize(c, bufferSize), c, a.ending == ""}, func() { unpacked.Close(); r.Close() }, nil
}

// places is a store that keeps where contents are.
type places struct {
	archive *archive
	in      *stream
	n       int
}

// Keep implements [tree.Store].
func (p *places) Keep(r io.Reader) (tree.Content, int64, tree.Digest, error) {
	index, from := p.n, p.in.position()
	p.n++
	h := sha256.New()
	size, err := io.Copy(h, r)
	if err != nil {
		return nil, 0, tree.Digest{}, err
	}
	digest := tree.Digest(h.Sum(nil))
	if at := p.archive.source.at; at != nil && p.in.exact && p.in.position() == from+size {
		return tree.Section(at, from, size), size, digest, nil
	}
	return &replayed{p.archive, index}, size, digest, nil
}

// replayed is a content that is had by reading the archive again.
type replayed struct {
	archive *archive
	index   int
}

// Open implements [tree.Content].
func (c *replayed) Open() (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _, err := c.archive.walk(ctx, func(*stream) tree.Store { return &seeker{left: c.index, w: w} })
		if errors.Is(err, errFound) {
			err = nil
		} else if err == nil {
			err = io.ErrUnexpectedEOF
		}
		w.CloseWithError(err)
	}()
	return &replaying{r, cancel, done}, nil
}

// replaying is the reading.
type replaying struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

func (r *replaying) Close() error {
	r.cancel()
	err := r.PipeReader.Close()
	<-r.done // nobody reads the source any more
	return err
}

// errFound ends a reading that has come to what it is for.
var errFound = errors.New("found")

// seeker is a store that hands out one content.
type seeker struct {
	left int
	w    io.Writer
}

// Keep implements [tree.Store].
func (s *seeker) Keep(r io.Reader) (tree.Content, int64, tree.Digest, error) {
	w := io.Discard
	if s.left == 0 {
		w = s.w
	}
	size, err := io.Copy(w, r)
	if err == nil && s.left == 0 {
		err = errFound
	}
	s.left--
	digest := tree.Digest{1} // of no matter: the tree is never seen
	if size == 0 {
		digest = sha256.Sum256(nil)
	}
	return nil, size, digest, err
}
