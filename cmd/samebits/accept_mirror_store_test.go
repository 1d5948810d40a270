package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// A storeServer is an S3 server with one bucket.
type storeServer struct {
	t            *testing.T
	address, dir string
	cmd          *exec.Cmd
}

func startStoreServer(t *testing.T) *storeServer {
	t.Helper()
	s := &storeServer{t: t, address: fetchtest.FreeAddress(t), dir: t.TempDir()}
	if err := os.Mkdir(s.dir+"/team", 0o755); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

func (s *storeServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(fetchtest.Program(s.t, "versitygw"), "--quiet", "--port", s.address, "posix", s.dir)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret")
	fetchtest.Start(s.t, s.cmd, fetchtest.Listens(s.address))
}

func (s *storeServer) stop() { _ = s.cmd.Process.Kill() }

// A sharer is one of several mirrors over one store.
type sharer struct {
	serveRun
	address string
}

func startSharer(t *testing.T, s *storeServer, archive string) *sharer {
	t.Helper()
	dir := t.TempDir()
	m := &sharer{serveRun{t: t, config: dir + "/mirror.yaml", log: dir + "/log"}, fetchtest.FreeAddress(t)}
	m.url = "http://" + m.address
	write(t, m.config, "listen: ['"+m.address+"']\nstate: "+dir+"/state\ncache: "+dir+"/cache\nsystem-upstreams: false\nfresh: 1s\ntokens: {admin: 'a-token-for-tests-only'}\n"+
		"store: 's3+http://team/mirrors?endpoint="+s.address+"'\n"+
		"upstreams:\n  - {prefix: tiny, format: debian, urls: ['"+archive+"'], unsigned: true, architectures: [amd64]}\n")
	m.start()
	t.Cleanup(m.kill)
	return m
}

func (m *sharer) start() {
	m.t.Helper()
	log, err := os.Create(m.log)
	if err != nil {
		m.t.Fatal(err)
	}
	defer log.Close()
	m.cmd = exec.Command(builtBinary(m.t), "mirror", "serve", "--config", m.config)
	m.cmd.Env, m.cmd.Stderr = append(clean(), "AWS_ACCESS_KEY_ID=testkey", "AWS_SECRET_ACCESS_KEY=testsecret"), log
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.waitLog("the mirror listens on ", 1)
}

func (m *sharer) kill() {
	_ = m.cmd.Process.Signal(syscall.SIGKILL)
	_ = m.cmd.Wait()
}

// tinyState is the archive with so many packages; a later one has a later date.
func tinyState(packages int) map[string][]byte {
	debs := map[string][]byte{}
	for i := range packages {
		debs[fmt.Sprintf("p%d", i)] = bytes.Repeat([]byte{byte('a' + i)}, 1000+i*20_000)
	}
	files := tinyArchive(debs)
	date := fmt.Appendf(nil, "Date: Sat, 11 Jul 2026 10:16:%02d UTC", packages)
	files["dists/x/Release"] = bytes.Replace(files["dists/x/Release"], []byte("Date: Sat, 11 Jul 2026 10:16:37 UTC"), date, 1)
	return files
}

// Two mirrors share a store, and one is killed under load again and again:
// clients that ask the other one when theirs breaks off get every file right,
// and upstream is asked for nothing that the store has. What the other one got
// while it was dead the killed one serves when upstream is gone, and so does a
// third mirror that comes then.
func TestAcceptMirrorsOverOneStore(t *testing.T) {
	needs(t, false)
	files := tinyState(16)
	upstream := newUpstreamServer(t, files)
	store := startStoreServer(t)
	mirrors := []*sharer{startSharer(t, store, upstream.URL), startSharer(t, store, upstream.URL)}
	for _, m := range mirrors { // the second is cold, and asks upstream for nothing
		m.wantAll(files)
		m.waitUploaded()
	}
	upstream.once(t)
	files = tinyState(32)
	upstream.become(files, nil)
	for _, m := range mirrors {
		m.waitFor("dists/x/Release", files["dists/x/Release"])
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var asked, retried atomic.Int64
	for i := range 4 {
		clients.Go(func() {
			c := &http.Client{Timeout: 30 * time.Second}
			for {
				for path, want := range files {
					err := sameBody(c, mirrors[i%2].url+"/tiny/"+path, want)
					if err != nil {
						retried.Add(1)
						err = sameBody(c, mirrors[1].url+"/tiny/"+path, want)
					}
					if err != nil {
						t.Error(err)
					}
					asked.Add(1)
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 6 {
		time.Sleep(time.Duration(50+rand.IntN(400)) * time.Millisecond)
		mirrors[0].kill()
		mirrors[0].start()
	}
	close(stop)
	clients.Wait()
	t.Logf("%d files were asked for, %d of them once more", asked.Load(), retried.Load())
	for _, m := range mirrors {
		m.waitUploaded()
	}
	mirrors[0].kill()
	files = tinyState(40)
	upstream.become(files, nil)
	mirrors[1].waitFor("dists/x/Release", files["dists/x/Release"])
	mirrors[1].wantAll(files)
	mirrors[1].waitUploaded()
	upstream.Close()
	mirrors[0].start()
	mirrors[0].wantAll(files)
	mirrors[1].kill()
	startSharer(t, store, upstream.URL).wantAll(files)
}

// A store that dies is told of, and harms no client. What was fetched, pinned
// and frozen meanwhile reaches the other mirror when it is back.
func TestAcceptStoreThatDies(t *testing.T) {
	needs(t, false)
	files := tinyState(3)
	upstream := newUpstreamServer(t, files)
	store := startStoreServer(t)
	a, b := startSharer(t, store, upstream.URL), startSharer(t, store, upstream.URL)
	a.wantAll(files)
	a.waitUploaded()
	if text := a.status(0); !strings.Contains(text, "store     s3+http://team/mirrors") || strings.Contains(text, "ATTENTION") {
		t.Errorf("the status is\n%s", text)
	}
	store.stop()
	files = tinyState(6)
	upstream.become(files, nil)
	a.waitFor("dists/x/Release", files["dists/x/Release"])
	a.wantAll(files)
	a.waitLog("the store cannot be used, the mirror goes on alone", 1)
	if text := a.status(0); !strings.Contains(text, "ATTENTION the store cannot be used for") {
		t.Errorf("the status is\n%s", text)
	}
	if text, err := fetchBody(a.url + "/metrics"); err != nil || !strings.Contains(text, "samebits_mirror_store_failing 1\n") {
		t.Errorf("the metrics are\n%s, error %v", text, err)
	}
	lock := t.TempDir() + "/web"
	write(t, lock, fmt.Sprintf("%s  pool/p5_1_all.deb\n", lockfile.DigestOf(files["pool/p5_1_all.deb"])))
	a.command(0, "mirror", "pin", "--url", a.url, "web", lock)
	at := strings.TrimSpace(a.command(0, "mirror", "snapshot", a.url))
	store.start()
	a.waitLog("the store can be used again", 1)
	a.waitUploaded()
	upstream.Close()
	b.waitFor("snapshot/"+at+"/tiny/dists/x/Release", files["dists/x/Release"])
	b.wantAll(files)
	for path, want := range files {
		if err := sameBody(http.DefaultClient, b.url+"/snapshot/"+at+"/tiny/"+path, want); err != nil {
			t.Error(err)
		}
	}
	if text := b.status(3); !strings.Contains(text, "pins      web\n") || !strings.Contains(text, at) {
		t.Errorf("the status of the other is\n%s", text)
	}
	b.command(0, "mirror", "unpin", "--url", b.url, "web")
	for range 600 {
		if !strings.Contains(a.status(-1), "pins      web") {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("a pin that was removed is still there:\n%s", a.status(-1))
}

// What is wrong with a store is told with its place, or in words that help.
func TestAcceptBadStores(t *testing.T) {
	needs(t, false)
	upstream := newUpstreamServer(t, tinyState(1))
	dir := t.TempDir()
	check := func(store, want string, keys ...string) {
		t.Helper()
		write(t, dir+"/mirror.yaml", "state: "+dir+"/state\ncache: "+dir+"/cache\nstore: "+store+"\n")
		cmd := exec.Command(builtBinary(t), "mirror", "config", "--check", dir+"/mirror.yaml")
		cmd.Env = clean(keys...)
		if r := finish(t, cmd); r.code == 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("store: %s: want %q of %v", store, want, r)
		}
	}
	check("[x]", "mirror.yaml:3:8: one value is due here")
	check("team", "mirror.yaml:3:8: ")
	check("https://h/team", "mirror.yaml:3:8: ")
	check("'s3://team?lock=x'", "mirror.yaml:3:8: lock= means nothing for a mirror's store")
	check("'s3://key:secret@team'", "mirror.yaml:3:8: ")
	check("s3://team", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID=only")
	// A bucket that is not there, and keys that are wrong, are told at work.
	s := startStoreServer(t)
	if err := os.Remove(s.dir + "/team"); err != nil {
		t.Fatal(err)
	}
	m := startSharer(t, s, upstream.URL)
	m.waitLog("create the bucket first", 1)
	m.wantAll(upstream.files)
}

// waitUploaded waits until the store has all that the mirror fetched.
func (m *sharer) waitUploaded() {
	m.t.Helper()
	for range 600 {
		body, err := fetchBody(m.url + "/api/status")
		if err == nil && strings.Contains(body, `"queued":0`) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatalf("not all is uploaded:\n%s", m.said())
}

func fetchBody(url string) (string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	return b.String(), err
}

// wantAll wants all files of an archive, its root first.
func (m *sharer) wantAll(files map[string][]byte) {
	m.t.Helper()
	if err := sameBody(http.DefaultClient, m.url+"/tiny/dists/x/Release", files["dists/x/Release"]); err != nil {
		m.t.Fatalf("%v\n%s", err, m.said())
	}
	for path, want := range files {
		if err := sameBody(http.DefaultClient, m.url+"/tiny/"+path, want); err != nil {
			m.t.Errorf("%v\n%s", err, m.said())
		}
	}
}

// waitFor waits until a mirror has what another one fetched or upstream has.
func (m *sharer) waitFor(path string, want []byte) {
	m.t.Helper()
	if !strings.HasPrefix(path, "snapshot/") {
		path = "tiny/" + path
	}
	var err error
	for range 600 {
		if err = sameBody(http.DefaultClient, m.url+"/"+path, want); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	m.t.Fatalf("%v\n%s", err, m.said())
}

// command runs samebits and returns what it prints. A code of -1 stands for any.
func (m *sharer) command(code int, args ...string) string {
	m.t.Helper()
	cmd := exec.Command(builtBinary(m.t), args...)
	cmd.Env = clean("SAMEBITS_MIRROR_TOKEN=a-token-for-tests-only")
	r := finish(m.t, cmd)
	if code >= 0 && r.code != code {
		m.t.Errorf("want exit code %d of %v", code, r)
	}
	return r.stdout
}

func (m *sharer) status(code int) string {
	m.t.Helper()
	return m.command(code, "mirror", "status", m.url)
}
