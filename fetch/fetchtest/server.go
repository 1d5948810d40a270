package fetchtest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"
)

// A Mood is a way of answering a request for a file. data is nil where the
// server has no file at the path.
type Mood func(w http.ResponseWriter, r *http.Request, data []byte)

// A Server serves files over HTTP in changing moods. Paths have no leading
// slash and no encoding.
type Server struct {
	URL    string // of the root, without a slash at the end
	server *httptest.Server

	mu     sync.Mutex
	files  map[string][]byte
	moods  map[string][]Mood // what is left for each path
	mood   Mood
	counts map[string]int
	ranges map[string][]string
	now    int // requests being answered
	most   int // at once
}

// NewServer starts a server that serves files well. Close ends it.
func NewServer(files map[string][]byte) *Server {
	s := &Server{
		files:  files,
		mood:   Good,
		moods:  map[string][]Mood{},
		counts: map[string]int{},
		ranges: map[string][]string{},
	}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL
	return s
}

// Close ends all connections and the server.
func (s *Server) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// Mood sets how requests are answered for which nothing else is set.
func (s *Server) Mood(m Mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = m
}

// Next sets how the next requests for a path are answered, one after another.
func (s *Server) Next(path string, moods ...Mood) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moods[path] = moods
}

// Count returns how many requests there were for a path.
func (s *Server) Count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[path]
}

// Total returns how many requests there were.
func (s *Server) Total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.counts {
		n += c
	}
	return n
}

// Most returns how many requests were being answered at once at most.
func (s *Server) Most() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Ranges returns the Range headers of the requests for a path, in order;
// empty strings where there was none.
func (s *Server) Ranges(path string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ranges[path])
}

// ServeHTTP answers in the mood that is set.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[1:]
	s.mu.Lock()
	s.counts[path]++
	s.ranges[path] = append(s.ranges[path], r.Header.Get("Range"))
	mood := s.mood
	if next := s.moods[path]; len(next) > 0 {
		mood, s.moods[path] = next[0], next[1:]
	}
	data := s.files[path]
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	mood(w, r, data)
}

// changed is when all files were last changed, as far as a server says.
var changed = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Good serves the file, with ranges and a validator; 404 where there is none.
func Good(w http.ResponseWriter, r *http.Request, data []byte) {
	if data == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", changed, bytes.NewReader(data))
}

// Lie serves as many bytes as the file has, one of them wrong.
func Lie(w http.ResponseWriter, r *http.Request, data []byte) {
	data = bytes.Clone(data)
	if len(data) > 0 {
		data[len(data)/3] ^= 1
	}
	Good(w, r, data)
}

// Page serves a short page of text instead of any file, as a network does
// that wants its users to log in.
func Page(w http.ResponseWriter, r *http.Request, data []byte) {
	fmt.Fprintln(w, "<html>please log in</html>")
}

// Truncate announces the whole, sends the given part of what was asked for,
// and closes the connection.
func Truncate(part float64) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		Good(&cut{ResponseWriter: w, part: part}, r, data)
	}
}

// Stall sends the given part of what was asked for, and then nothing until the
// client goes away.
func Stall(part float64) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		Good(&cut{ResponseWriter: w, part: part, then: func() { <-r.Context().Done() }}, r, data)
	}
}

// cut passes a part of a body.
type cut struct {
	http.ResponseWriter
	part float64
	left int64
	then func()
}

func (c *cut) WriteHeader(code int) {
	var n int64
	fmt.Sscan(c.Header().Get("Content-Length"), &n)
	c.left = int64(float64(n) * c.part)
	c.ResponseWriter.WriteHeader(code)
}

func (c *cut) Write(p []byte) (int, error) {
	if int64(len(p)) < c.left {
		c.left -= int64(len(p))
		return c.ResponseWriter.Write(p)
	}
	_, _ = c.ResponseWriter.Write(p[:c.left])
	c.left = 0
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	if c.then != nil {
		c.then()
	}
	panic(http.ErrAbortHandler)
}

// Reset closes the connection without an answer.
func Reset(http.ResponseWriter, *http.Request, []byte) { panic(http.ErrAbortHandler) }

// Status answers with a status and no file.
func Status(code int) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		http.Error(w, http.StatusText(code), code)
	}
}

// Busy answers with a status, such as 429 or 503, and asks for time.
func Busy(code, seconds int) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		http.Error(w, http.StatusText(code), code)
	}
}

// Loop redirects to the same place for ever.
func Loop(w http.ResponseWriter, r *http.Request, data []byte) {
	http.Redirect(w, r, r.URL.EscapedPath(), http.StatusFound)
}

// WrongLength announces some bytes more, or fewer, than it has.
func WrongLength(by int) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(max(0, len(data)+by)))
		_, _ = w.Write(data[:min(len(data), max(0, len(data)+by))])
	}
}

// NoRange serves the whole file whatever was asked for.
func NoRange(w http.ResponseWriter, r *http.Request, data []byte) {
	r.Header.Del("Range")
	Good(w, r, data)
}

// Slow waits before it answers in another mood.
func Slow(wait time.Duration, then Mood) Mood {
	return func(w http.ResponseWriter, r *http.Request, data []byte) {
		select {
		case <-time.After(wait):
			then(w, r, data)
		case <-r.Context().Done():
		}
	}
}
