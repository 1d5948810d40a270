package web_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// startNginx serves a directory until the test ends, and returns the host.
func startNginx(t *testing.T, root string) (host string) {
	t.Helper()
	program := fetchtest.Program(t, "nginx")
	host = fetchtest.FreeAddress(t)
	own := t.TempDir()
	conf := filepath.Join(own, "conf")
	// One process, which stays the user that it is and ends when it is told to.
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 64; }
http { access_log off; sendfile on; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;
  fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  server { listen %[2]s; root %[3]s; } }
`, own, host, root)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	fetchtest.Start(t, exec.Command(program, "-p", own, "-e", filepath.Join(own, "error.log"), "-c", conf), fetchtest.Listens(host))
	return host
}

// Mirrors are nginx or something like it, with ranges and validators of their
// own. Files lie at their paths, as in an archive's pool, or by digest, as a
// cache of blobs has them.
func TestNginx(t *testing.T) {
	for name, c := range map[string]struct {
		suffix string
		at     func(path string, d lockfile.Digest) string
	}{
		"base":     {"", func(path string, _ lockfile.Digest) string { return path }},
		"template": {"/blobs/sha256/{{.SHA256}}", func(_ string, d lockfile.Digest) string { return "blobs/sha256/" + d.String() }},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			host := startNginx(t, root)
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				for path, data := range files {
					file := filepath.Join(root, c.at(path, lockfile.DigestOf(data)))
					if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(file, data, 0o644); err != nil {
						t.Fatal(err)
					}
				}
				return newPlace(t, web.Config{}, web.Place{URL: "http://" + host + c.suffix})
			})
		})
	}
}
