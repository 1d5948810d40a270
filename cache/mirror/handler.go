package mirror

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// ServeHTTP answers one request.
func (m *Mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.count.requests.Add(1)
	if r.ContentLength != 0 {
		// A request with a body is the last of its connection: where a body
		// ends can be read in two ways, the end of a connection cannot.
		w.Header().Set("Connection", "close")
	}
	if r.Method == http.MethodConnect {
		m.refuse(w, http.StatusMethodNotAllowed, "this mirror does not tunnel: what HTTPS hides cannot be kept. Use the mirror's own address in place of the archive's, as in http://this.mirror:3142/debian, or http in place of https for archives that are signed\n")
		return
	}
	path := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.ContentLength != 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		m.refuseMethod(w, r)
	case !m.mayRead(r):
		m.unauthorized(w, r)
	case r.URL.IsAbs() || r.URL.Host != "":
		m.serveProxy(w, r)
	case strings.HasPrefix(path, "api/"):
		m.serveAPI(w, r, strings.TrimPrefix(path, "api/"))
	case !onlyRead(r):
		m.refuseMethod(w, r)
	case path == "healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n" + m.share.health()))
	case path == "":
		m.serveHome(w, r)
	default:
		m.serveOwn(w, r, path)
	}
}

func onlyRead(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && r.ContentLength == 0
}

// refuseMethod answers what is not onlyRead, and ends the connection.
func (m *Mirror) refuseMethod(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		m.refuse(w, http.StatusBadRequest, "a question to a mirror has no body\n")
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	m.refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD are for mirrors\n")
}

// refuse answers a request that is not served, in plain text.
func (m *Mirror) refuse(w http.ResponseWriter, code int, text string) {
	m.count.refused.Add(1)
	plain(w, code, text)
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}

// serveHome answers "/". auto-apt-proxy takes for a caching proxy what answers
// "406 Usage Information" there, with these words in the status line.
func (m *Mirror) serveHome(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		if m.Home != nil {
			m.Home.ServeHTTP(w, r)
			return
		}
		plain(w, http.StatusOK, m.usage(r))
		return
	}
	if h, ok := w.(http.Hijacker); ok && r.ProtoMajor == 1 {
		if conn, _, err := h.Hijack(); err == nil {
			defer conn.Close()
			text := m.usage(r)
			fmt.Fprintf(conn, "HTTP/1.1 406 Usage Information\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(text))
			if r.Method != http.MethodHead {
				_, _ = conn.Write([]byte(text))
			}
			return
		}
	}
	plain(w, http.StatusNotAcceptable, m.usage(r))
}

func (m *Mirror) usage(r *http.Request) string {
	var b strings.Builder
	b.WriteString("Usage information: this is a mirror of package archives.\n\n")
	for _, up := range m.upstreams {
		fmt.Fprintf(&b, "http://%s/%s\n", r.Host, up.Prefix)
	}
	fmt.Fprintf(&b, "\napt may also use it as its proxy:\nAcquire::http::Proxy \"http://%s\";\n", r.Host)
	return b.String()
}

// serveProxy answers requests of the absolute form, which clients send that
// have the mirror as their HTTP proxy: for the archives that it has, and for
// nothing else.
func (m *Mirror) serveProxy(w http.ResponseWriter, r *http.Request) {
	if r.URL.User != nil || r.URL.Host == "" || !strings.EqualFold(r.Host, r.URL.Host) {
		// net/http takes the host out of the URL (RFC 9112, section 3.2.2),
		// so that no other can be meant; one that does not is not trusted.
		m.refuse(w, http.StatusBadRequest, "the host of the request is not clear\n")
		return
	}
	if !onlyRead(r) {
		m.refuseMethod(w, r)
		return
	}
	up, path := m.match(r.URL)
	if up == nil {
		m.refuse(w, http.StatusForbidden, "this mirror is no open proxy, and "+clean(shownURL(r.URL))+" is in none of its archives. Add the archive to the mirror's configuration, or reach it directly with Acquire::http::Proxy::"+clean(r.URL.Hostname())+" \"DIRECT\";\n")
		return
	}
	m.servePath(w, r, up, path, nil)
}

// clean takes control characters out of what a client sent.
func clean(s string) string { return oneField(s) }

// match finds the archive whose root is the longest beginning of a URL.
func (m *Mirror) match(u *url.URL) (found *upstream, path string) {
	longest := -1
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, ""
	}
	for _, up := range m.upstreams {
		for _, base := range up.matches {
			root := strings.TrimSuffix(base.Path, "/") + "/"
			if rest, ok := strings.CutPrefix(u.Path, root); ok && len(root) > longest && sameHost(base, u) {
				found, path, longest = up, rest, len(root)
			}
		}
	}
	return found, path
}

// sameHost compares hosts and ports. The scheme of a request to a proxy is
// http also for archives that the mirror reaches by https.
func sameHost(base, u *url.URL) bool {
	return strings.EqualFold(strings.TrimSuffix(base.Hostname(), "."), strings.TrimSuffix(u.Hostname(), ".")) &&
		(port(base) == port(u) || base.Scheme == "https" && port(base) == "443" && port(u) == "80")
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// serveOwn answers paths on the mirror itself.
func (m *Mirror) serveOwn(w http.ResponseWriter, r *http.Request, path string) {
	if rest, ok := strings.CutPrefix(path, "blob/sha256/"); ok {
		m.serveDigest(w, r, rest)
		return
	}
	var snap *Snapshot
	if rest, ok := strings.CutPrefix(path, "snapshot/"); ok {
		timestamp, rest, _ := strings.Cut(rest, "/")
		var err error
		if snap, err = m.snapshots.at(timestamp); err != nil {
			m.fail(w, r, err)
			return
		}
		path = rest
	}
	// The longest prefix first: one may be within another.
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		if up := m.byPrefix[path[:end]]; up != nil {
			m.servePath(w, r, up, strings.TrimPrefix(path[end:], "/"), snap)
			return
		}
	}
	plain(w, http.StatusNotFound, "no archive of this mirror has that prefix; / lists those that there are\n")
}

// servePath answers for a path of an archive, now or as it was frozen.
func (m *Mirror) servePath(w http.ResponseWriter, r *http.Request, up *upstream, path string, snap *Snapshot) {
	if path == "" || strings.HasSuffix(path, "/") {
		plain(w, http.StatusNotFound, "this mirror lists no directories\n")
		return
	}
	if err := checkPath(r.URL, path); err != nil {
		m.refuse(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	var t *target
	var err error
	if snap != nil {
		t, err = m.resolveFrozen(r.Context(), up, path, snap)
	} else {
		t, err = m.resolve(r.Context(), clientOf(r), up, path)
	}
	switch {
	case errors.Is(err, errUnnamed) && !m.offline.Load():
		m.pass(w, r, up, path)
	case errors.Is(err, errUnnamed):
		m.fail(w, r, errOffline)
	case err != nil:
		m.fail(w, r, err)
	default:
		m.serveTarget(w, r, t)
	}
}

// clientOf names the client whose metadata must be of one set, as bindings do:
// its connection or, where a proxy tells, whom that asks for. What it tells need
// not be true: it chooses between sets that anyone is served.
func clientOf(r *http.Request) string {
	if behind := r.Header.Get("X-Forwarded-For"); behind != "" {
		return "for " + behind[:min(len(behind), 256)] + ":0"
	}
	return r.RemoteAddr
}

// checkPath refuses what could lead elsewhere, or be read in two ways.
func checkPath(u *url.URL, path string) error {
	bad := strings.ContainsAny(path, "\\\x00")
	if u.RawPath != "" { // set where the path is not encoded as Go would do it
		lower := strings.ToLower(u.RawPath)
		for _, code := range []string{"%2f", "%5c", "%00"} {
			bad = bad || strings.Contains(lower, code)
		}
	}
	if bad {
		return errors.New("the path has an encoded slash, backslash or zero")
	}
	if err := lockfile.CheckPath(path); err != nil {
		return errors.New("the path is none of a file in an archive")
	}
	return nil
}

// serveDigest answers /blob/sha256/<hex>.
func (m *Mirror) serveDigest(w http.ResponseWriter, r *http.Request, hex string) {
	d, err := lockfile.ParseDigest(hex)
	if err != nil || d.String() != hex {
		plain(w, http.StatusNotFound, "a digest has 64 lower-case hexadecimal digits\n")
		return
	}
	if t := m.byDigest(d); t != nil {
		m.serveTarget(w, r, t)
		return
	}
	m.serveTarget(w, r, &target{path: "blob/sha256/" + hex, want: want{digest: d, size: -1}})
}

// fail answers that something cannot be had, and why.
func (m *Mirror) fail(w http.ResponseWriter, r *http.Request, err error) {
	var timeout net.Error
	switch {
	case r.Context().Err() != nil:
		return // nobody is there any more
	case errors.Is(err, errOffline):
		plain(w, http.StatusGatewayTimeout, "the mirror is offline and does not have it\n")
	case absent(err):
		plain(w, http.StatusNotFound, clean(err.Error())+"\n")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		plain(w, http.StatusGatewayTimeout, clean(err.Error())+"\n")
	default:
		plain(w, http.StatusBadGateway, clean(err.Error())+"\n")
	}
}
