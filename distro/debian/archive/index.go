package archive

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"

	"github.com/samebits/samebits/lockfile"
)

// ReadPackages reads an uncompressed Packages file that must be what its
// Release lists as file, and returns the wanted records. Reading, hashing and
// parsing go on at the same time, and the file is not held in memory. No
// record is returned unless the whole file is right; one that is not is a
// [*lockfile.DigestError].
func ReadPackages(r io.Reader, file File, want Wanted) ([]Record, error) {
	if file.Size > maxIndex {
		return nil, fmt.Errorf("the index has %d bytes, more than any real one", file.Size)
	}
	p := startPipe(io.LimitReader(r, file.Size+1))
	records, parseErr := scanPackages(p, want)
	// A damaged file is likely to be one that does not parse: read on, to say
	// which of the two it is.
	size, digest, readErr := p.finish()
	switch {
	case readErr != nil:
		return nil, readErr
	case size != file.Size || digest != file.Digest:
		return nil, &lockfile.DigestError{Want: file.Digest, Got: digest, Size: size}
	case parseErr != nil:
		return nil, parseErr
	}
	return records, nil
}

// ReadUnlisted reads a Packages file that no Release vouches for, of a
// repository that a person has declared trusted.
func ReadUnlisted(r io.Reader, want Wanted) ([]Record, error) {
	l := &io.LimitedReader{R: r, N: maxIndex}
	records, err := scanPackages(l, want)
	if err == nil && l.N == 0 {
		err = fmt.Errorf("the index is longer than %d bytes", int64(maxIndex))
	}
	return records, err
}

const (
	chunkSize  = 256 << 10
	chunkCount = 8
)

// A pipe reads ahead and hashes what it reads, each in a goroutine of its own,
// and hands on the same bytes as an io.Reader.
type pipe struct {
	free   chan []byte
	ready  chan []byte
	chunk  []byte // being handed out
	rest   []byte // of chunk
	err    error  // of the source, valid once ready is closed
	size   int64  // valid once ready is closed
	digest hash.Hash
}

func startPipe(r io.Reader) *pipe {
	p := &pipe{free: make(chan []byte, chunkCount), ready: make(chan []byte, chunkCount), digest: sha256.New()}
	for range chunkCount {
		p.free <- make([]byte, chunkSize)
	}
	filled := make(chan []byte, chunkCount)
	go p.fill(r, filled)
	go p.hash(filled)
	return p
}

func (p *pipe) fill(r io.Reader, filled chan<- []byte) {
	defer close(filled)
	for b := range p.free {
		n, err := io.ReadFull(r, b[:chunkSize])
		filled <- b[:n]
		if err != nil {
			if err != io.EOF && err != io.ErrUnexpectedEOF {
				p.err = err
			}
			return
		}
	}
}

func (p *pipe) hash(filled <-chan []byte) {
	defer close(p.ready)
	for b := range filled {
		p.digest.Write(b)
		p.size += int64(len(b))
		p.ready <- b
	}
}

// Read implements [io.Reader]. An error of the source is told by finish.
func (p *pipe) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.chunk != nil {
			p.free <- p.chunk
		}
		var ok bool
		if p.chunk, ok = <-p.ready; !ok {
			return 0, io.EOF
		}
		p.rest = p.chunk
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// finish reads what is left and returns size and digest of the whole.
func (p *pipe) finish() (int64, lockfile.Digest, error) {
	io.Copy(io.Discard, p) // Read has no error but the end
	return p.size, lockfile.Digest(p.digest.Sum(nil)), p.err
}
