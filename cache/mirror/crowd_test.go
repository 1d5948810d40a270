package mirror

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func removeIfThere(name string) error {
	if err := os.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// hangUp sends bytes, reads so many of what comes, and resets the connection.
func (r *rig) hangUp(text string, read int) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.WriteString(conn, text); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, conn, int64(read)); err != nil {
		r.t.Error(err)
	}
}

// A thousand connections that rest keep nobody waiting, and each goes on where
// its client does.
func TestAThousandRestingConnections(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	ask := func(conn net.Conn) {
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, "GET "+smallPath+" HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != string(repo.debs[smallDeb]) {
			t.Fatalf("%s with %d bytes, %v", resp.Status, len(body), err)
		}
	}
	var conns []net.Conn
	for i := range 1000 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if conns = append(conns, conn); i%2 == 0 { // the others never say anything
			ask(conn)
		}
	}
	r.want(largePath, 200, repo.debs[largeDeb])
	for i := 0; i < len(conns); i += 100 {
		ask(conns[i])
	}
}

// Connections that rest too long give their places to those who wait.
func TestRestingConnectionsMakeRoom(t *testing.T) {
	_, _, r := simple(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := Server(r.Mirror, Limits{IdleTime: 200 * time.Millisecond})
	go func() { _ = srv.Serve(Listen(l, 4)) }()
	defer srv.Close()
	for range 20 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp, err)
		}
	}
}

// Paths that no archive has: none leads to upstream, into the store, or to
// anything but a refusal.
func TestAbsurdPaths(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	asked := func() int {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.asked)
	}
	before := asked()
	for name, path := range map[string]string{
		"up":                       "/debian/pool/../../../etc/passwd",
		"up, encoded":              "/debian/%2e%2e/%2E%2e/etc/passwd",
		"up, with a slash encoded": "/debian/..%2f..%2fetc%2fpasswd",
		"up, overlong":             "/debian/%c0%ae%c0%ae/etc/passwd",
		"up, backwards":            "/debian/..\\..\\etc\\passwd",
		"a point":                  "/debian/pool/./x",
		"a point, encoded":         "/debian/pool/%2e/x",
		"two slashes":              "/debian/pool//x",
		"two slashes at first":     "//debian/x/",
		"many slashes":             "/debian" + strings.Repeat("/", 1000) + "x",
		"zero":                     "/debian/a%00.deb",
		"a zero as it is":          "/debian/a\x00.deb",
		"line end":                 "/debian/a%0d%0aX: y",
		"delete":                   "/debian/a%7f",
		"half an escape":           "/debian/a%2",
		"no escape":                "/debian/%zz",
		"no text":                  "/debian/%ff%fe/",
		"long":                     "/debian/" + strings.Repeat("a", 64<<10),
		"long, in parts":           "/debian" + strings.Repeat("/a", 32<<10),
		"deep up":                  "/debian" + strings.Repeat("/..", 5000),
		"a fragment":               "/debian/../x#/y",
		"the store":                "/blob/sha256/../../../index.db",
		"the partial":              "/partial/" + strings.Repeat("0", 64),
		"no frozen state":          "/snapshot/../../state/history",
		"a frozen state's up":      "/snapshot/20200101T000000Z/../debian/x",
	} {
		if code, text := r.raw("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"); code < 400 || code >= 500 {
			t.Errorf("%s: %d %.200q", name, code, text)
		}
		host := strings.TrimPrefix(o.URL, "http://")
		if code, text := r.raw("GET " + o.URL + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); code < 400 || code >= 500 {
			t.Errorf("%s, as a proxy: %d %.200q", name, code, text)
		}
	}
	if n := asked(); n != before {
		t.Errorf("upstream was asked for %d paths: %.300q", n-before, slices.Collect(maps.Keys(o.asked)))
	}
}
