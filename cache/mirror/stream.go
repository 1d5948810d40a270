package mirror

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// maxPiece is how many bytes of a file that is on its way are sent at a time,
// which a client may take as long as grace for.
const maxPiece = 256 << 10

// serveFlight answers with a file while it arrives. The last bytes of what the
// client wants are kept back until the whole file is known to be right; if it
// turns out not to be, the connection breaks off. A client that has the file
// already is told so; for a package, nothing is fetched.
func (m *Mirror) serveFlight(w http.ResponseWriter, r *http.Request, t *target) {
	same := !t.want.digest.IsZero() && hasSame(r, t.want.digest, t.time(t.want.digest))
	if same && t.arrived == nil {
		m.answerNotModified(w, describe(w, t, t.want.digest))
		return
	}
	// The store answers what depends on more than the bytes to come.
	stored := same || len(r.Header["If-Match"]) > 0 || len(r.Header["If-Unmodified-Since"]) > 0
	if !stored && r.Method == http.MethodHead && !t.want.digest.IsZero() && t.want.size >= 0 {
		stamp := describe(w, t, t.want.digest)
		w.Header().Set("Last-Modified", stamp.Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.FormatInt(t.want.size, 10))
		return
	}
	f, begun := m.board(t.up, t.want, t.path, t.where())
	f.join()
	defer func() { f.leave() }()
	v, ok := m.awaitFirst(r, f, stored)
	for range 3 {
		ill := v.done && v.err != nil && begun                   // when we came; that may have passed
		evicted := v.done && v.err == nil && !m.store.has(v.got) // as soon as it came
		if !ok || !ill && !evicted {
			break
		}
		begun = false
		f.leave()
		f = m.fly(t.up, t.want, t.path, t.where())
		f.join()
		v, ok = m.awaitFirst(r, f, stored)
	}
	if !ok {
		return // the client has left
	}
	if v.done {
		m.serveArrived(w, r, t, v)
		return
	}
	stamp := describe(w, t, t.want.digest)
	from, to, partial := span(r, t.want.digest, stamp, v.size)
	w.Header().Set("Content-Length", strconv.FormatInt(to-from, 10))
	if !stamp.IsZero() {
		w.Header().Set("Last-Modified", stamp.Format(http.TimeFormat))
	}
	code := http.StatusOK
	if partial {
		code = http.StatusPartialContent
		w.Header().Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(to-1, 10)+"/"+strconv.FormatInt(v.size, 10))
	}
	w.WriteHeader(code)
	if r.Method == http.MethodHead {
		return
	}
	if m.follow(w, r, f, v.gen, from, to) {
		m.flightServed(t)
	}
}

func (m *Mirror) flightServed(t *target) {
	if t.arrived != nil {
		t.arrived()
	}
	if t.served != nil {
		t.served()
	}
}

// awaitFirst waits until something can be sent, or it is known what came of
// the flight: at once, or where stored is set at its end. ok is false where the
// client has left.
func (m *Mirror) awaitFirst(r *http.Request, f *flight, stored bool) (view, bool) {
	for {
		v := f.view()
		if v.done || !stored && v.size > holdBack && v.sendable(v.size) > 0 {
			return v, true
		}
		select {
		case <-v.wake:
		case <-r.Context().Done():
			return v, false
		}
	}
}

// serveArrived answers when the flight is over.
func (m *Mirror) serveArrived(w http.ResponseWriter, r *http.Request, t *target, v view) {
	if v.err != nil {
		if missing(v.err) && t.gone != nil {
			t.gone()
		}
		m.fail(w, r, v.err)
		return
	}
	if t.arrived != nil {
		t.arrived()
	}
	// Those who waited for it together are served from one open file.
	whole := wantsWhole(r)
	if h := m.hot.get(v.got); h != nil {
		defer h.release()
		if whole {
			m.deadline(w, h.size)
			m.serveHot(w, r, t, h)
			return
		}
	}
	file, info, err := m.store.open(r.Context(), v.got)
	if err != nil {
		m.fail(w, r, err)
		return
	}
	m.deadline(w, info.Size())
	m.serveOpen(w, r, t, v.got, file, info.Size(), whole)
}

// follow sends the bytes from..to as they come, and reports whether all went.
func (m *Mirror) follow(w http.ResponseWriter, r *http.Request, f *flight, gen int, from, to int64) bool {
	control := http.NewResponseController(w)
	sent := false
	for from < to {
		v := f.view()
		if v.gen != gen && sent || v.done && v.err != nil {
			m.abort() // what was sent was taken back
		}
		gen = v.gen
		n := min(v.sendable(to)-from, maxPiece)
		if n <= 0 {
			if sent {
				_ = control.Flush() // what is there is of use now
			}
			select {
			case <-v.wake:
				continue
			case <-r.Context().Done():
				return false
			}
		}
		_ = control.SetWriteDeadline(time.Now().Add(grace))
		wrote, err := sendPayload(w, r, &payload{file: v.file, fd: int(v.file.Fd()), at: from, size: n})
		m.count.bytesServed.Add(wrote)
		from += wrote
		sent = sent || wrote > 0
		if err != nil && f.view().gen == gen {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				m.config.Log.Error("a file that is on its way has become shorter", "path", f.path)
				m.abort()
			}
			return false
		}
	}
	return true
}

// span says which bytes the client wants: of one range (RFC 9110, section 14),
// if it asks for one and its If-Range holds, or all.
func span(r *http.Request, d lockfile.Digest, stamp time.Time, size int64) (from, to int64, partial bool) {
	spec, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if !ok || r.Method != http.MethodGet || strings.Contains(spec, ",") || !ifRange(r, d, stamp) {
		return 0, size, false
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return 0, size, false
	}
	a, errA := strconv.ParseUint(first, 10, 62)
	b, errB := strconv.ParseUint(last, 10, 62)
	switch {
	case first == "" && errB == nil && b > 0: // the last b bytes
		return max(0, size-int64(b)), size, true
	case errA != nil || int64(a) >= size || last != "" && (errB != nil || b < a):
		return 0, size, false
	case last == "":
		return int64(a), size, true
	}
	return int64(a), min(int64(b)+1, size), true
}

func ifRange(r *http.Request, d lockfile.Digest, stamp time.Time) bool {
	cond := r.Header.Get("If-Range")
	switch {
	case cond == "":
		return true
	case strings.HasPrefix(cond, `"`):
		return cond == `"`+d.String()+`"`
	}
	t, err := http.ParseTime(cond)
	return err == nil && t.Equal(stamp)
}
