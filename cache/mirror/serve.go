package mirror

import (
	"fmt"
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
	whole := wantsWhole(r) && !d.IsZero()
	if whole {
		if h := m.hot.get(d); h != nil {
			defer h.release()
			m.count.hits.Add(1)
			m.serveHot(w, r, t, h)
			return
		}
	}
	if !d.IsZero() && !m.flying(d) {
		file, info, err := m.store.open(r.Context(), d)
		if err == nil {
			m.count.hits.Add(1)
			m.serveOpen(w, r, t, d, file, info.Size(), whole)
			return
		}
		if !missing(err) {
			m.fail(w, r, err)
			return
		}
	}
	switch {
	case t.up == nil || len(t.places) == 0 && !t.ordinary:
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

// serveOpen answers with an open file, and closes it. One that is wanted whole
// is kept at hand for the next who ask for it.
func (m *Mirror) serveOpen(w http.ResponseWriter, r *http.Request, t *target, d lockfile.Digest, file *os.File, size int64, whole bool) {
	if !whole {
		defer file.Close()
		m.serveFile(w, r, t, d, file, size)
		return
	}
	h, err := newHotFile(d, file, size)
	if err != nil {
		m.fail(w, r, err)
		return
	}
	defer h.release()
	m.hot.put(d, h)
	m.serveHot(w, r, t, h)
}

// The values of header fields that are the same for many files.
var (
	acceptRanges    = []string{"bytes"}
	neverChanges    = []string{"public, max-age=86400"}
	mayChange       = []string{"public, max-age=0, must-revalidate"}
	debianPackage   = []string{"application/vnd.debian.binary-package"}
	rpmPackage      = []string{"application/x-rpm"}
	someOctetStream = []string{"application/octet-stream"}
)

// time returns the Last-Modified of a target that has a digest, zero where that
// is not known.
func (t *target) time(d lockfile.Digest) time.Time {
	if t.stamp.IsZero() && !d.IsZero() {
		return stampOf(d)
	}
	return t.stamp
}

// describe sets the header fields that say what a file is.
func describe(w http.ResponseWriter, t *target, d lockfile.Digest) (stamp time.Time) {
	h := w.Header()
	describePath(h, t)
	if !d.IsZero() {
		h["Etag"] = []string{`"` + d.String() + `"`}
	}
	return t.time(d)
}

// describePath sets those that follow from the path.
func describePath(h http.Header, t *target) {
	h["Content-Type"] = contentType(t.path)
	h["Accept-Ranges"] = acceptRanges
	h["Cache-Control"] = neverChanges
	if !t.stamp.IsZero() {
		h["Cache-Control"] = mayChange
	}
}

// contentType keeps browsers from showing, and proxies from changing, a file.
func contentType(name string) []string {
	switch path.Ext(name) {
	case ".deb", ".udeb", ".ddeb":
		return debianPackage
	case ".rpm":
		return rpmPackage
	}
	return someOctetStream
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

// hasSame reports whether the client says that it has the very file that bears
// a digest and stamp.
func hasSame(r *http.Request, d lockfile.Digest, stamp time.Time) bool {
	tag := `"` + d.String() + `"`
	for one := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		if strings.TrimPrefix(strings.TrimSpace(one), "W/") == tag {
			return true
		}
	}
	return notModified(r, stamp)
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

// serveHot answers with the whole of a file that is at hand.
func (m *Mirror) serveHot(w http.ResponseWriter, r *http.Request, t *target, file *hotFile) {
	if t.served != nil {
		t.served()
	}
	h := w.Header()
	describePath(h, t)
	h["Etag"] = file.etag
	stamp, modified := file.stamp, file.modified
	if !t.stamp.IsZero() {
		stamp, modified = t.stamp, []string{t.stamp.Format(http.TimeFormat)}
	}
	if notModified(r, stamp) {
		m.answerNotModified(w, stamp)
		return
	}
	h["Last-Modified"] = modified
	h["Content-Length"] = file.length
	if file.size > 1<<20 {
		m.deadline(w, file.size)
	}
	n, _ := sendPayload(w, r, file.payload())
	m.count.bytesServed.Add(n)
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
	var errs []error
	for _, pl := range up.places(path) {
		m.count.upstreamGets.Add(1)
		body, err := pl.source.Open(r.Context(), fetch.Request{Entry: lockfile.Entry{Path: path}})
		if err == nil {
			defer body.Close()
			held = false
			release() // a slow client is not to keep others from upstream
			m.passBody(w, r, path, body)
			return
		}
		errs = append(errs, fmt.Errorf("%s: %w", pl.source.Name(), err))
	}
	m.fail(w, r, verdict(errs))
}

func (m *Mirror) passBody(w http.ResponseWriter, r *http.Request, path string, body *fetch.Body) {
	h := w.Header()
	h["Content-Type"] = contentType(path)
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
