package mirror

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// startNginx serves a directory below /debian. asked tells how often each path
// was asked for, by nginx's own log.
func startNginx(t *testing.T, dir string) (url string, asked func() map[string]int) {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	run := t.TempDir()
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log; user root;
events { worker_connections 512; }
http { log_format asked '$uri'; access_log %[1]s/access.log asked; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; location /debian/ { alias %[3]s/; } } }
`, run, address, dir)
	if err := os.WriteFile(run+"/conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("nginx", "-p", run, "-e", run+"/error.log", "-c", run+"/conf")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return "http://" + address + "/debian", func() map[string]int {
		text, err := os.ReadFile(run + "/access.log")
		if err != nil {
			t.Fatal(err)
		}
		counts := map[string]int{}
		for line := range strings.Lines(string(text)) {
			counts[strings.TrimPrefix(strings.TrimSpace(line), "/debian/")]++
		}
		return counts
	}
}

// Eight clients at once install the same packages into roots of their own, from
// a mirror that has nothing: nginx is asked once for each file.
func TestEightClientsInstallCold(t *testing.T) {
	needApt(t)
	if os.Getuid() != 0 {
		t.Skip("dpkg installs into a root for root alone")
	}
	count := 300
	if testing.Short() {
		count = 30
	}
	repo := newRepo(t)
	install := []string{"install"}
	for i := range count {
		name := fmt.Sprintf("p%03d", i)
		repo.build(name, "1.0+x", 300*i)
		install = append(install, name)
	}
	files := repo.publish()
	for path, data := range files { // by-hash names, which publish makes up
		if strings.Contains(path, "/by-hash/") {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(repo.dir, path)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(repo.dir, path), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	url, asked := startNginx(t, repo.dir)
	r := newRig(t, Upstream{Prefix: "debian", URLs: []string{url}, Format: &Debian{Keys: repo.keys(), Architectures: []string{"amd64"}}}, nil)
	var wg sync.WaitGroup
	for range 8 {
		a := newApt(t, repo, r.url+"/debian")
		for _, d := range []string{"info", "updates", "triggers"} {
			if err := os.MkdirAll(filepath.Join(a.dir, "var/lib/dpkg", d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		a.opt = []string{"-o", "DPkg::Options::=--root=" + a.dir, "-o", "DPkg::Options::=--force-unsafe-io", "-o", "DPkg::Options::=--log=/dev/null",
			"-o", "Dir::Log=" + a.dir, "-o", "DPkg::Use-Pty=false"}
		wg.Go(func() {
			for _, args := range [][]string{{"update"}, install} {
				if out, err := a.run(args...); err != nil {
					t.Errorf("%v\n%s", err, out)
					return
				}
			}
			for path, data := range repo.debs {
				a.has(filepath.Base(path), data)
			}
			out, err := exec.Command("dpkg-query", "--admindir="+a.dir+"/var/lib/dpkg", "-W", "-f", "${db:Status-Abbrev}\n").Output()
			if n := bytes.Count(out, []byte("ii ")); err != nil || n != count {
				t.Errorf("%d packages are installed, %v", n, err)
			}
		})
	}
	wg.Wait()
	counts := asked()
	for path := range repo.debs {
		if counts[path] != 1 {
			t.Errorf("%s was asked of upstream %d times", path, counts[path])
		}
	}
	for path, n := range counts {
		if n != 1 {
			t.Errorf("%s was asked of upstream %d times", path, n)
		}
	}
	t.Logf("%d requests upstream for %d of clients", len(counts), r.Metrics().Requests)
}
