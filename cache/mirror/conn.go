package mirror

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen bounds how many connections of a listener are open at a time; 0
// stands for the default of Limits. Further ones wait in the kernel.
func Listen(l net.Listener, connections int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, cmp.Or(connections, 2000)), done: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots chan struct{}
	once  sync.Once
	done  chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return &limitedConn{Conn: c, release: l.slots}, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		<-l.slots
		tcp.Close()
		return nil, err
	}
	return &limitedTCP{TCPConn: tcp, raw: raw, release: l.slots}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	once    sync.Once
	release chan struct{}
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.release })
	return c.Conn.Close()
}

// limitedTCP is a TCP connection that can be told to hold back the head of an
// answer until its body is there: both then leave in one piece, and the client
// is woken once. A file is sent by the kernel, from an offset of its own, so
// that one open file serves many connections.
//
// Only the goroutine that serves a request writes, as with any net.Conn of
// net/http.
type limitedTCP struct {
	*net.TCPConn
	raw     syscall.RawConn
	once    sync.Once
	release chan struct{}

	holding bool
	held    []byte
}

func (c *limitedTCP) Close() error {
	c.once.Do(func() { <-c.release })
	return c.TCPConn.Close()
}

// maxHeld bounds what is held back, in bytes: more than any head of ours.
const maxHeld = 8 << 10

// Write sends b, or holds it back.
func (c *limitedTCP) Write(b []byte) (int, error) {
	if c.holding && len(c.held)+len(b) <= maxHeld {
		c.held = append(c.held, b...)
		return len(b), nil
	}
	if err := c.letGo(); err != nil {
		return 0, err
	}
	return c.TCPConn.Write(b)
}

// ReadFrom sends what r has, which net/http calls for bodies. A payload leaves
// together with what is held back.
func (c *limitedTCP) ReadFrom(r io.Reader) (int64, error) {
	if p, ok := r.(*payload); ok {
		held := c.held
		c.held, c.holding = c.held[:0], false
		if p.file == nil {
			return c.writeBoth(held, p.data)
		}
		return c.sendFile(held, p)
	}
	if err := c.letGo(); err != nil {
		return 0, err
	}
	return c.TCPConn.ReadFrom(r)
}

// hold has what is written from now on wait for ReadFrom or letGo.
func (c *limitedTCP) hold() { c.holding = true }

// letGo sends what is held back.
func (c *limitedTCP) letGo() error {
	held := c.held
	c.held, c.holding = c.held[:0], false
	if len(held) == 0 {
		return nil
	}
	_, err := c.TCPConn.Write(held)
	return err
}

// writeBoth writes a head and a body, and returns how much of the body went.
func (c *limitedTCP) writeBoth(head, body []byte) (int64, error) {
	n, err := (&net.Buffers{head, body}).WriteTo(c.TCPConn)
	return max(n-int64(len(head)), 0), err
}

// sendFile writes a head and has the kernel send a file after it.
func (c *limitedTCP) sendFile(head []byte, p *payload) (sent int64, err error) {
	at := p.at
	werr := c.raw.Write(func(fd uintptr) bool {
		for len(head) > 0 {
			n, e := unix.SendmsgN(int(fd), head, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
			switch {
			case e == unix.EINTR:
			case e == unix.EAGAIN:
				return false
			case e != nil:
				err = os.NewSyscallError("sendmsg", e)
				return true
			}
			head = head[max(n, 0):]
		}
		for sent < p.size {
			n, e := unix.Sendfile(int(fd), p.fd, &at, int(min(p.size-sent, 1<<30)))
			switch {
			case e == unix.EINTR:
			case e == unix.EAGAIN:
				return false
			case e != nil:
				err = os.NewSyscallError("sendfile", e)
				return true
			case n == 0:
				err = io.ErrUnexpectedEOF // the file has shrunk
				return true
			}
			sent += int64(max(n, 0))
		}
		return true
	})
	return sent, cmp.Or(err, werr)
}

// A payload is the body of an answer: data, or size bytes of a file from at on.
type payload struct {
	data []byte
	file *os.File
	fd   int // of file
	at   int64
	size int64
}

// Read makes a payload an io.Reader; limitedTCP sends it without reading it.
func (p *payload) Read(b []byte) (n int, err error) {
	switch {
	case p.file == nil:
		n = copy(b, p.data)
		p.data = p.data[n:]
		if n == 0 && len(b) > 0 {
			err = io.EOF
		}
		return n, err
	case p.size == 0:
		return 0, io.EOF
	}
	n, err = p.file.ReadAt(b[:min(int64(len(b)), p.size)], p.at)
	p.at, p.size = p.at+int64(n), p.size-int64(n)
	switch {
	case n > 0:
		err = nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF // the file has shrunk
	}
	return n, err
}

type connKey struct{}

// withConn is the ConnContext of a server: requests know their connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if tcp, ok := c.(*limitedTCP); ok {
		return context.WithValue(ctx, connKey{}, tcp)
	}
	return ctx
}

// sendPayload sends the body of an answer of which all header fields are set,
// and returns how much of it went.
func sendPayload(w http.ResponseWriter, r *http.Request, p *payload) (int64, error) {
	conn, _ := r.Context().Value(connKey{}).(*limitedTCP)
	from, ok := w.(io.ReaderFrom)
	flusher, ok2 := w.(http.Flusher)
	if conn == nil || !ok || !ok2 || r.Method != http.MethodGet {
		// TLS, a socket of another kind, or a handler between us and net/http.
		buf := copyBuffers.Get().(*[64 << 10]byte)
		defer copyBuffers.Put(buf)
		return io.CopyBuffer(struct{ io.Writer }{w}, p, buf[:])
	}
	conn.hold()
	flusher.Flush() // the head goes to the connection, which keeps it
	n, err := from.ReadFrom(p)
	if e := conn.letGo(); err == nil {
		err = e
	}
	return n, err
}
