package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// repo is a signed repository made by apt-ftparchive and gpg.
type repo struct {
	t       testing.TB
	dir     string
	gpgHome string
	byHash  bool
	debs    map[string][]byte // by path
}

var (
	keyOnce sync.Once
	keyHome string
)

// TestMain removes the key that all tests sign with.
func TestMain(m *testing.M) {
	if os.Getenv(helperEnv) != "" {
		helperMain()
		return
	}
	code := m.Run()
	if keyHome != "" {
		_ = exec.Command("gpgconf", "--homedir", keyHome, "--kill", "all").Run()
		os.RemoveAll(keyHome)
	}
	os.Exit(code)
}

func newRepo(t testing.TB) *repo {
	t.Helper()
	for _, tool := range []string{"apt-ftparchive", "gpg", "dpkg-deb", "xz"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	keyOnce.Do(func() {
		var err error
		if keyHome, err = os.MkdirTemp("", "gpg"); err != nil {
			t.Fatal(err)
		}
		r := &repo{t: t, dir: t.TempDir(), gpgHome: keyHome}
		r.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "T <t@example.org>", "ed25519", "sign", "0")
	})
	r := &repo{t: t, dir: t.TempDir(), gpgHome: keyHome, byHash: true, debs: map[string][]byte{}}
	for _, d := range []string{"pool/main", "dists/one/main/binary-amd64"} {
		if err := os.MkdirAll(filepath.Join(r.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *repo) run(args ...string) []byte {
	r.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GNUPGHOME="+r.gpgHome, "LC_ALL=C")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return out
}

func (r *repo) keyring() []byte { return r.run("gpg", "--batch", "--export", "--armor") }

func (r *repo) keys() *archive.Keys {
	r.t.Helper()
	keys, err := archive.ReadKeys(r.keyring())
	if err != nil {
		r.t.Fatal(err)
	}
	return keys
}

// build makes a package with so many bytes of content that do not compress.
func (r *repo) build(name, version string, size int) string {
	r.t.Helper()
	tree := r.t.TempDir()
	control := "Package: " + name + "\nVersion: " + version + "\nArchitecture: amd64\nMaintainer: T <t@example.org>\nDescription: t\n"
	noise := make([]byte, size)
	random := rand.NewChaCha8(sha256.Sum256([]byte(name + version)))
	_, _ = random.Read(noise)
	if err := os.MkdirAll(filepath.Join(tree, "DEBIAN"), 0o755); err != nil {
		r.t.Fatal(err)
	}
	for file, data := range map[string][]byte{"DEBIAN/control": []byte(control), name: noise} {
		if err := os.WriteFile(filepath.Join(tree, file), data, 0o644); err != nil {
			r.t.Fatal(err)
		}
	}
	path := "pool/main/" + name + "_" + version[strings.IndexByte(version, ':')+1:] + "_amd64.deb"
	r.run("dpkg-deb", "-Zgzip", "-z1", "--root-owner-group", "-b", tree, path)
	data, err := os.ReadFile(filepath.Join(r.dir, path))
	if err != nil {
		r.t.Fatal(err)
	}
	r.debs[path] = data
	return path
}

// drop removes all packages from the pool.
func (r *repo) drop() {
	for path := range r.debs {
		os.Remove(filepath.Join(r.dir, path))
	}
	clear(r.debs)
}

// publish writes and signs the indexes and returns all files of the
// repository as they are then.
func (r *repo) publish() map[string][]byte {
	r.t.Helper()
	packages := r.run("apt-ftparchive", "packages", "pool")
	index := filepath.Join(r.dir, "dists/one/main/binary-amd64/Packages")
	if err := os.WriteFile(index, packages, 0o644); err != nil {
		r.t.Fatal(err)
	}
	r.run("xz", "-kf", "-0", index)
	o := "APT::FTPArchive::Release::"
	args := []string{"apt-ftparchive", "-o", o + "Origin=Example Org", "-o", o + "Label=Extra", "-o", o + "Suite=one", "-o", o + "Codename=one",
		"-o", o + "Architectures=amd64", "-o", o + "Components=main"}
	if r.byHash {
		args = append(args, "-o", o+"Acquire-By-Hash=yes")
	}
	for _, old := range []string{"Release", "InRelease", "Release.gpg"} {
		os.Remove(filepath.Join(r.dir, "dists/one", old))
	}
	text := r.run(append(args, "release", "dists/one")...)
	if err := os.WriteFile(filepath.Join(r.dir, "dists/one/Release"), text, 0o644); err != nil {
		r.t.Fatal(err)
	}
	gpg := []string{"gpg", "--batch", "--quiet", "--yes", "--pinentry-mode", "loopback", "--passphrase", ""}
	r.run(append(gpg, "--output", "dists/one/InRelease", "--clearsign", "dists/one/Release")...)
	r.run(append(gpg, "--output", "dists/one/Release.gpg", "--armor", "--detach-sign", "dists/one/Release")...)
	return r.files()
}

func (r *repo) files() map[string][]byte {
	r.t.Helper()
	files := map[string][]byte{}
	err := fs.WalkDir(os.DirFS(r.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(r.dir, path))
		files[path] = data
		if r.byHash && strings.Contains(path, "/binary-amd64/") {
			files[filepath.Dir(path)+"/by-hash/SHA256/"+lockfile.DigestOf(data).String()] = data
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return files
}

// origin serves the files of a repository below /debian, and counts.
type origin struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string][]byte
	gets  map[string]int // answers with a body, by path
	asked map[string]int // requests of any kind
	// mood, where set, may answer in place of the files.
	mood func(w http.ResponseWriter, r *http.Request, path string, data []byte) bool
}

func newOrigin(t testing.TB, files map[string][]byte) *origin {
	o := &origin{files: files, gets: map[string]int{}, asked: map[string]int{}}
	o.Server = httptest.NewServer(o)
	t.Cleanup(o.Close)
	return o
}

func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/debian/")
	o.mu.Lock()
	data, ok := o.files[path]
	mood := o.mood
	o.asked[path]++
	o.mu.Unlock()
	if mood != nil && mood(w, r, path, data) {
		return
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	if r.Header.Get("If-None-Match") == "" {
		o.mu.Lock()
		o.gets[path]++
		o.mu.Unlock()
	}
	w.Header().Set("ETag", `"`+lockfile.DigestOf(data).String()[:20]+`"`)
	http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(data))
}

func (o *origin) set(files map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files = files
}

func (o *origin) setMood(mood func(w http.ResponseWriter, r *http.Request, path string, data []byte) bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mood = mood
}

func (o *origin) count(path string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path]
}

// rig is a mirror with a server before it.
type rig struct {
	t testing.TB
	*Mirror
	url  string
	conf Config
	srv  *http.Server
	log  *lockedBuffer
}

func quickClient() *web.Client {
	return web.NewClient(web.Config{Stall: 5 * time.Second, Backoff: time.Millisecond})
}

func newRig(t testing.TB, up Upstream, change func(*Config)) *rig {
	t.Helper()
	dir := t.TempDir()
	conf := Config{Cache: dir + "/cache", State: dir + "/state", Upstreams: []Upstream{up}, Client: quickClient(), Stall: 5 * time.Second}
	if change != nil {
		change(&conf)
	}
	r := &rig{t: t, conf: conf}
	r.start()
	t.Cleanup(r.stopAll)
	return r
}

// start opens the mirror and serves it, with what it has kept.
func (r *rig) start() {
	r.t.Helper()
	r.log = &lockedBuffer{}
	r.conf.Log = slog.New(slog.NewTextHandler(r.log, nil))
	m, err := Open(r.conf)
	if err != nil {
		r.t.Fatal(err)
	}
	ts := httptest.NewUnstartedServer(nil)
	ts.Listener = Listen(ts.Listener, 0)
	ts.Config = Server(m, Limits{})
	ts.Start()
	r.Mirror, r.url, r.srv = m, ts.URL, ts.Config
}

func (r *rig) stopAll() {
	if r.Mirror == nil {
		return
	}
	r.srv.Close()
	if err := r.Close(); err != nil {
		r.t.Error(err)
	}
	r.Mirror = nil
}

func (r *rig) restart() {
	r.stopAll()
	r.start()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// get asks the mirror and returns the answer with its whole body.
func (r *rig) get(path string, header ...string) (*http.Response, []byte, error) {
	r.t.Helper()
	return r.do(http.MethodGet, r.url+path, header...)
}

func (r *rig) do(method, url string, header ...string) (*http.Response, []byte, error) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func (r *rig) mustGet(path string, header ...string) (*http.Response, []byte) {
	r.t.Helper()
	resp, body, err := r.get(path, header...)
	if err != nil {
		r.t.Fatalf("GET %s: %v", path, err)
	}
	return resp, body
}

func (r *rig) want(path string, code int, data []byte) *http.Response {
	r.t.Helper()
	resp, body := r.mustGet(path)
	if resp.StatusCode != code || data != nil && !bytes.Equal(body, data) {
		r.t.Fatalf("GET %s: %s with %d bytes %.200q, want %d with %d bytes", path, resp.Status, len(body), body, code, len(data))
	}
	return resp
}

func debianAt(o *origin, keys *archive.Keys) Upstream {
	return Upstream{Prefix: "debian", URLs: []string{o.URL + "/debian"}, Format: &Debian{Keys: keys, Architectures: []string{"amd64"}}}
}

// simple is a repository of a few packages, its origin, and a mirror of it.
func simple(t testing.TB, change func(*Config)) (*repo, *origin, *rig) {
	t.Helper()
	r := newRepo(t)
	r.build("small", "1.0-1", 100)
	r.build("large", "1:2.0+b1~x", 1<<20)
	o := newOrigin(t, r.publish())
	return r, o, newRig(t, debianAt(o, r.keys()), change)
}

const (
	inReleasePath = "/debian/dists/one/InRelease"
	packagesPath  = "/debian/dists/one/main/binary-amd64/Packages.xz"
	largePath     = "/debian/pool/main/large_2.0%2bb1~x_amd64.deb"
	largeDeb      = "pool/main/large_2.0+b1~x_amd64.deb"
	smallPath     = "/debian/pool/main/small_1.0-1_amd64.deb"
	smallDeb      = "pool/main/small_1.0-1_amd64.deb"
)

func updated(r *rig) *rig {
	r.t.Helper()
	r.want(inReleasePath, 200, nil)
	r.want(packagesPath, 200, nil)
	return r
}

// get2 reads a file of the state.
func (r *rig) get2(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(r.conf.State, name))
	return string(b), err
}
