package mirror

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// Hot answers leave by a way of their own where the connection is TCP. What
// arrives is the same by every way, on connections that are used again, and
// with requests that did not wait for the answer before.
func TestHotFilesByEveryKindOfConnection(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	r.want(largePath, 200, repo.debs[largeDeb])
	secure := httptest.NewUnstartedServer(nil)
	secure.Listener, secure.Config = Listen(secure.Listener, 0), Server(r.Mirror, Limits{})
	secure.StartTLS()
	defer secure.Close()
	socket := filepath.Join(t.TempDir(), "socket")
	unixListener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := Server(r.Mirror, Limits{})
	go func() { _ = server.Serve(Listen(unixListener, 0)) }()
	defer server.Close()
	plain := func(network, address string) func(t *testing.T) net.Conn {
		return func(t *testing.T) net.Conn {
			c, err := net.Dial(network, address)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
	}
	for name, dial := range map[string]func(t *testing.T) net.Conn{
		"TCP":    plain("tcp", strings.TrimPrefix(r.url, "http://")),
		"socket": plain("unix", socket),
		"TLS": func(t *testing.T) net.Conn {
			config := secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			config.ServerName = "example.com" // of httptest's certificate
			conn, err := tls.Dial("tcp", secure.Listener.Addr().String(), config)
			if err != nil {
				t.Fatal(err)
			}
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t)
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			pipelined(t, conn, repo)
		})
	}
}

// pipelined sends all its requests at once and reads the answers.
func pipelined(t *testing.T, conn net.Conn, repo *repo) {
	asked := []struct {
		method, path, header string
		code                 int
		body                 []byte
	}{
		{"GET", smallPath, "", 200, repo.debs[smallDeb]},
		{"GET", largePath, "", 200, repo.debs[largeDeb]},
		{"HEAD", largePath, "", 200, nil},
		{"HEAD", smallPath, "", 200, nil},
		{"GET", largePath, "Range: bytes=1000-1999\r\n", 206, repo.debs[largeDeb][1000:2000]},
		{"GET", "/debian/pool/none", "", 404, nil},
		{"GET", largePath, "If-None-Match: \"x\"\r\n", 200, repo.debs[largeDeb]},
		{"GET", smallPath, "", 200, repo.debs[smallDeb]},
		{"GET", largePath, "", 200, repo.debs[largeDeb]},
	}
	var text strings.Builder
	for _, a := range asked {
		text.WriteString(a.method + " " + a.path + " HTTP/1.1\r\nHost: m\r\n" + a.header + "\r\n")
	}
	go func() { _, _ = io.WriteString(conn, text.String()) }()
	in := bufio.NewReader(conn)
	for i, a := range asked {
		resp, err := http.ReadResponse(in, &http.Request{Method: a.method})
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != a.code || a.body != nil && !bytes.Equal(body, a.body) {
			t.Errorf("answer %d: %s with %d bytes, %v", i, resp.Status, len(body), err)
		}
		if size := len(repo.debs[strings.ReplaceAll(strings.TrimPrefix(a.path, "/debian/"), "%2b", "+")]); a.method == "HEAD" && resp.ContentLength != int64(size) {
			t.Errorf("answer %d: a Content-Length of %d, not %d", i, resp.ContentLength, size)
		}
	}
}

// HTTP/1.0 clients get the same, and the end of the connection.
func TestHotFileForAnOldClient(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	for range 2 {
		r.want(largePath, 200, repo.debs[largeDeb])
		if code, text := r.raw("GET " + largePath + " HTTP/1.0\r\n\r\n"); code != 200 || !strings.HasSuffix(text, "\n"+string(repo.debs[largeDeb])) {
			t.Errorf("%d with %d bytes", code, len(text))
		}
	}
}

// A file that loses bytes while it is being sent breaks the connection off:
// what went is not shown as the whole.
func TestHotFileThatShrinks(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	r.want(largePath, 200, repo.debs[largeDeb])
	r.want(largePath, 200, repo.debs[largeDeb]) // open from now on
	name := r.conf.Cache + "/blobs/sha256/" + lockfile.DigestOf(repo.debs[largeDeb]).String()
	if err := os.Truncate(name, 300_000); err != nil {
		t.Fatal(err)
	}
	resp, body, err := r.get(largePath)
	if err == nil {
		t.Errorf("%s with %d bytes and no error", resp.Status, len(body))
	}
	// When it is looked at again it is found out, and fetched anew.
	r.hot.tidy(time.Now().Add(lookAgain + time.Second))
	r.want(largePath, 200, repo.debs[largeDeb])
}

// What is held back leaves in the order in which it was written, with a
// payload, with other bodies, and when there is none.
func TestHeldBackBytesKeepTheirOrder(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := Listen(l, 1)
	defer limited.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := limited.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, ok := withConn(context.Background(), accepted).Value(connKey{}).(*limitedTCP)
	if !ok {
		t.Fatalf("requests do not know a %T", accepted)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	large := bytes.Repeat([]byte("0123456789"), 1_000_000) // more than a socket takes at once
	if _, err := file.Write(large); err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	write := func(b []byte) {
		want.Write(b)
		if n, err := conn.Write(b); n != len(b) || err != nil {
			t.Error(n, err)
		}
		if len(conn.held) > maxHeld {
			t.Errorf("%d bytes are held back", len(conn.held))
		}
	}
	read := func(body []byte, r io.Reader) {
		want.Write(body)
		if n, err := conn.ReadFrom(r); n != int64(len(body)) || err != nil {
			t.Error(n, err)
		}
	}
	go func() {
		defer conn.Close()
		write([]byte("open "))
		conn.hold()
		write([]byte("head "))
		write([]byte("more "))
		read([]byte("body "), &payload{data: []byte("body ")})
		conn.hold()
		write([]byte("file head "))
		read(large[7:], &payload{file: file, fd: int(file.Fd()), at: 7, size: int64(len(large) - 7)})
		conn.hold()
		write([]byte("another "))
		read([]byte("reader "), strings.NewReader("reader "))
		conn.hold()
		write(bytes.Repeat([]byte("x"), maxHeld))
		write([]byte(" too much to hold "))
		write([]byte("and the rest"))
		if err := errors.Join(conn.letGo(), conn.letGo()); err != nil {
			t.Error(err)
		}
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes came, %d were sent, %v", len(got), want.Len(), err)
	}
}

func TestPayloadIsAReader(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for want, p := range map[string]*payload{"": {}, "data": {data: []byte("data")}, "2345": {file: file, at: 2, size: 4}, "89": {file: file, at: 8, size: 2}} {
		if got, err := io.ReadAll(p); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if got, err := io.ReadAll(&payload{file: file, at: 5, size: 9}); err == nil || string(got) != "56789" {
		t.Errorf("a file that is too short was read as %q, %v", got, err)
	}
}
