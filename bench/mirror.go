package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The sizes that mirrors serve hot, in bytes, and what of nginx's requests per
// second the mirror is to reach.
var hotSizes = []struct {
	name   string
	size   int64
	target float64
}{{"4 KiB", 4 << 10, 0.6}, {"100 KiB", 100 << 10, 0.85}, {"10 MiB", 10 << 20, 0.9}}

const (
	hotTime        = 3 * time.Second // of one run of wrk
	hotConnections = 16
)

// benchMirror serves packages from a mirror with 100,000 files, from nginx and
// from apt-cacher-ng, which has them from the same nginx. All of them and wrk
// share two processors.
func benchMirror(b *bench) error {
	for _, tool := range []string{"nginx", "apt-cacher-ng", "wrk", "curl", "taskset"} {
		if _, err := exec.LookPath(tool); err != nil {
			return err
		}
	}
	a, err := b.newArchive()
	if err != nil {
		return err
	}
	nginx, err := b.nginxFor(a)
	if err != nil {
		return err
	}
	ours, err := b.mirrorOf(a, "mirror")
	if err != nil {
		return err
	}
	if err := a.stock(ours); err != nil {
		return err
	}
	if err := b.measureStart(ours, a); err != nil {
		return err
	}
	cacher, err := b.aptCacherOf(a)
	if err != nil {
		return err
	}
	if err := b.measureHot(a, nginx, ours, cacher); err != nil {
		return err
	}
	if err := b.measureMemory(ours, a); err != nil {
		return err
	}
	ours.running.end()
	return b.measureCold(a)
}

// pinned makes a command that runs on the first two processors.
func pinned(name string, args ...string) *exec.Cmd {
	return exec.Command("taskset", append([]string{"-c", "0,1", name}, args...)...)
}

// nginxFor serves the archive, with no more to do for a request than nginx
// needs: it writes no log, and lets no connection go.
func (b *bench) nginxFor(a *archive) (*served, error) {
	address, _, err := freeLowAddress()
	if err != nil {
		return nil, err
	}
	run := filepath.Join(b.dir, "nginx")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 2; user root;
events { worker_connections 512; }
http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; location /debian/ { alias %[3]s/; } } }
`, run, address, a.dir)
	file := filepath.Join(run, "conf")
	if err := os.WriteFile(file, []byte(conf), 0o644); err != nil {
		return nil, err
	}
	a.url = "http://" + address + "/debian"
	cmd := pinned("nginx", "-p", run, "-e", filepath.Join(run, "error.log"), "-c", file)
	nginx, err := b.start(cmd, address)
	if err != nil {
		return nil, err
	}
	// Killed at once it would leave its workers behind.
	b.atEnd(func() {
		cmd.Process.Signal(os.Interrupt)
		<-nginx.ended
	})
	return &served{b: b, name: "nginx", address: address, url: a.url, running: nginx}, nil
}

// A served archive is one as a mirror has it.
type served struct {
	b       *bench
	name    string
	address string
	url     string // of the archive's root
	dir     string // of cache, state and configuration
	running *server
}

// mirrorOf makes ready a samebits mirror of the archive. It does not run yet.
func (b *bench) mirrorOf(a *archive, name string) (*served, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &served{b: b, name: "`samebits mirror serve`", address: address, url: "http://" + address + "/debian", dir: filepath.Join(b.dir, name)}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("listen: [%q]\ncache: %s/cache\nstate: %s/state\nsystem-upstreams: false\nupstreams:\n  - {prefix: debian, format: debian, urls: [%q], unsigned: true, architectures: [amd64]}\n",
		address, s.dir, s.dir, a.url)
	return s, os.WriteFile(filepath.Join(s.dir, "mirror.yaml"), []byte(conf), 0o644)
}

// run starts the mirror and returns how long it took to answer.
func (s *served) run() (time.Duration, error) {
	began := time.Now()
	cmd := pinned(s.b.samebits, "--quiet", "mirror", "serve", "--config", filepath.Join(s.dir, "mirror.yaml"))
	var err error
	if s.running, err = s.b.start(cmd, s.address); err != nil {
		return 0, err
	}
	_, err = length("http://" + s.address + "/healthz")
	return time.Since(began), err
}

// aptCacherOf starts an apt-cacher-ng that has the archive from nginx.
func (b *bench) aptCacherOf(a *archive) (*served, error) {
	address, port, err := freeLowAddress()
	if err != nil {
		return nil, err
	}
	s := &served{b: b, name: "apt-cacher-ng", address: address, url: "http://" + address + "/" + strings.TrimPrefix(a.url, "http://"), dir: filepath.Join(b.dir, "acng")}
	for _, sub := range []string{"conf", "cache", "log"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	conf := fmt.Sprintf("CacheDir: %[1]s/cache\nLogDir: %[1]s/log\nPidFile: %[1]s/pid\nPort: %[2]d\nBindAddress: localhost\nForeGround: 1\nVerboseLog: 0\nAllowUserPorts: 0\nExThreshold: 4\n", s.dir, port)
	if err := os.WriteFile(filepath.Join(s.dir, "conf", "acng.conf"), []byte(conf), 0o644); err != nil {
		return nil, err
	}
	cmd := pinned("apt-cacher-ng", "-c", filepath.Join(s.dir, "conf"))
	s.running, err = b.start(cmd, address)
	return s, err
}

// freeLowAddress is one that apt-cacher-ng can use: it knows no ports above
// 32767, where the kernel picks those for nobody in particular.
func freeLowAddress() (address string, port int, err error) {
	for port = 20_000; port < 21_000; port++ {
		address = fmt.Sprintf("127.0.0.1:%d", port)
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, port, l.Close()
		}
	}
	return "", 0, err
}

// length gets a URL and returns how long its body is.
func length(url string) (int64, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return copyAway(resp.Body)
}
