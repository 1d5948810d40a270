package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// A front stands before a real server. It counts the bytes of what is sent
// there. While it is ill, it fails for the fifth request, and at random for one
// in three of those that follow.
type front struct {
	host   string
	proxy  *httputil.ReverseProxy
	sent   atomic.Int64 // bytes of the bodies of requests
	failed atomic.Int64 // requests

	mu    sync.Mutex
	luck  *rand.Rand // nil while it is well
	asked int        // since it is ill
}

func newFront(t *testing.T, behind string) *front {
	t.Helper()
	f := &front{proxy: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: behind})
			r.Out.Host = r.In.Host // which signatures are of
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}}
	server := httptest.NewServer(f)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	f.host = server.Listener.Addr().String()
	return f
}

// ill makes it fail at random from now on, or makes it well again with nil.
func (f *front) ill(luck *rand.Rand) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.luck, f.asked = luck, 0
	f.failed.Store(0)
}

// failures are the ways in which an ill server answers. body is that of the
// real server's answer, of which the head is in w by then.
var failures = []func(w http.ResponseWriter, code int, body []byte){
	func(w http.ResponseWriter, _ int, _ []byte) { panic(http.ErrAbortHandler) },
	func(w http.ResponseWriter, _ int, _ []byte) {
		clear(w.Header())
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
	},
	func(w http.ResponseWriter, _ int, _ []byte) {
		clear(w.Header())
		http.Error(w, "not here", http.StatusNotFound)
	},
	func(w http.ResponseWriter, code int, body []byte) { // dies half way
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.WriteHeader(code)
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	},
	func(w http.ResponseWriter, code int, body []byte) { // lies
		if len(body) > 0 {
			body[len(body)/3] ^= 1
		}
		w.WriteHeader(code)
		_, _ = w.Write(body)
	},
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = &counted{r.Body, &f.sent}
	f.mu.Lock()
	way := -1
	f.asked++
	if f.luck != nil && (f.asked == 5 || f.asked > 5 && f.luck.IntN(3) == 0) {
		way = f.luck.IntN(len(failures))
	}
	f.mu.Unlock()
	if way < 0 {
		f.proxy.ServeHTTP(w, r)
		return
	}
	f.failed.Add(1)
	answer := httptest.NewRecorder()
	f.proxy.ServeHTTP(answer, r)
	for name, values := range answer.Result().Header {
		if name != "Trailer" {
			w.Header()[name] = values
		}
	}
	failures[way](w, answer.Code, bytes.Clone(answer.Body.Bytes()))
}

// counted counts what is read.
type counted struct {
	io.ReadCloser
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// goodsOf is a lock of real packages that are in a cache. The paths in it are
// those of no archive, so that the mirrors of this machine, which do have the
// packages, do not serve them.
type goodsOf struct {
	cache, lock string
	sizes       map[string]int64 // by SHA-256
	total       int64
}

// realPackages brings packages of this machine into a cache: many small ones,
// and some large ones, of which the address in IPFS does not follow from the
// hash.
func realPackages(t *testing.T, small, large int) goodsOf {
	t.Helper()
	all := parse(t, generate(t).stdout)
	needsMirror(t)
	sizes := map[string]int64{}
	for _, files := range askApt(t, installed(t)) {
		for _, k := range files {
			sizes[k.sha256] = k.size
		}
	}
	entries := slices.DeleteFunc(all.Entries, func(e lockfile.Entry) bool { return sizes[e.Digest.String()] == 0 })
	slices.SortFunc(entries, func(a, b lockfile.Entry) int {
		return int(sizes[a.Digest.String()] - sizes[b.Digest.String()])
	})
	if len(entries) < 2*(small+large) {
		t.Skipf("only %d of the installed packages are in the archives", len(entries))
	}
	middle := slices.IndexFunc(entries, func(e lockfile.Entry) bool { return sizes[e.Digest.String()] > 1<<20 })
	if middle < small {
		t.Skip("the installed packages are not of the sizes that the test wants")
	}
	entries = slices.Concat(entries[:small], entries[middle:min(middle+large, len(entries))])
	dir := t.TempDir()
	g := goodsOf{cache: filepath.Join(dir, "cache"), lock: filepath.Join(dir, "SHA256SUMS")}
	l := &lockfile.Lock{System: all.System, Date: all.Date, Entries: entries}
	save := func(name string) string {
		if err := l.Sort(); err != nil {
			t.Fatal(err)
		}
		return write(t, name, string(l.Format()))
	}
	samebits(t, 0, g.cache, "lock", "fetch", save(filepath.Join(dir, "real")))
	for i, e := range l.Entries {
		l.Entries[i].Archive, l.Entries[i].Path = lockfile.Archive{Name: "Nobody's"}, "nobody/"+e.Path
	}
	save(g.lock)
	g.sizes = blobSizes(t, g.cache)
	g.total = sum(g.sizes)
	if len(g.sizes) != small+large {
		t.Fatalf("%d files are in the cache, want %d", len(g.sizes), small+large)
	}
	t.Logf("%d packages, %s", len(g.sizes), size(g.total))
	return g
}

// arrived fails the test unless a cache has the packages, with the right bytes
// and nothing else.
func (g goodsOf) arrived(t *testing.T, cache string) {
	t.Helper()
	got := blobSizes(t, cache)
	for name, size := range g.sizes {
		if got[name] != size {
			t.Errorf("%s has %d bytes in the cache, want %d", name, got[name], size)
		}
	}
	if len(got) != len(g.sizes) {
		t.Errorf("%d files are in the cache, want %d", len(got), len(g.sizes))
	}
}

// A depot is one place to push packages to and to fetch them from.
type depot struct {
	name    string
	dest    string
	sources []string // each alone has all files
	fronts  []*front // before the servers of the sources
}

// A yard is all depots, with the logins that they want.
type yard struct {
	env    []string
	depots []depot
	host   string // of the registry
	layout string
	pool   string // a directory of files at their paths
	mirror depot  // serves pool over HTTP
}

// all are the depots with the mirror.
func (y *yard) all() []depot { return append(slices.Clone(y.depots), y.mirror) }

func newYard(t *testing.T) *yard {
	t.Helper()
	dir := t.TempDir()
	// The login is user:secret.
	registry := newFront(t, startRegistry(t))
	write(t, filepath.Join(dir, "docker", "config.json"), fmt.Sprintf(`{"auths":{%q:{"auth":"dXNlcjpzZWNyZXQ="}}}`, registry.host))
	api, gateway := fetchtest.StartKubo(t)
	node, public := newFront(t, api), newFront(t, gateway)
	store := newFront(t, startStore(t))
	// Requests to hosts elsewhere end here, and find nothing.
	nowhere := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(nowhere.Close)
	bucket := "s3+http://bucket/team?endpoint=" + store.host
	y := &yard{host: registry.host, layout: filepath.Join(dir, "layout"), pool: filepath.Join(dir, "pool")}
	files := httptest.NewServer(http.FileServer(http.Dir(y.pool)))
	t.Cleanup(files.Close)
	mirror := newFront(t, files.Listener.Addr().String())
	y.mirror = depot{name: "mirror", sources: []string{"http://" + mirror.host}, fronts: []*front{mirror}}
	y.env = clean("DOCKER_CONFIG="+filepath.Join(dir, "docker"), "REGISTRY_AUTH_FILE="+filepath.Join(dir, "docker", "config.json"),
		"AWS_ACCESS_KEY_ID=testkey", "AWS_SECRET_ACCESS_KEY=testsecret",
		"http_proxy="+nowhere.URL, "https_proxy="+nowhere.URL, "no_proxy=", "LC_ALL=C.UTF-8")
	y.depots = []depot{
		{"registry", "oci://" + registry.host + "/team/packages:v1", []string{"oci://" + registry.host + "/team/packages"}, []*front{registry}},
		{"ipfs", "ipfs://" + node.host, []string{"ipfs://" + node.host, "ipfs+gateway://" + public.host}, []*front{node, public}},
		{"bucket", bucket + "&lock=v1", []string{bucket}, []*front{store}},
		{"layout", y.layout, []string{y.layout}, nil},
	}
	return y
}

// run runs samebits with a cache and the logins.
func (y *yard) run(t *testing.T, code int, cache string, args ...string) result {
	t.Helper()
	cmd := command(t, cache, args...)
	cmd.Env = append(slices.Clone(y.env), "SAMEBITS_CACHE="+cache)
	r := finish(t, cmd)
	if r.code != code {
		t.Fatalf("want exit code %d of %v", code, r)
	}
	return r
}

// tool runs another program with the logins.
func (y *yard) tool(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = dir, append(slices.Clone(y.env), "HOME="+dir)
	r := finish(t, cmd)
	if r.code != 0 {
		t.Fatal(r)
	}
	return r.stdout
}

// push sends the packages, and returns what was said and the address of the
// lock. The lock gets the addresses in IPFS of what is sent there.
func (y *yard) push(t *testing.T, d depot, g goodsOf) (said, address string) {
	t.Helper()
	if d.name == "layout" {
		r := y.run(t, 0, g.cache, "cache", "export", "--layout", "oci", "--tag", "v1", g.lock, d.dest)
		return r.stderr, d.dest + ":v1"
	}
	args := []string{"cache", "push", d.dest, g.lock}
	if d.name == "ipfs" {
		args = []string{"cache", "push", "--write", d.dest, g.lock}
	}
	r := y.run(t, 0, g.cache, args...)
	address = strings.TrimSpace(r.stdout)
	if d.name == "ipfs" {
		address = d.dest + "/" + strings.TrimPrefix(address, "ipfs://")
	}
	return r.stderr, address
}

// sent is how many bytes the servers of a depot were sent, or the file system
// holds of it.
func (d depot) sent(t *testing.T) (n int64) {
	t.Helper()
	for _, f := range d.fronts {
		n += f.sent.Load()
	}
	if len(d.fronts) == 0 {
		n = sum(sizesBelow(t, filepath.Join(d.dest, "blobs", "sha256"), true))
	}
	return n
}

// oras is the path of the command.
func oras(t *testing.T) string { return fetchtest.Program(t, "oras") }

// mangle damages the files of a directory at random: one in four is gone, cut
// or of other bytes.
func mangle(t *testing.T, luck *rand.Rand, dir string) (hurt int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		name := filepath.Join(dir, e.Name())
		data := []byte(read(t, name))
		way := luck.IntN(12)
		switch {
		case way == 0:
			err = os.Remove(name)
		case way == 1:
			err = os.WriteFile(name, data[:len(data)/2], 0o644)
		case way == 2:
			data[len(data)/3] ^= 1
			err = os.WriteFile(name, data, 0o644)
		default:
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		hurt++
	}
	return hurt
}
