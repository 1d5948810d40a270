package mirror

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// raw sends bytes as they are and returns the first answer.
func (r *rig) raw(text string) (int, string) {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(conn, text)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Status + "\n" + string(body)
}

func TestNoOpenProxy(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		t.Errorf("the mirror asked a stranger for %s", req.URL)
	}))
	defer outside.Close()
	host := strings.TrimPrefix(o.URL, "http://")
	for _, target := range []string{outside.URL + "/debian/x", outside.URL + "/", o.URL + "/", o.URL + "/other/x", o.URL + "/debianx/y",
		"http://mirror.example.org/debian/x", "ftp://" + host + "/debian/x", "http://169.254.169.254/latest/meta-data"} {
		if code, text := r.raw("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); code != 403 {
			t.Errorf("%s: %s", target, text)
		}
	}
	if code, text := r.raw("GET http://user:secret@" + host + "/debian/dists/one/InRelease HTTP/1.1\r\nHost: x\r\n\r\n"); code != 400 {
		t.Error(text)
	}
	if code, text := r.raw("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n"); code != 405 || !strings.Contains(text, "in place of") {
		t.Error(text)
	}
	// The host of the URL counts, whatever the Host field says.
	if code, text := r.raw("GET " + outside.URL + "/debian/dists/one/InRelease HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); code != 403 {
		t.Error(text)
	}
	if code, _ := r.raw("GET " + o.URL + "/debian/" + smallDeb + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"); code != 200 {
		t.Error("a request by the archive's own name was refused")
	}
	_ = repo
}

func TestNoPathLeavesTheArchive(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	before := len(o.asked)
	for _, path := range []string{"/debian/../../etc/passwd", "/debian/%2e%2e/%2e%2e/etc/passwd", "/debian/..%2f..%2fetc/passwd", "/debian/pool//x",
		"/debian/./x", "/debian/pool/..", "/debian/a%5cb", "/debian/a%00b", "/debian/a%0ab", "/debian/%2fetc/passwd", "/debian/a%20b", "/debian//etc/passwd"} {
		if code, text := r.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); code != 400 {
			t.Errorf("%s: %s", path, text)
		}
	}
	for _, path := range []string{"/", "/../etc/passwd", "/blob/sha256/../../version", "/snapshot/../debian/x", "/nothing/x", "/debian", "/debian/", "/debian/pool/"} {
		if code, text := r.raw("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); code != 404 && code != 406 {
			t.Errorf("%s: %s", path, text)
		}
	}
	if len(o.asked) != before {
		t.Errorf("upstream was asked: %v", o.asked)
	}
}

func TestProbeOfAutoAptProxy(t *testing.T) {
	_, _, r := simple(t, nil)
	if code, text := r.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); code != 406 || !strings.HasPrefix(text, "406 Usage Information\n") || !strings.Contains(text, "/debian") {
		t.Error(text)
	}
	if resp, body := r.mustGet("/", "Accept", "text/html,*/*"); resp.StatusCode != 200 || !strings.Contains(string(body), "Acquire::http::Proxy") {
		t.Errorf("%s %s", resp.Status, body)
	}
}

func TestGreedyAndSlowClients(t *testing.T) {
	_, _, r := simple(t, nil)
	if code, text := r.raw("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 20<<10) + "\r\n\r\n"); code != 431 {
		t.Error(text)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := Server(r.Mirror, Limits{HeaderTime: 300 * time.Millisecond, IdleTime: 300 * time.Millisecond})
	go func() { _ = srv.Serve(Listen(l, 3)) }()
	defer srv.Close()
	// Three slow ones take all connections; the fourth is served when they
	// have been thrown out.
	for range 3 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go func() {
			for _, c := range []byte("GET / HTTP/1.1\r\nHost: " + strings.Repeat("x", 1000)) {
				if _, err := conn.Write([]byte{c}); err != nil {
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	time.Sleep(50 * time.Millisecond)
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
}

func TestTokens(t *testing.T) {
	const read, admin = "read-token-0123456789", "admin-token-012345678"
	repo, o, r := simple(t, func(c *Config) { c.ReadTokens, c.AdminToken = []string{"x-other-token-0123456789", read}, admin })
	for _, c := range []struct {
		user, password, bearer string
		code                   int
	}{{"", "", "", 401}, {"any", read, "", 200}, {"any", read + "x", "", 401}, {read, "", "", 401}, {"", "", read, 200}, {"", "", admin, 200}, {"", "", "x", 401}} {
		req, _ := http.NewRequest(http.MethodGet, r.url+inReleasePath, nil)
		if c.user != "" {
			req.SetBasicAuth(c.user, c.password)
		}
		if c.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+c.bearer)
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.code {
			t.Errorf("%+v: %s", c, resp.Status)
		}
	}
	if code, text := r.raw("GET " + o.URL + "/debian/dists/one/InRelease HTTP/1.1\r\nHost: x\r\n\r\n"); code != 407 {
		t.Error(text)
	}
	if resp, _, _ := r.do(http.MethodPost, r.url+"/api/snapshot", "Authorization", "Bearer "+read); resp.StatusCode != 403 {
		t.Error(resp.Status)
	}
	if resp, body, _ := r.do(http.MethodPost, r.url+"/api/snapshot", "Authorization", "Bearer "+admin); resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Status, body)
	}
	_ = repo
}

func TestNoAdminWithoutAToken(t *testing.T) {
	_, _, r := simple(t, nil)
	updated(r)
	for _, path := range []string{"/api/snapshot", "/api/evict", "/api/refresh", "/api/warm?snapshot=x"} {
		if resp, _, err := r.do(http.MethodPost, r.url+path, "Authorization", "Bearer "); err != nil || resp.StatusCode != 403 {
			t.Error(path, resp, err)
		}
	}
	if resp, _, err := r.do(http.MethodDelete, r.url+inReleasePath); err != nil || resp.StatusCode != 405 {
		t.Error(resp, err)
	}
}

func TestAPI(t *testing.T) {
	const admin = "admin-token-012345678"
	repo, _, r := simple(t, func(c *Config) { c.AdminToken = admin })
	updated(r)
	r.waitIndexed()
	d := lockfile.DigestOf(repo.debs[smallDeb])
	call := func(method, path, body string, code int) []byte {
		t.Helper()
		req, _ := http.NewRequest(method, r.url+path, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+admin)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != code {
			t.Errorf("%s %s: %s %s", method, path, resp.Status, out)
		}
		return out
	}
	lock := d.String() + "  " + smallDeb + "\n"
	call("PUT", "/api/pins/team", lock, 200)
	call("PUT", "/api/pins/mirror-set-x", lock, 400)
	call("PUT", "/api/pins/bad", "no lock", 502)
	call("POST", "/api/warm", lock, 200)
	if !r.store.has(d) {
		t.Error("warming a lock did not fetch it")
	}
	call("POST", "/api/snapshot", "", 200)
	call("POST", "/api/warm?snapshot="+r.Snapshots()[0]+"&arch=amd64", "", 200)
	call("POST", "/api/refresh", "", 200)
	var s Status
	if err := json.Unmarshal(call("GET", "/api/status", "", 200), &s); err != nil || len(s.Upstreams) != 1 || s.Upstreams[0].Roots[0].Archive != "Example%20Org/Extra" || !s.Upstreams[0].Roots[0].Signed || len(s.Pins) != 1 {
		t.Errorf("%+v %v", s, err)
	}
	if out := call("GET", "/api/history?name=small", "", 200); !bytes.Contains(out, []byte(d.String())) {
		t.Errorf("%s", out)
	}
	if out := call("GET", "/api/history.txt", "", 200); !bytes.Contains(out, []byte(d.String())) {
		t.Errorf("%s", out)
	}
	call("DELETE", "/api/pins/team", "", 200)
	call("DELETE", "/api/pins/team", "", 404)
	call("POST", "/api/nothing", "", 404)
}

// A login that is in an upstream's URL reaches that upstream and nobody else.
func TestUpstreamsLoginStaysSecret(t *testing.T) {
	repo := newRepo(t)
	repo.build("small", "1.0-1", 100)
	o := newOrigin(t, repo.publish())
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "" || strings.Contains(fmt.Sprint(req.Header), "hunter2") {
			t.Errorf("a stranger was told: %v", req.Header)
		}
		o.ServeHTTP(w, req)
	}))
	defer stranger.Close()
	var mu sync.Mutex
	asked := 0
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		if req.Host != strings.TrimPrefix(o.URL, "http://") {
			return false
		}
		mu.Lock()
		asked++
		mu.Unlock()
		if _, password, _ := req.BasicAuth(); password != "hunter2" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return true
		}
		if strings.HasPrefix(path, "pool/") || path == "dists/one/InRelease" {
			http.Redirect(w, req, strings.Replace(stranger.URL, "127.0.0.1", "localhost", 1)+req.URL.Path, http.StatusFound)
			return true
		}
		return false
	})
	up := debianAt(o, repo.keys())
	up.URLs = []string{strings.Replace(o.URL, "http://", "http://team:hunter2@", 1) + "/debian"}
	r := newRig(t, up, nil)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	if asked == 0 {
		t.Error("the upstream was not asked")
	}
	o.Close()
	_, a := r.mustGet("/debian/README")
	_, b := r.mustGet("/api/status")
	_ = r.Refresh(t.Context())
	_, c := r.mustGet("/debian/dists/three/InRelease")
	resp, d := r.mustGet(inReleasePath)
	journal, _ := r.get2("journal")
	for i, text := range []string{string(a), string(b), string(c), string(d), fmt.Sprint(resp.Header), r.log.String(), journal} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%d tells the password: %s", i, text)
		}
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	good := Upstream{Prefix: "debian", URLs: []string{"http://ftp.debian.org/debian"}, Format: &Debian{}}
	for name, change := range map[string]func(*Config){
		"needs a directory":   func(c *Config) { c.State = "" },
		"less than 16":        func(c *Config) { c.AdminToken = "short" },
		"prefix cannot be":    func(c *Config) { c.Upstreams[0].Prefix = "../x" },
		"itself uses":         func(c *Config) { c.Upstreams[0].Prefix = "blob/x" },
		"two upstreams":       func(c *Config) { c.Upstreams = append(c.Upstreams, good) },
		"no format":           func(c *Config) { c.Upstreams[0].Format = nil },
		"no URL to":           func(c *Config) { c.Upstreams[0].URLs = nil },
		"is none such":        func(c *Config) { c.Upstreams[0].URLs = []string{"ftp://team:hunter2@x/"} },
		"a query, a fragment": func(c *Config) { c.Upstreams[0].Aliases = []string{"http://x/?hunter2"} },
	} {
		c := Config{Cache: "a", State: "b", Upstreams: []Upstream{good}}
		change(&c)
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneMirrorAState(t *testing.T) {
	_, _, r := simple(t, nil)
	conf := r.conf
	if _, err := Open(conf); err == nil || !strings.Contains(err.Error(), "another mirror") {
		t.Error(err)
	}
}
