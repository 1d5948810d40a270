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
)

// A storeServer is an S3 server with one bucket.
type storeServer struct{ address string }

func startStoreServer(t *testing.T) storeServer {
	t.Helper()
	address, dir := fetchtest.FreeAddress(t), t.TempDir()
	if err := os.Mkdir(dir+"/team", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(fetchtest.Program(t, "versitygw"), "--quiet", "--port", address, "posix", dir)
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY=testkey", "ROOT_SECRET_KEY=testsecret")
	fetchtest.Start(t, cmd, fetchtest.Listens(address))
	return storeServer{address}
}

// A sharer is one of several mirrors over one store.
type sharer struct {
	serveRun
	address string
}

func startSharer(t *testing.T, s storeServer, archive string) *sharer {
	t.Helper()
	dir := t.TempDir()
	m := &sharer{serveRun{t: t, config: dir + "/mirror.yaml", log: dir + "/log"}, fetchtest.FreeAddress(t)}
	m.url = "http://" + m.address
	write(t, m.config, "listen: ['"+m.address+"']\nstate: "+dir+"/state\ncache: "+dir+"/cache\nsystem-upstreams: false\nfresh: 1s\n"+
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

// Two mirrors share a store, and one is killed under load again and again:
// clients that ask the other one when theirs breaks off get every file right.
// A third mirror that comes when upstream is gone serves all of it.
func TestAcceptMirrorsOverOneStore(t *testing.T) {
	needs(t, false)
	debs := map[string][]byte{}
	for i := range 24 {
		debs[fmt.Sprintf("p%d", i)] = bytes.Repeat([]byte{byte('a' + i)}, 1000+i*40_000)
	}
	upstream := newUpstreamServer(t, tinyArchive(debs))
	store := startStoreServer(t)
	mirrors := []*sharer{startSharer(t, store, upstream.URL), startSharer(t, store, upstream.URL)}
	paths := map[string][]byte{"dists/x/Release": upstream.files["dists/x/Release"]}
	for name, data := range debs {
		paths["pool/"+name+"_1_all.deb"] = data
	}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var asked, retried atomic.Int64
	for i := range 4 {
		clients.Go(func() {
			c := &http.Client{Timeout: 20 * time.Second}
			for {
				for path, want := range paths {
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
	upstream.Close()
	third := startSharer(t, store, upstream.URL)
	third.takeOver(paths)
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

// takeOver wants all files from a mirror that can ask the store alone.
func (m *sharer) takeOver(paths map[string][]byte) {
	m.t.Helper()
	if err := sameBody(http.DefaultClient, m.url+"/tiny/dists/x/Release", paths["dists/x/Release"]); err != nil {
		m.t.Fatalf("%v\n%s", err, m.said())
	}
	for path, want := range paths {
		if err := sameBody(http.DefaultClient, m.url+"/tiny/"+path, want); err != nil {
			m.t.Errorf("upstream is gone: %v", err)
		}
	}
}
