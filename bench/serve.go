package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// serve starts nginx on a free port of the loopback and returns its URL.
func (b *bench) serve(root string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	address := l.Addr().String()
	l.Close()
	run := filepath.Join(b.dir, "nginx")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return "", err
	}
	conf := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 2; user root;
events { worker_connections 512; }
http { access_log off; sendfile on; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; root %[3]s; } }
`, run, address, root)
	file := filepath.Join(run, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return "", err
	}
	cmd := exec.Command("nginx", "-p", run, "-e", filepath.Join(run, "error.log"), "-c", file)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	b.atEnd(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	})
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return "http://" + address, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "", fmt.Errorf("nginx does not answer on %s", address)
}

// delayed starts a proxy before base that holds back each request for a while,
// as a far-away server would, and returns its URL.
func (b *bench) delayed(base string, wait time.Duration) (string, error) {
	target, err := url.Parse(base)
	if err != nil {
		return "", err
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(wait)
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(l)
	b.atEnd(func() { server.Close() })
	return "http://" + l.Addr().String(), nil
}
