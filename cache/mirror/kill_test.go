package mirror

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/cache"
)

// helper is a mirror in a process of its own.
type helper struct {
	cmd *exec.Cmd
	url string
}

func startHelper(t *testing.T, dir, upstream, keyring string) *helper {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), helperEnv+"="+strings.Join([]string{dir + "/cache", dir + "/state", upstream, keyring}, "\n"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the helper did not start: %v", err)
	}
	return &helper{cmd, strings.TrimSpace(line)}
}

// load is four clients that ask for everything, again and again.
type load struct {
	url           atomic.Value
	stop          chan struct{}
	wg            sync.WaitGroup
	whole, broken atomic.Int64
}

func startLoad(t *testing.T, o *origin, url string) *load {
	l := &load{stop: make(chan struct{})}
	l.url.Store(url)
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	for i := range 4 {
		l.wg.Go(func() {
			for n := i; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				paths := []string{"dists/one/InRelease", "dists/one/main/binary-amd64/Packages.xz", "pool/main/p" + itoa(n%12) + "_1_amd64.deb"}
				l.ask(t, client, paths[n%3], o.files[paths[n%3]])
			}
		})
	}
	return l
}

func (l *load) ask(t *testing.T, client *http.Client, path string, want []byte) {
	resp, err := client.Get(l.url.Load().(string) + "/debian/" + path)
	if err != nil {
		l.broken.Add(1)
		time.Sleep(5 * time.Millisecond)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil || resp.StatusCode != 200:
		l.broken.Add(1)
	case !bytes.Equal(body, want):
		t.Errorf("%s: %d bytes that are not it", path, len(body))
	default:
		l.whole.Add(1)
	}
}

// end stops the clients and counts the answers.
func (l *load) end() (whole, broken int64) {
	close(l.stop)
	l.wg.Wait()
	return l.whole.Load(), l.broken.Load()
}

// Killed under load, again and again: what clients get is whole or breaks off,
// and nothing that is kept is wrong.
func TestKilledUnderLoad(t *testing.T) {
	times := 20
	if testing.Short() {
		times = 3
	}
	repo := newRepo(t)
	for i := range 12 {
		repo.build("p"+itoa(i), "1", 20_000+i*100_000)
	}
	o := newOrigin(t, repo.publish())
	o.setMood(func(w http.ResponseWriter, r *http.Request, path string, b []byte) bool {
		time.Sleep(5 * time.Millisecond)
		return false
	})
	dir, keyring := t.TempDir(), filepath.Join(t.TempDir(), "keys.asc")
	if err := os.WriteFile(keyring, repo.keyring(), 0o644); err != nil {
		t.Fatal(err)
	}
	h := startHelper(t, dir, o.URL+"/debian", keyring)
	load := startLoad(t, o, h.url)
	for range times {
		time.Sleep(150 * time.Millisecond)
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
		began := time.Now()
		h = startHelper(t, dir, o.URL+"/debian", keyring)
		t.Logf("ready after %v", time.Since(began).Round(time.Millisecond))
		load.url.Store(h.url)
	}
	time.Sleep(300 * time.Millisecond)
	whole, broken := load.end()
	_ = h.cmd.Process.Kill()
	_ = h.cmd.Wait()
	if whole == 0 || broken == 0 {
		t.Errorf("%d whole answers, %d broken: no load, or no harm", whole, broken)
	}
	o.Close()
	checkKept(t, repo, dir, o.URL+"/debian")
}

// checkKept looks at what processes that were killed have left.
func checkKept(t *testing.T, repo *repo, dir, upstream string) {
	t.Helper()
	c, err := cache.Open(dir + "/cache")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if v, err := c.Verify(t.Context(), nil); err != nil {
		t.Errorf("%+v %v", v, err)
	}
	m, err := Open(Config{Cache: dir + "/cache", State: dir + "/state", Client: quickClient(), Offline: true,
		Upstreams: []Upstream{{Prefix: "debian", URLs: []string{upstream}, Format: &Debian{Keys: repo.keys()}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for i := range 12 {
		if len(m.History("p"+itoa(i), "1", "amd64")) != 1 {
			t.Errorf("the history lost p%d", i)
		}
	}
	journal, err := os.ReadFile(dir + "/state/journal")
	for line := range strings.Lines(string(journal)) {
		if strings.Count(line, "\t") != 6 || !strings.HasSuffix(line, "\n") {
			t.Errorf("the journal has a line %q", line)
		}
	}
	if err != nil {
		t.Error(err)
	}
}
