package mirror

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// Status is what a Mirror has and does.
type Status struct {
	Upstreams []UpstreamStatus `json:"upstreams"`
	Snapshots []string         `json:"snapshots"`
	Pins      []string         `json:"pins"` // of locks, not the mirror's own
	Offline   bool             `json:"offline"`
	Store     *StoreStatus     `json:"store,omitempty"` // that is shared with others
	Changes   []Change         `json:"changes"`         // the last ones, latest first
	Metrics   Metrics          `json:"metrics"`
}

// UpstreamStatus is an archive that is mirrored.
type UpstreamStatus struct {
	Prefix string       `json:"prefix"`
	From   []string     `json:"from"` // without logins
	Roots  []RootStatus `json:"roots"`
}

// RootStatus is one root of an archive.
type RootStatus struct {
	Path    string    `json:"path"`
	Set     string    `json:"set"`
	Archive string    `json:"archive"`
	Date    time.Time `json:"date"`
	Adopted time.Time `json:"adopted"`
	Checked time.Time `json:"checked"` // zero: not since the start
	Signed  bool      `json:"signed"`
	Old     int       `json:"old"` // earlier sets that are still served
	Error   string    `json:"error,omitempty"`
}

// maxShown is how many changes a Status tells.
const maxShown = 20

// Status tells what there is, without a look at each blob.
func (m *Mirror) Status() Status {
	s := Status{Snapshots: m.Snapshots(), Offline: m.offline.Load(), Store: m.share.status(), Changes: m.Changes(maxShown), Metrics: m.Metrics(), Upstreams: []UpstreamStatus{}, Pins: []string{}}
	for _, up := range m.upstreams {
		u := UpstreamStatus{Prefix: up.Prefix, Roots: []RootStatus{}}
		for _, base := range up.bases {
			u.From = append(u.From, shownURL(base))
		}
		for _, r := range up.known(nil) {
			u.Roots = append(u.Roots, r.status())
		}
		s.Upstreams = append(s.Upstreams, u)
	}
	if entries, err := os.ReadDir(m.store.dir + "/pins"); err == nil {
		for _, e := range entries {
			if n := e.Name(); !strings.HasPrefix(n, "mirror-") && !strings.HasPrefix(n, ".") {
				s.Pins = append(s.Pins, n)
			}
		}
	}
	return s
}

func (r *root) status() RootStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := r.current.rec
	s := RootStatus{Path: r.path, Set: r.current.id, Archive: rec.Archive, Date: rec.Date, Adopted: rec.Adopted,
		Checked: r.checked, Signed: rec.Signed, Old: len(r.old)}
	if r.failed != nil {
		s.Error = r.failed.Error()
	}
	return s
}

// History returns the package files of a name that signed indexes ever named,
// at most 10,000; an empty version or architecture stands for all.
func (m *Mirror) History(name, version, arch string) []Seen {
	prefix := name + "\x00"
	if version != "" {
		prefix += version + "\x00"
		if arch != "" {
			prefix += arch + "\x00"
		}
	}
	out := m.history.find(byVersion, prefix, 10_000)
	if arch != "" {
		out = slices.DeleteFunc(out, func(s Seen) bool { return s.Arch != arch })
	}
	return out
}

// serveAPI answers below /api/: status and history for readers, the rest for
// who has the admin token.
func (m *Mirror) serveAPI(w http.ResponseWriter, r *http.Request, path string) {
	q := r.URL.Query()
	switch {
	case path == "status" && onlyRead(r):
		answerJSON(w, m.Status())
	case path == "history" && onlyRead(r) && q.Get("name") != "":
		answerJSON(w, m.History(q.Get("name"), q.Get("version"), q.Get("arch")))
	case path == "history.txt" && onlyRead(r):
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		m.deadline(w, m.history.lines.length())
		http.ServeFile(w, r, m.state.path(historyFile))
	case onlyRead(r):
		plain(w, http.StatusNotFound, "there are /api/status, /api/history?name= and /api/history.txt\n")
	case !m.isAdmin(r):
		m.refuse(w, http.StatusForbidden, "this wants the mirror's admin token\n")
	default:
		m.serveAdmin(w, r, path)
	}
}

// serveAdmin changes what the mirror keeps.
func (m *Mirror) serveAdmin(w http.ResponseWriter, r *http.Request, path string) {
	q := r.URL.Query()
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(grace))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = control.SetReadDeadline(time.Time{})
	if err != nil {
		m.refuse(w, http.StatusBadRequest, "the body cannot be read\n")
		return
	}
	pin, isPin := strings.CutPrefix(path, "pins/")
	if isPin && strings.HasPrefix(pin, "mirror-") {
		m.refuse(w, http.StatusBadRequest, "pins that begin with mirror- are the mirror's own\n")
		return
	}
	var out any
	switch {
	case r.Method == http.MethodPost && path == "snapshot":
		out, err = m.Freeze(r.Context())
	case r.Method == http.MethodPost && path == "refresh":
		err = m.Refresh(r.Context())
	case r.Method == http.MethodPost && path == "evict":
		out, err = m.Evict(r.Context())
	case r.Method == http.MethodPost && path == "warm" && q.Get("snapshot") != "":
		m.deadline(w, 1<<40)
		out, err = warmed(m.Warm(r.Context(), q.Get("snapshot"), Choice{Archives: q["archive"], Architectures: q["arch"], Components: q["component"]}))
	case r.Method == http.MethodPost && path == "warm":
		var lock *lockfile.Lock
		m.deadline(w, 1<<40)
		if lock, err = lockfile.Parse("lock", bytes.NewReader(body)); err == nil {
			out, err = warmed(m.WarmLock(r.Context(), lock))
		}
	case r.Method == http.MethodPut && isPin:
		var lock *lockfile.Lock
		if lock, err = lockfile.Parse(pin, bytes.NewReader(body)); err == nil {
			err = m.Pin(r.Context(), pin, lock)
		}
	case r.Method == http.MethodDelete && isPin:
		err = m.Unpin(r.Context(), pin)
	default:
		plain(w, http.StatusNotFound, "there is nothing of that kind to change\n")
		return
	}
	if err != nil {
		m.config.Log.Warn("a request to change the mirror failed", "path", clean(path), "error", err)
		m.fail(w, r, err)
		return
	}
	answerJSON(w, out)
}

// warmed takes for an answer also what could not all be had.
func warmed(w Warming, err error) (Warming, error) {
	if w.Failed > 0 {
		err = nil
	}
	return w, err
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v)
}
