package pacman

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	blockSize = 512
	maxPlain  = 1 << 30 // bytes of a member that is not left to archive/tar
)

// errCut is a tar that ends without the zeros that mark its end.
var errCut = errors.New("it is cut off: it has no end mark")

// members walks through the members of a tar. Those that repo-add writes, plain
// files and folders with short names, it reads by itself, at a fraction of the
// cost of archive/tar; at the first of any other kind it hands over to that.
type members struct {
	r     *bufio.Reader
	block [blockSize]byte
	left  int64 // bytes of the present member, padding included
	size  int64 // bytes of the present member
	slow  *tar.Reader
	tail  tail
}

func newMembers(r io.Reader, limit int64) *members {
	return &members{r: bufio.NewReaderSize(&bounded{r, limit}, 128<<10)}
}

// next goes to the next member and returns its name, as a slice that is valid
// until the next call, and whether it is a file. At the end it reads what
// pads the tar, for the sake of a checksum behind it, and returns io.EOF.
func (m *members) next() (name []byte, regular bool, err error) {
	if m.slow != nil {
		return m.nextSlow()
	}
	for m.left > 0 {
		n, err := m.r.Discard(int(min(m.left, 1<<30)))
		if m.left -= int64(n); err != nil {
			return nil, false, cutOff(err)
		}
	}
	if _, err := io.ReadFull(m.r, m.block[:]); err != nil {
		return nil, false, cutOff(err)
	}
	if m.block == [blockSize]byte{} {
		return nil, false, m.end()
	}
	size, ok := plainHeader(&m.block)
	if !ok {
		m.tail.r = m.r
		m.slow = tar.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(m.block[:])), &m.tail))
		return m.nextSlow()
	}
	m.size, m.left = size, (size+blockSize-1)/blockSize*blockSize
	name, _, _ = bytes.Cut(m.block[:100], []byte{0})
	return name, m.block[156] == '0', nil
}

func cutOff(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

func (m *members) nextSlow() (name []byte, regular bool, err error) {
	h, err := m.slow.Next()
	switch {
	case err == io.EOF && m.tail.zeros < 2*blockSize:
		return nil, false, errCut
	case err == io.EOF:
		return nil, false, m.drain()
	case err != nil:
		return nil, false, err
	}
	return []byte(h.Name), h.Typeflag == tar.TypeReg, nil
}

// end takes the second of the two blocks of zeros that mark the end. There are
// tars with one alone.
func (m *members) end() error {
	switch _, err := io.ReadFull(m.r, m.block[:]); {
	case err == io.EOF:
		return io.EOF
	case err != nil:
		return cutOff(err)
	case m.block != [blockSize]byte{}:
		return errors.New("something follows its end mark")
	}
	return m.drain()
}

// drain reads to the end and returns io.EOF.
func (m *members) drain() error {
	if _, err := io.Copy(io.Discard, m.r); err != nil {
		return err
	}
	return io.EOF
}

// body reads the present member whole, unless it is longer than limit.
func (m *members) body(limit int64) ([]byte, error) {
	if m.slow != nil {
		return readBounded(m.slow, limit)
	}
	if m.size > limit {
		return nil, fmt.Errorf("it is longer than %d bytes", limit)
	}
	data := make([]byte, m.size)
	n, err := io.ReadFull(m.r, data)
	m.left -= int64(n)
	if err != nil {
		return nil, cutOff(err)
	}
	return data, nil
}

// plainHeader reads a header of POSIX's ustar format (IEEE 1003.1, pax) of a
// file or folder whose name has no prefix. For all else ok is false.
func plainHeader(b *[blockSize]byte) (size int64, ok bool) {
	const (
		nameEnd              = 100
		sizeAt, sumAt, kind  = 124, 148, 156
		magicAt, prefixAt    = 257, 345
		sizeDigits, sumDigit = 11, 6
	)
	if string(b[magicAt:magicAt+8]) != "ustar\x0000" || b[prefixAt] != 0 || b[nameEnd-1] != 0 || b[0] == 0 {
		return 0, false
	}
	size, ok = octal(b[sizeAt : sizeAt+sizeDigits])
	end := b[sizeAt+sizeDigits]
	folder := bytes.HasSuffix(bytes.TrimRight(b[:nameEnd], "\x00"), []byte("/"))
	if !ok || size > maxPlain || end != 0 && end != ' ' || !(b[kind] == '0' && !folder) && !(b[kind] == '5' && size == 0) {
		return 0, false
	}
	want, ok := octal(b[sumAt : sumAt+sumDigit])
	sum := int64(8 * ' ')
	for i, c := range b {
		if i < sumAt || i >= sumAt+8 {
			sum += int64(c)
		}
	}
	return size, ok && sum == want
}

func octal(digits []byte) (n int64, ok bool) {
	for _, c := range digits {
		if c < '0' || c > '7' {
			return 0, false
		}
		n = n<<3 | int64(c-'0')
	}
	return n, true
}

// bounded fails after n bytes.
type bounded struct {
	r io.Reader
	n int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.n <= 0 {
		return 0, errors.New("it unpacks to more than anything real")
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.n)])
	b.n -= int64(n)
	return n, err
}

// tail counts the zeros at the end of what was read so far.
type tail struct {
	r     io.Reader
	zeros int
}

func (t *tail) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	last := len(bytes.TrimRight(p[:n], "\x00"))
	if last > 0 {
		t.zeros = 0
	}
	t.zeros += n - last
	return n, err
}
