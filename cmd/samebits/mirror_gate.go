package main

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/cache/mirror/page"
)

// holdPatience is how long those who are being served may hold up a reload,
// and with it all others. Who only waits for the bytes of a file, since the
// client is slow, is served to the end all the same.
const holdPatience = time.Second

// A gate passes requests on to a handler, which can be replaced between two of
// them. Its connections know nothing of that.
type gate struct {
	enter   sync.RWMutex // held for writing while requests wait
	handler atomic.Pointer[http.Handler]
	active  atomic.Int64 // requests that are being served
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.enter.RLock()
	h := *g.handler.Load()
	g.active.Add(1)
	g.enter.RUnlock()
	defer g.active.Add(-1)
	h.ServeHTTP(w, r)
}

// hold lets no more requests in, and waits for some time for those that are.
func (g *gate) hold() {
	g.enter.Lock()
	for end := time.Now().Add(holdPatience); g.active.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

func (g *gate) release() { g.enter.Unlock() }

// set has requests go to h from now on.
func (g *gate) set(h http.Handler) { g.handler.Store(&h) }

// metricsBeside answers /metrics, for those who may read from the mirror.
func metricsBeside(m *mirror.Mirror) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" || r.URL.IsAbs() || r.Method != http.MethodGet && r.Method != http.MethodHead {
			m.ServeHTTP(w, r)
			return
		}
		// The mirror says who may read.
		health := r.Clone(r.Context())
		health.URL.Path, health.URL.RawPath = "/healthz", ""
		answer := &notedAnswer{header: http.Header{}}
		if m.ServeHTTP(answer, health); answer.code >= 300 {
			for name, values := range answer.header {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.code)
			_, _ = w.Write([]byte(answer.body.String()))
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_ = page.WriteMetrics(w, m.Status(), time.Now())
	})
}

// A notedAnswer is an answer that nobody is sent yet.
type notedAnswer struct {
	header http.Header
	code   int
	body   strings.Builder
}

func (a *notedAnswer) Header() http.Header { return a.header }

func (a *notedAnswer) WriteHeader(code int) { a.code = code }

func (a *notedAnswer) Write(b []byte) (int, error) { return a.body.Write(b) }
