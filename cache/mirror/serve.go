package mirror

import (
	"io"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

const (
	// smallFile is up to which size a file is kept in memory and sent in one
	// write: for those, sendfile costs more than it saves.
	smallFile = 48 << 10
	// slowest is the rate, in bytes per second, that a client must keep up
	// over a whole file, after the first minute.
	slowest = 8 << 10
	grace   = time.Minute
)

// serveTarget answers with a file, out of the store or while it arrives.
func (m *Mirror) serveTarget(w http.ResponseWriter, r *http.Request, t *target) {
	if t.stale != nil {
		m.count.stale.Add(1)
		w.Header().Add("Warning", `110 samebits "Response is Stale"`)
		w.Header().Add("Warning", `199 samebits "`+strings.Map(quotable, clean(t.stale.Error()))+`"`)
	}
	d := t.want.digest
	if d.IsZero() {
		d, _ = m.identities.get(t.want.identity)
	}
	whole := wantsWhole(r)
	if data := m.small.get(d); whole && data != nil {
		m.count.hits.Add(1)
		m.serveSmall(w, r, t, d, data)
		return
	}
	if !d.IsZero() {
		file, info, err := m.store.open(r.Context(), d)
		if err == nil {
			defer file.Close()
			m.count.hits.Add(1)
			if whole && info.Size() > 0 && info.Size() <= smallFile {
				data := make([]byte, info.Size())
				if _, err := file.ReadAt(data, 0); err == nil {
					m.small.put(d, data)
					m.serveSmall(w, r, t, d, data)
					return
				}
			}
			m.serveFile(w, r, t, d, file, info.Size())
			return
		}
		if !missing(err) {
			m.fail(w, r, err)
			return
		}
	}
	switch {
	case t.up == nil || len(t.places) == 0:
		plain(w, http.StatusNotFound, "the mirror does not have it and does not know who does\n")
	case m.offline.Load():
		m.fail(w, r, errOffline)
	default:
		m.count.misses.Add(1)
		m.serveFlight(w, r, t)
	}
}

func quotable(c rune) rune {
	if c == '"' || c == '\\' || c < ' ' || c > '~' {
		return '\''
	}
	return c
}

// describe sets the header fields that say what a file is.
func describe(w http.ResponseWriter, t *target, d lockfile.Digest) (stamp time.Time) {
	h := w.Header()
	stamp = t.stamp
	if !d.IsZero() {
		h.Set("ETag", `"`+d.String()+`"`)
		if stamp.IsZero() {
			stamp = stampOf(d)
		}
	}
	h.Set("Content-Type", contentType(t.path))
	h.Set("Accept-Ranges", "bytes")
	if t.stamp.IsZero() {
		h.Set("Cache-Control", "public, max-age=86400")
	} else {
		h.Set("Cache-Control", "public, max-age=0, must-revalidate")
	}
	return stamp
}

// contentType keeps browsers from showing, and proxies from changing, a file.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".deb", ".udeb", ".ddeb":
		return "application/vnd.debian.binary-package"
	case ".rpm":
		return "application/x-rpm"
	}
	return "application/octet-stream"
}

// serveFile answers out of the store. A client that names a time is answered
// by equality: times here do not grow with the age of what they stand for.
func (m *Mirror) serveFile(w http.ResponseWriter, r *http.Request, t *target, d lockfile.Digest, file *os.File, size int64) {
	if t.served != nil {
		t.served()
	}
	stamp := describe(w, t, d)
	if notModified(r, stamp) {
		m.answerNotModified(w, stamp)
		return
	}
	if size > 1<<20 {
		m.deadline(w, size)
	}
	http.ServeContent(w, withoutSince(r), "", stamp, file)
	switch n, err := strconv.ParseInt(w.Header().Get("Content-Length"), 10, 64); {
	case err == nil && r.Method == http.MethodGet:
		m.count.bytesServed.Add(n)
	case w.Header().Get("Content-Type") == "":
		m.count.notModified.Add(1)
	}
}

// notModified reports whether the client has the very file that bears stamp.
func notModified(r *http.Request, stamp time.Time) bool {
	since := r.Header.Get("If-Modified-Since")
	if since == "" || r.Header.Get("If-None-Match") != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	t, err := http.ParseTime(since)
	return err == nil && t.Equal(stamp)
}

// withoutSince returns the request without the question that has been
// answered.
func withoutSince(r *http.Request) *http.Request {
	if len(r.Header["If-Modified-Since"]) > 0 {
		r = r.Clone(r.Context())
		r.Header.Del("If-Modified-Since")
	}
	return r
}

// wantsWhole reports whether a request is for a whole file, on no condition
// but that of its time.
func wantsWhole(r *http.Request) bool {
	h := r.Header
	return r.Method == http.MethodGet && len(h["Range"]) == 0 && len(h["If-None-Match"]) == 0 &&
		len(h["If-Match"]) == 0 && len(h["If-Unmodified-Since"]) == 0
}

func (m *Mirror) serveSmall(w http.ResponseWriter, r *http.Request, t *target, d lockfile.Digest, data []byte) {
	if t.served != nil {
		t.served()
	}
	stamp := describe(w, t, d)
	if notModified(r, stamp) {
		m.answerNotModified(w, stamp)
		return
	}
	h := w.Header()
	h.Set("Last-Modified", stamp.Format(http.TimeFormat))
	h.Set("Content-Length", strconv.Itoa(len(data)))
	n, _ := w.Write(data)
	m.count.bytesServed.Add(int64(n))
}

func (m *Mirror) answerNotModified(w http.ResponseWriter, stamp time.Time) {
	m.count.notModified.Add(1)
	w.Header().Del("Content-Type")
	w.Header().Set("Last-Modified", stamp.Format(http.TimeFormat))
	w.WriteHeader(http.StatusNotModified)
}

// deadline gives the client time by the size of the file.
func (m *Mirror) deadline(w http.ResponseWriter, size int64) {
	d := grace + time.Duration(size/slowest)*time.Second
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d))
}

// pass hands through what no set names: it is neither checked nor kept.
func (m *Mirror) pass(w http.ResponseWriter, r *http.Request, up *upstream, path string) {
	m.count.passed.Add(1)
	release, err := up.slot(r.Context())
	if err != nil {
		return
	}
	held := true
	defer func() {
		if held {
			release()
		}
	}()
	for _, pl := range up.places(path) {
		m.count.upstreamGets.Add(1)
		var body *fetch.Body
		if body, err = pl.source.Open(r.Context(), fetch.Request{Entry: lockfile.Entry{Path: path}}); err == nil {
			defer body.Close()
			held = false
			release() // a slow client is not to keep others from upstream
			m.passBody(w, r, path, body)
			return
		}
	}
	m.fail(w, r, err)
}

func (m *Mirror) passBody(w http.ResponseWriter, r *http.Request, path string, body *fetch.Body) {
	h := w.Header()
	h.Set("Content-Type", contentType(path))
	h.Set("Cache-Control", "no-store")
	h.Add("Warning", `199 samebits "No index names this file: it is passed on unchecked"`)
	if body.Size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(body.Size, 10))
	}
	if r.Method == http.MethodHead {
		return
	}
	m.deadline(w, max(body.Size, m.config.MaxFile>>10))
	buf := copyBuffers.Get().(*[64 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(body, m.config.MaxFile), buf[:])
	m.count.bytesServed.Add(n)
	if err != nil || body.Size >= 0 && n != body.Size {
		m.abort()
	}
}

// abort breaks the connection off, so that no client takes what it has for
// the whole.
func (m *Mirror) abort() {
	m.count.aborted.Add(1)
	panic(http.ErrAbortHandler)
}
