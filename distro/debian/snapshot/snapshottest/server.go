package snapshottest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
)

const layout = "20060102T150405Z"

// A Server keeps states of archives. States and answers are added before the
// first request.
type Server struct {
	// URL is the base, without a slash at its end.
	URL string
	// Mood, if set, sees each request first. It answers it and returns true,
	// or returns false to have it answered as usual.
	Mood func(w http.ResponseWriter, r *http.Request) bool

	listener *httptest.Server

	states map[string][]state // by archive, oldest first
	bins   map[string]string  // answers of the interface, by "name/version"

	mu              sync.Mutex
	requests        []string
	active, highest int
}

type state struct {
	at  time.Time
	dir string
}

// NewServer starts a server that ends with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{states: map[string][]state{}, bins: map[string]string{}}
	s.listener = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.URL = s.listener.URL
	return s
}

// Close ends the server before the test does: nobody listens at its URL then.
func (s *Server) Close() { s.listener.Close() }

// Add has the archive root dir be the archive's state from the time at on.
// States are added in the order of their times.
func (s *Server) Add(archive string, at time.Time, dir string) {
	s.states[archive] = append(s.states[archive], state{at, dir})
}

// AddBinary has the machine-readable interface know a package.
func (s *Server) AddBinary(name, version, answer string) { s.bins[name+"/"+version] = answer }

// AddVersions has the interface list versions of a package.
func (s *Server) AddVersions(name string, versions ...string) {
	var list []string
	for _, v := range versions {
		list = append(list, fmt.Sprintf(`{"binary_version":%q,"name":%q,"source":%q,"version":%q}`, v, name, name, v))
	}
	s.bins[name+"/"] = fmt.Sprintf(`{"binary":%q,"result":[%s]}`, name, strings.Join(list, ","))
}

// BinFiles returns an answer of the interface's form about one file.
func BinFiles(archive string, firstSeen time.Time, d Deb) string {
	dir, base := filepath.Split(d.Path())
	return fmt.Sprintf(`{"_comment":"not to be relied on","binary":%q,"binary_version":%q,`+
		`"result":[{"architecture":%q,"hash":"3f786850e387550fdab836ed7e6dc881de23001b"}],`+
		`"fileinfo":{"3f786850e387550fdab836ed7e6dc881de23001b":[{"archive_name":%q,"first_seen":%q,"name":%q,"path":%q,"size":1000}]}}`,
		d.Name, d.Version, d.Arch, archive, firstSeen.UTC().Format(layout), base, "/"+strings.TrimSuffix(dir, "/"))
}

// Mirror returns the server as a keeper of an archive. name is what locks call
// the archive, archive what the server does.
func (s *Server) Mirror(name, archive string) distro.Mirror {
	return distro.Mirror{Archive: name, Keeper: true, URL: s.URL + "/archive/" + archive + "/{{.Timestamp}}/{{.Path}}"}
}

// Requests returns the paths that were asked for, in order, redirects
// followed among them.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

// Parallel returns the highest number of requests that were under way at once.
func (s *Server) Parallel() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.highest
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.URL.RequestURI())
	s.active++
	s.highest = max(s.highest, s.active)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.active--
		s.mu.Unlock()
	}()
	if s.Mood != nil && s.Mood(w, r) {
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/mr/binary/"); ok {
		if answer, known := s.bins[strings.TrimSuffix(rest, "/binfiles")]; known {
			_, _ = w.Write([]byte(answer)) // the client may be gone
			return
		}
	} else if rest, ok := strings.CutPrefix(r.URL.Path, "/archive/"); ok {
		s.serveArchive(w, r, rest)
		return
	}
	http.NotFound(w, r)
}

// serveArchive answers ARCHIVE/TIMESTAMP/PATH. A timestamp between states is
// redirected to the state that it stands for.
func (s *Server) serveArchive(w http.ResponseWriter, r *http.Request, rest string) {
	parts := strings.SplitN(rest, "/", 3)
	if len(parts) < 3 {
		http.NotFound(w, r)
		return
	}
	at, err := time.Parse(layout, parts[1])
	if err != nil {
		http.Error(w, "not a timestamp", http.StatusBadRequest)
		return
	}
	var newest *state
	for i, st := range s.states[parts[0]] {
		if !st.at.After(at) {
			newest = &s.states[parts[0]][i]
		}
	}
	if newest == nil {
		http.NotFound(w, r)
		return
	}
	if !newest.at.Equal(at) {
		http.Redirect(w, r, "/archive/"+parts[0]+"/"+newest.at.UTC().Format(layout)+"/"+parts[2], http.StatusFound)
		return
	}
	data, err := os.ReadFile(filepath.Join(newest.dir, filepath.Clean("/"+parts[2])))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data) // the client may be gone
}
