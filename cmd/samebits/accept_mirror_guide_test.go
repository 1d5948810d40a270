package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// example reads a file of examples/mirror, in which the words of each pair are
// replaced: each must be there.
func example(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	text := read(t, filepath.Join("../../examples/mirror", name))
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("%s has no %q", name, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// systemd finds nothing wrong with the unit, and the mirror knows the command
// line that is in it.
func TestAcceptMirrorUnit(t *testing.T) {
	needs(t, false, "systemd-analyze")
	unit := filepath.Join(t.TempDir(), "samebits-mirror.service")
	write(t, unit, example(t, "samebits-mirror.service", "/usr/bin/samebits", builtBinary(t)))
	if out, err := said("systemd-analyze", "verify", "--man=no", unit); err != nil || out != "" {
		t.Errorf("%v: %s", err, out)
	}
	for line := range strings.Lines(read(t, unit)) {
		start, ok := strings.CutPrefix(strings.TrimSpace(line), "ExecStart=")
		if !ok {
			continue
		}
		words := append(strings.Fields(start), "--help")
		if out, err := said(words[0], words[1:]...); err != nil || !strings.Contains(out, "samebits mirror serve") {
			t.Errorf("%s: %v\n%s", start, err, out)
		}
	}
}

// The mirror tells systemd when it is ready, reloads and stops.
func TestAcceptMirrorNotifies(t *testing.T) {
	needs(t, false)
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	write(t, dir+"/mirror.yaml", "listen: ['127.0.0.1:0']\nstate: "+dir+"/state\ncache: "+dir+"/cache\nsystem-upstreams: false\nupstreams:\n  - {prefix: x, format: debian, urls: ['http://127.0.0.1:1'], unsigned: true}\n")
	cmd := exec.Command(builtBinary(t), "--quiet", "mirror", "serve", "--config", dir+"/mirror.yaml")
	cmd.Env, cmd.Stderr = clean("NOTIFY_SOCKET="+dir+"/notify"), os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	next := func(want string) {
		t.Helper()
		buf := make([]byte, 1000)
		_ = socket.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, err := socket.Read(buf)
		if err != nil || !strings.HasPrefix(string(buf[:n]), want) {
			t.Fatalf("systemd is told %q, %v; want %q", buf[:n], err, want)
		}
	}
	next("READY=1")
	for range 2 {
		_ = cmd.Process.Signal(syscall.SIGHUP)
		next("RELOADING=1\nMONOTONIC_USEC=")
		next("READY=1")
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	next("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// The real apt updates and downloads through the nginx of the example, by TLS.
func TestAcceptMirrorBehindNginx(t *testing.T) {
	needs(t, true, "nginx", "apt-get", "curl")
	deb := []byte(strings.Repeat("a package", 100_000))
	upstream := newUpstreamServer(t, tinyArchive(map[string][]byte{"small": deb}))
	m := startServe(t, upstream.URL, "")
	dir := t.TempDir()
	cert, key := dir+"/cert.pem", dir+"/key.pem"
	selfSigned(t, cert, key)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	server := example(t, "nginx.conf", "443 ssl", address+" ssl", "/etc/ssl/mirror.crt", cert, "/etc/ssl/mirror.key", key, "http://127.0.0.1:3142", m.url)
	write(t, dir+"/conf", fmt.Sprintf("daemon off; pid %[1]s/pid; error_log %[1]s/error.log; user root;\nevents {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s\n}\n", dir, server))
	nginx := exec.Command("nginx", "-p", dir, "-e", dir+"/error.log", "-c", dir+"/conf")
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = nginx.Process.Signal(syscall.SIGINT) // killed it would leave its workers behind
		_ = nginx.Wait()
	}()
	for i := 0; ; i++ {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		if i == 500 {
			text, _ := os.ReadFile(dir + "/error.log")
			t.Fatalf("nginx does not start: %s", text)
		}
		time.Sleep(20 * time.Millisecond)
	}
	aptOverTLS(t, "https://"+address, cert)
	out, err := said("curl", "-sSf", "--cacert", cert, "-r", "5-13", "https://"+address+"/tiny/pool/small_1_all.deb")
	if err != nil || out != string(deb[5:14]) {
		t.Errorf("a range: %q, %v", out, err)
	}
	out, err = said("curl", "-sSf", "--cacert", cert, "-H", "Accept: text/html", "https://"+address+"/")
	if err != nil || !strings.Contains(out, "mirror: https://"+address) {
		t.Errorf("the page does not tell clients the address of nginx: %v\n%.2000s", err, out)
	}
}

// auto-apt-proxy takes for a proxy what answers apt's own helper so.
func TestAcceptMirrorIsDiscovered(t *testing.T) {
	needs(t, true)
	const helper = "/usr/lib/apt/apt-helper"
	if _, err := os.Stat(helper); err != nil {
		t.Skipf("needs %s", helper)
	}
	upstream := newUpstreamServer(t, tinyArchive(nil))
	m := startServe(t, upstream.URL, "")
	out, _ := said(helper, "-o", "Acquire::http::Proxy=DIRECT", "-o", "Acquire::Retries=0", "-o", "APT::Sandbox::User=root", "download-file", m.url, filepath.Join(t.TempDir(), "x"))
	if !strings.Contains(strings.ToLower(out), "406  usage information") {
		t.Errorf("apt-helper says:\n%s", out)
	}
}
