package target

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// A plain is an open regular file of the root. Roots have many and most are
// small, so that what [os.File] does to wait for pipes would take longer than
// to read them.
type plain struct {
	fd   int
	name string
}

func (f plain) fail(op string, err error) error {
	return &fs.PathError{Op: op, Path: f.name, Err: err}
}

// Read implements [io.Reader].
func (f plain) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	return f.got(len(b), func() (int, error) { return unix.Read(f.fd, b) })
}

// ReadAt implements [io.ReaderAt].
func (f plain) ReadAt(b []byte, at int64) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = f.got(len(b)-n, func() (int, error) { return unix.Pread(f.fd, b[n:], at+int64(n)) })
		n += m
	}
	return n, err
}

// got is the outcome of a reading of up to most bytes.
func (f plain) got(most int, read func() (int, error)) (int, error) {
	n, err := again(read)
	switch {
	case err != nil:
		return 0, f.fail("read", err)
	case n == 0 && most > 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements [io.Writer].
func (f plain) Write(b []byte) (n int, err error) {
	for n < len(b) {
		m, err := again(func() (int, error) { return unix.Write(f.fd, b[n:]) })
		if err == nil && m == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return n, f.fail("write", err)
		}
		n += m
	}
	return n, nil
}

// Seek implements [io.Seeker].
func (f plain) Seek(offset int64, whence int) (int64, error) {
	at, err := unix.Seek(f.fd, offset, whence)
	if err != nil {
		return 0, f.fail("seek", err)
	}
	return at, nil
}

// Close implements [io.Closer].
func (f plain) Close() error {
	if err := unix.Close(f.fd); err != nil {
		return f.fail("close", err)
	}
	return nil
}

// again repeats a system call that a signal interrupted.
func again(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); err != unix.EINTR {
			return n, err
		}
	}
}

// copies are buffers to copy contents with.
var copies = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// copyTo writes what r has, which must be so many bytes.
func (f plain) copyTo(r io.Reader, size int64) error {
	buf := copies.Get().(*[256 << 10]byte)
	defer copies.Put(buf)
	for left := size; ; {
		n, err := r.Read(buf[:])
		if left -= int64(n); left < 0 || errors.Is(err, io.EOF) && left > 0 {
			return fmt.Errorf("it has not the %d bytes that it should have", size)
		}
		if _, werr := f.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
