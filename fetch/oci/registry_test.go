package oci_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"golang.org/x/crypto/bcrypt"

	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/fetch/web"
)

// inProcess starts a registry in this process and returns its host.
func inProcess(t testing.TB) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// realRegistry starts a docker-registry that ends with the test, and returns
// its host. With a password it wants a login as "user".
func realRegistry(t testing.TB, password string) string {
	t.Helper()
	program, err := exec.LookPath("docker-registry")
	if err != nil {
		t.Skip("docker-registry is not installed")
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	config := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}, cache: {blobdescriptor: inmemory}}\nhttp: {addr: %q}\n", dir, host)
	if password != "" {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, "htpasswd"), "user:"+string(hash)+"\n")
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %q}}\n", filepath.Join(dir, "htpasswd"))
	}
	writeFile(t, filepath.Join(dir, "config.yml"), config)
	cmd := exec.Command(program, "serve", filepath.Join(dir, "config.yml"))
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		resp, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("docker-registry does not answer")
	return ""
}

// registries are the kinds of registry that suites run against.
var registries = map[string]func(t testing.TB) string{
	"in process":      inProcess,
	"docker-registry": func(t testing.TB) string { return realRegistry(t, "") },
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// logins writes docker's configuration with a login for each host.
func logins(t testing.TB, password string, hosts ...string) string {
	t.Helper()
	auths := map[string]any{}
	for _, h := range hosts {
		auths[h] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("user:" + password))}
	}
	data, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, name, string(data))
	return name
}

// newClient returns a client with docker's configuration at a path, or none.
func newClient(t testing.TB, dockerConfig string) *oci.Client {
	t.Helper()
	c, err := oci.NewClient(oci.Config{Web: web.NewClient(web.Config{}), DockerConfig: dockerConfig})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A front stands before a registry, notes what is asked, and answers itself
// where answer says so by returning true.
type front struct {
	host   string
	mu     sync.Mutex
	asked  []string // method and path
	answer func(w http.ResponseWriter, r *http.Request) bool
}

func newFront(t testing.TB, behind string, answer func(w http.ResponseWriter, r *http.Request) bool) *front {
	t.Helper()
	f := &front{answer: answer}
	proxy := &httputil.ReverseProxy{
		ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", behind
			r.Out.Host = r.In.Host // the registry's links lead here again
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.asked = append(f.asked, r.Method+" "+r.URL.Path)
		answer := f.answer
		f.mu.Unlock()
		if answer == nil || !answer(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	f.host = server.Listener.Addr().String()
	return f
}

// count returns how many requests there were of a method.
func (f *front) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.asked {
		if len(a) > len(method) && a[:len(method)+1] == method+" " {
			n++
		}
	}
	return n
}

// forget forgets what was asked.
func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = nil
}
