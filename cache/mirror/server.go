package mirror

import (
	"cmp"
	"log/slog"
	"net/http"
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
		ConnContext:  withConn,
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// maxBody bounds the body of a request to the API, which may be a lock.
const maxBody = 64 << 20
