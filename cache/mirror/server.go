package mirror

import (
	"cmp"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits are what a server grants its clients. Zero fields have defaults that
// suit a team.
type Limits struct {
	// HeaderBytes bounds the head of a request; 0 for 16 KiB.
	HeaderBytes int
	// HeaderTime is how long a client may take to send one; 0 for 10 s.
	HeaderTime time.Duration
	// IdleTime is how long a connection may rest between requests; 0 for 2
	// minutes.
	IdleTime time.Duration
	// Connections is how many may be open at a time; 0 for 2000. More wait.
	Connections int
	// Log is told what net/http complains of; nil for nobody.
	Log *slog.Logger
}

// Server returns a server for a Mirror with limits on slow and greedy clients.
// The time for an answer is set by the handler, by the size of the file. Its
// listener should be limited with Listen.
func Server(handler http.Handler, l Limits) *http.Server {
	log := l.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler: handler,
		// net/http adds 4 KiB of slack to what it is told.
		MaxHeaderBytes:    max(cmp.Or(l.HeaderBytes, 16<<10)-4<<10, 1),
		ReadHeaderTimeout: cmp.Or(l.HeaderTime, 10*time.Second),
		// No ReadTimeout: it would end requests that wait for upstream. The
		// few that have a body get their time from the handler.
		WriteTimeout: 2 * grace,
		IdleTimeout:  cmp.Or(l.IdleTime, 2*time.Minute),
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// maxBody bounds the body of a request to the API, which may be a lock.
const maxBody = 64 << 20

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
	return &limitedTCP{TCPConn: tcp, release: l.slots}, nil
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

// limitedTCP keeps the methods of a TCP connection within reach, above all
// ReadFrom, by which files are sent without being read.
type limitedTCP struct {
	*net.TCPConn
	once    sync.Once
	release chan struct{}
}

func (c *limitedTCP) Close() error {
	c.once.Do(func() { <-c.release })
	return c.TCPConn.Close()
}
