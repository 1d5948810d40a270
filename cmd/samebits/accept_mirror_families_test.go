package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// An upstreamServer serves files, and counts who asks for what.
type upstreamServer struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	// mood, where set, may answer in place of the files.
	mood  func(w http.ResponseWriter, r *http.Request, data []byte) bool
	gets  map[string]int // requests for files that the mirror did not have yet
	other []string       // who asked that is not the mirror
}

func newUpstreamServer(t *testing.T, files map[string][]byte) *upstreamServer {
	u := &upstreamServer{files: files, gets: map[string]int{}}
	u.Server = httptest.NewServer(u)
	t.Cleanup(u.Close)
	return u
}

func (u *upstreamServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	u.mu.Lock()
	data, ok := u.files[name]
	mood := u.mood
	etag := `"` + lockfile.DigestOf(data).String() + `"`
	if ok && r.Header.Get("If-None-Match") != etag {
		u.gets[name]++
	}
	if agent := r.UserAgent(); !strings.HasPrefix(agent, "samebits") {
		u.other = append(u.other, agent)
	}
	u.mu.Unlock()
	if mood != nil && mood(w, r, data) {
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", etag)
	http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(data))
}

// become has it serve other files.
func (u *upstreamServer) become(files map[string][]byte, mood func(http.ResponseWriter, *http.Request, []byte) bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.files, u.mood = files, mood
}

// once wants every file to have been asked for once, by the mirror alone.
func (u *upstreamServer) once(t *testing.T) (n int) {
	t.Helper()
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, gets := range u.gets {
		if gets != 1 {
			t.Errorf("upstream was asked %d times for %s", gets, name)
		}
	}
	if len(u.other) > 0 {
		t.Errorf("%d requests passed the mirror by: %q", len(u.other), u.other[0])
	}
	return len(u.gets)
}

// filesBelow reads a directory.
func filesBelow(t *testing.T, dir, prefix string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[prefix+name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A teamMirrorRun is "samebits mirror serve" at work.
type teamMirrorRun struct {
	t   *testing.T
	url string
	dir string
	cmd *exec.Cmd
	log *bytes.Buffer
}

const familiesToken = "0123456789abcdef"

// serveMirror runs a mirror with an upstream in YAML.
func serveMirror(t *testing.T, upstream string) *teamMirrorRun {
	t.Helper()
	dir := t.TempDir()
	m := &teamMirrorRun{t: t, dir: dir}
	write(t, filepath.Join(dir, "mirror.yaml"), "listen: ['127.0.0.1:0']\nstate: "+dir+"/state\ncache: "+dir+"/cache\nsystem-upstreams: false\nfresh: 1s\ntokens: {admin: "+familiesToken+"}\nupstreams:\n  - "+upstream+"\n")
	m.start()
	t.Cleanup(m.stop)
	return m
}

func (m *teamMirrorRun) start() {
	m.t.Helper()
	m.cmd = exec.Command(builtBinary(m.t), "mirror", "serve", "--config", filepath.Join(m.dir, "mirror.yaml"))
	m.cmd.Env = clean()
	m.log = &bytes.Buffer{}
	out, err := m.cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(io.TeeReader(out, m.log)); lines.Scan(); {
			if _, url, ok := strings.Cut(lines.Text(), "the mirror listens on "); ok {
				found <- url
			}
		}
		close(found)
	}()
	var ok bool
	if m.url, ok = <-found; !ok {
		m.t.Fatalf("the mirror does not start:\n%s", m.log)
	}
}

func (m *teamMirrorRun) stop() {
	if m.cmd != nil {
		_ = m.cmd.Process.Signal(syscall.SIGTERM)
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// get asks the mirror for a file.
func (m *teamMirrorRun) get(path string) (*http.Response, []byte, error) {
	m.t.Helper()
	resp, err := http.Get(m.url + path)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return resp, data, err
}

// admin asks for something to be done, and wants it to be done.
func (m *teamMirrorRun) admin(path string) string {
	m.t.Helper()
	code, text := m.post(path)
	if code != http.StatusOK {
		m.t.Fatalf("%s: %d\n%s", path, code, text)
	}
	return text
}

func (m *teamMirrorRun) post(path string) (code int, text string) {
	req, err := http.NewRequest(http.MethodPost, m.url+"/api/"+path, nil)
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+familiesToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// whileRefreshing has the mirror ask upstream again and again, and runs
// clients meanwhile.
func (m *teamMirrorRun) whileRefreshing(clients func()) {
	done := make(chan bool)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				m.post("refresh")
			}
		}
	})
	clients()
	close(done)
	wg.Wait()
}

// freeze keeps the state of now, and returns its time.
func (m *teamMirrorRun) freeze() string {
	m.t.Helper()
	var snap struct{ Time time.Time }
	if err := json.Unmarshal([]byte(m.admin("snapshot")), &snap); err != nil {
		m.t.Fatal(err)
	}
	return snap.Time.Format("20060102T150405Z")
}

// seenPackage is what the mirror's history tells of a package.
type seenPackage struct {
	Digest              lockfile.Digest `json:"sha256"`
	Archive, Path, Arch string
	Version             string
}

func (m *teamMirrorRun) history(name string) (seen []seenPackage) {
	m.t.Helper()
	_, data, err := m.get("/api/history?name=" + name)
	if err == nil {
		err = json.Unmarshal(data, &seen)
	}
	if err != nil {
		m.t.Fatalf("%v: %s", err, data)
	}
	return seen
}

// atOnce runs so many clients at a time, and returns how long that took.
func atOnce(n int, client func(i int)) time.Duration {
	began := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { client(i) })
	}
	wg.Wait()
	return time.Since(began)
}

// apkClient installs packages with the real apk into an empty root within a
// root of Alpine.
func apkClient(t *testing.T, host, root, repository string, packages ...string) {
	t.Helper()
	apkClientBy(t, "", host, root, repository, packages...)
}

// apkClientBy does it by a proxy.
func apkClientBy(t *testing.T, proxy, host, root, repository string, packages ...string) {
	t.Helper()
	args := append([]string{host, "/usr/bin/env", "http_proxy=" + proxy, "/sbin/apk", "--root", root, "--initdb", "--keys-dir", "/etc/apk/keys", "--no-progress", "--no-scripts", "-X", repository, "add"}, packages...)
	must(t, "chroot", args...)
	db := read(t, filepath.Join(host, root, "lib/apk/db/installed"))
	for _, p := range packages {
		if !strings.Contains(db, "\nP:"+p+"\n") {
			t.Errorf("%s is not installed in %s", p, root)
		}
	}
}

// dead answers nothing any more.
func dead(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
	panic(http.ErrAbortHandler)
}

// stored reports whether the mirror keeps these bytes.
func (m *teamMirrorRun) stored(data []byte) bool {
	_, err := os.Stat(filepath.Join(m.dir, "cache/blobs/sha256", lockfile.DigestOf(data).String()))
	return err == nil
}

// A real repository of Alpine is mirrored for the real apk.
func TestAcceptMirrorAlpine(t *testing.T) {
	needs(t, true, "tar", "chroot")
	t.Parallel() // they wait for most of the time
	const dir, index = "alpine/v3.19/main/x86_64/", "alpine/v3.19/main/x86_64/APKINDEX.tar.gz"
	iso := filesBelow(t, realData(t, "alpine/iso-3.19.1/x86_64"), dir)
	up := newUpstreamServer(t, iso)
	m := serveMirror(t, "{prefix: alpine, format: alpine, urls: ['"+up.URL+"/alpine']}")
	host := alpineHost(t)
	world := []string{"alpine-base", "chrony", "openssh"}
	took := atOnce(8, func(i int) { apkClient(t, host, fmt.Sprintf("/c%d", i), m.url+"/alpine/v3.19/main", world...) })
	n := up.once(t)
	t.Logf("8 clients, cold: %v, %d files asked upstream", took, n)
	if n != 48 {
		t.Errorf("%d files came through the mirror", n)
	}
	m.stop()
	m.start()
	took = atOnce(8, func(i int) { apkClient(t, host, fmt.Sprintf("/h%d", i), m.url+"/alpine/v3.19/main", world...) })
	t.Logf("8 clients, hot: %v", took)
	apkClientBy(t, m.url, host, "/proxy", up.URL+"/alpine/v3.19/main", world...)
	up.once(t)
	stamp := m.freeze()
	m.admin("warm?snapshot=" + stamp)
	for name, data := range iso {
		if strings.HasSuffix(name, ".apk") && !m.stored(data) {
			t.Errorf("%s is not kept", name)
		}
	}

	// Upstream lies, is cut short, is gone: what was good goes on.
	lies := map[string][]byte{index: append(bytes.Clone(iso[index][:len(iso[index])-9]), 1)}
	up.become(lies, nil)
	m.eventuallyStale("/"+index, iso[index], "signature is bad")
	apkClient(t, host, "/lies", m.url+"/alpine/v3.19/main", world...)
	up.become(nil, dead)
	m.eventuallyStale("/"+index, iso[index], "EOF")
	apkClient(t, host, "/dead", m.url+"/alpine/v3.19/main", world...)
	if m.stored(lies[index]) {
		t.Error("an index that nobody signed is kept")
	}

	// Alpine moves on and has dropped all: the frozen state is still there.
	newer := filesBelow(t, realData(t, "alpine/mirror/v3.19/main/x86_64"), dir)
	up.become(newer, nil)
	m.eventually("/"+index, newer[index])
	up.become(iso, nil) // someone replays what was signed before
	m.eventuallyStale("/"+index, newer[index], "someone replays it")
	up.become(map[string][]byte{index: newer[index]}, nil)
	apkClient(t, host, "/frozen", m.url+"/snapshot/"+stamp+"/alpine/v3.19/main", world...)
	lock := filepath.Join(t.TempDir(), "SHA256SUMS")
	cmd := command(t, t.TempDir(), "lock", "generate", "--root", isoRoot(t, realData(t, "alpine/iso-3.19.1"), m.url+"/alpine/v3.19/main"), "-o", lock, "alpine-base", "chrony", "openssh")
	cmd.Env = append(cmd.Env, "SAMEBITS_MIRROR="+m.url)
	if r := finish(t, cmd); r.code != 0 || !strings.Contains(r.stderr, "found in the history of the mirror") {
		t.Errorf("what Alpine has dropped is not locked by the mirror's history: %v", r)
	}
	history := m.history("musl")
	if len(history) != 1 || history[0].Archive != "Alpine" || history[0].Arch != "x86_64" || history[0].Digest != lockfile.DigestOf(iso["alpine/"+history[0].Path]) {
		t.Errorf("the history of musl: %+v", history)
	}
}

// eventually waits until the mirror serves these bytes.
func (m *teamMirrorRun) eventually(path string, want []byte) *http.Response {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		resp, data, err := m.get(path)
		if err == nil && bytes.Equal(data, want) {
			return resp
		}
		if time.Now().After(end) {
			m.t.Fatalf("%s is not what upstream has: %v, %d bytes\n%s", path, err, len(data), m.log)
		}
	}
}

// eventuallyStale waits until the mirror says that these bytes are old, and
// why. It asks upstream anew some seconds after that failed.
func (m *teamMirrorRun) eventuallyStale(path string, want []byte, why string) {
	m.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		resp, data, err := m.get(path)
		if err != nil || !bytes.Equal(data, want) {
			m.t.Fatalf("%s: %v, %d bytes", path, err, len(data))
		}
		warning := strings.Join(resp.Header.Values("Warning"), " ")
		if strings.Contains(warning, "110 ") && strings.Contains(warning, why) {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("no warning that %s is old since %q: %q", path, why, warning)
		}
	}
}
