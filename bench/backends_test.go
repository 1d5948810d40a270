package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// curl gets each file from where the way says, with the way's options for all.
func TestCurlFrom(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("needs curl")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Method+" "+r.URL.Path)
	}))
	defer server.Close()
	b := &bench{dir: t.TempDir()}
	l := &lockfile.Lock{CIDs: map[lockfile.Digest]string{lockfile.DigestOf([]byte("b")): "recorded"}}
	for _, name := range []string{"a", "b"} {
		l.Entries = append(l.Entries, lockfile.Entry{Path: "pool/" + name, Digest: lockfile.DigestOf([]byte(name))})
	}
	c, err := b.curlFrom(way{name: "it", options: "request = \"POST\"\n", address: func(e lockfile.Entry, cid string) (string, error) {
		return server.URL + "/" + e.Base() + "/" + cid[:8], nil
	}}, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.once(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "POST /a/bafkreig", "b": "POST /b/recorded"} {
		got, err := os.ReadFile(filepath.Join(b.dir, "curl", name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, error %v, want %q", name, got, err, want)
		}
	}
}

// Servers that are not there are left out, and that is told.
func TestDepotsWithoutServers(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("PATH", t.TempDir())
	var out strings.Builder
	b := &bench{dir: t.TempDir(), out: &out}
	depots, err := b.depots()
	if err != nil || len(depots) != 1 || depots[0].ways[0].source == "" {
		t.Errorf("%d depots, error %v, want the layout alone", len(depots), err)
	}
	for _, name := range []string{"docker-registry", "versitygw", "ipfs"} {
		if !strings.Contains(out.String(), "Left out: "+name) {
			t.Errorf("nothing is said of %s:\n%s", name, out.String())
		}
	}
}

func TestStartTellsWhyNot(t *testing.T) {
	b := &bench{}
	_, err := b.start(exec.Command("sh", "-c", "echo why >&2"), "127.0.0.1:1")
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "why") {
		t.Error(err)
	}
}

func TestServerCPU(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := &server{cmd: &exec.Cmd{Process: self}}
	for range 1000 {
		used, err := s.cpu()
		if err != nil {
			t.Skip(err)
		}
		if used > 0 {
			return
		}
		lockfile.DigestOf(make([]byte, 10<<20))
	}
	t.Error("10 GB were hashed in no time")
}
