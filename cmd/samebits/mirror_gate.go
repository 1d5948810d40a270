package main

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/cache/mirror/page"
)

// holdPatience is how long those who are being served may hold up a reload.
const holdPatience = 10 * time.Second

// A gate passes requests on to a handler, which can be replaced between two of
// them. Its connections know nothing of that.
type gate struct {
	enter sync.RWMutex // held for writing while requests wait

	mu      sync.Mutex
	handler http.Handler
	active  int
	idle    chan struct{} // closed when active falls to 0; nil if nobody waits
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.enter.RLock()
	g.mu.Lock()
	h := g.handler
	g.active++
	g.mu.Unlock()
	g.enter.RUnlock()
	defer g.leave()
	h.ServeHTTP(w, r)
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.active--; g.active == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// hold lets no more requests in, and waits for some time for those that are.
func (g *gate) hold() {
	g.enter.Lock()
	g.mu.Lock()
	idle := make(chan struct{})
	if g.active == 0 {
		close(idle)
	} else {
		g.idle = idle
	}
	g.mu.Unlock()
	select {
	case <-idle:
	case <-time.After(holdPatience):
		g.mu.Lock()
		g.idle = nil
		g.mu.Unlock()
	}
}

func (g *gate) release() { g.enter.Unlock() }

// set has requests go to h from now on.
func (g *gate) set(h http.Handler) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.handler = h
}

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
