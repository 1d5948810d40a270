package mirror

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// aptClient is a root of its own for the real apt-get.
type aptClient struct {
	t   testing.TB
	dir string
	opt []string
}

func newApt(t testing.TB, r *repo, url string, options ...string) *aptClient {
	t.Helper()
	a := &aptClient{t: t, dir: t.TempDir(), opt: options}
	for _, d := range []string{"etc/apt/sources.list.d", "etc/apt/apt.conf.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d",
		"var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	key := filepath.Join(a.dir, "key.asc")
	for name, text := range map[string]string{"var/lib/dpkg/status": "", "key.asc": string(r.keyring()),
		"etc/apt/sources.list": "deb [signed-by=" + key + "] " + url + " one main\n"} {
		if err := os.WriteFile(filepath.Join(a.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// run runs apt-get and returns all that it said.
func (a *aptClient) run(args ...string) (string, error) {
	options := []string{"-q", "-y", "-o", "Dir=" + a.dir, "-o", "Dir::State::status=" + a.dir + "/var/lib/dpkg/status",
		"-o", "APT::Architecture=amd64", "-o", "APT::Architectures::=amd64", "-o", "APT::Sandbox::User=" + os.Getenv("USER"),
		"-o", "Dir::Etc::parts=" + a.dir + "/etc/apt/apt.conf.d", "-o", "Acquire::Languages=none", "-o", "Acquire::Retries=0", "-o", "Debug::NoLocking=1"}
	if os.Getuid() == 0 {
		options = append(options, "-o", "APT::Sandbox::User=root")
	}
	cmd := exec.Command("apt-get", append(append(options, a.opt...), args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "http_proxy=")
	out, err := cmd.CombinedOutput()
	if bytes.Contains(out, []byte("\nW: ")) || bytes.Contains(out, []byte("\nErr:")) {
		err = fmt.Errorf("apt warns: %w", os.ErrInvalid)
	}
	return string(out), err
}

func (a *aptClient) must(args ...string) {
	a.t.Helper()
	if out, err := a.run(args...); err != nil {
		a.t.Fatalf("apt-get %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// has checks a downloaded package.
func (a *aptClient) has(base string, data []byte) {
	a.t.Helper()
	got, err := os.ReadFile(filepath.Join(a.dir, "var/cache/apt/archives", base))
	if err != nil || !bytes.Equal(got, data) {
		a.t.Errorf("%s: %d bytes, %v", base, len(got), err)
	}
}

func needApt(t testing.TB) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip(err)
	}
}

func TestAptByPrefixAndAsProxy(t *testing.T) {
	needApt(t)
	repo, o, r := simple(t, nil)
	for _, a := range []*aptClient{newApt(t, repo, r.url+"/debian"), newApt(t, repo, o.URL+"/debian", "-o", "Acquire::http::Proxy="+r.url)} {
		a.must("update")
		a.must("update") // answered with 304
		a.must("install", "--download-only", "small", "large")
		a.has("small_1.0-1_amd64.deb", repo.debs[smallDeb])
		a.has("large_1%3a2.0+b1~x_amd64.deb", repo.debs[largeDeb])
	}
	if n := r.Metrics().NotModified; n != 2 {
		t.Errorf("%d answers of 304 to two second updates", n)
	}
	for path, n := range o.asked {
		if n != 1 {
			t.Errorf("%s was asked of upstream %d times", path, n)
		}
	}
}

func TestAptWithDetachedSignature(t *testing.T) {
	needApt(t)
	repo, o, r := simple(t, nil)
	files := repo.files()
	delete(files, "dists/one/InRelease")
	o.set(files)
	a := newApt(t, repo, r.url+"/debian")
	a.must("update", "-o", "Acquire::AllowInsecureRepositories=false")
	a.must("install", "--download-only", "small")
	a.has("small_1.0-1_amd64.deb", repo.debs[smallDeb])
}

// Upstream changes all the time, and has nothing of its earlier states: no
// client may see a mix of two. With names by hash, and without.
func TestUpdatesWhileUpstreamChanges(t *testing.T) {
	needApt(t)
	updates := 60
	if testing.Short() {
		updates = 20
	}
	if more, err := strconv.Atoi(os.Getenv("SAMEBITS_TEST_UPDATES")); err == nil {
		updates = more
	}
	for _, byHash := range []bool{true, false} {
		t.Run(fmt.Sprintf("byHash=%t", byHash), func(t *testing.T) {
			repo := newRepo(t)
			repo.byHash = byHash
			repo.build("first", "1", 10)
			o := newOrigin(t, repo.publish())
			r := newRig(t, debianAt(o, repo.keys()), func(c *Config) { c.Fresh = 20 * time.Millisecond })
			done := make(chan struct{})
			var left atomic.Int64
			left.Store(int64(updates) / 2)
			var wg sync.WaitGroup
			for range 4 {
				a := newApt(t, repo, r.url+"/debian")
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if out, err := a.run("update"); err != nil {
							t.Errorf("%v\n%s", err, out)
						}
					}
				})
			}
			go func() { wg.Wait(); close(done) }()
			states := 0
			for running := true; running; states++ {
				repo.drop()
				repo.build("churn", fmt.Sprint(states), 10)
				o.set(repo.publish())
				select {
				case <-done:
					running = false
				default:
				}
			}
			m := r.Metrics()
			t.Logf("%d states of upstream, %d sets adopted, %d refused, %d stale answers", states, m.SetsAdopted, m.SetsRefused, m.Stale)
			for path := range o.asked {
				if !byHash && strings.Contains(path, "/by-hash/") {
					t.Errorf("an archive without names by hash was asked for %s", path)
				}
			}
			if m.SetsAdopted < 3 {
				t.Error("upstream hardly changed: nothing was shown")
			}
		})
	}
}

func TestUpstreamDead(t *testing.T) {
	needApt(t)
	repo, o, r := simple(t, func(c *Config) { c.Fresh = time.Nanosecond; c.Patience = 2 * time.Second })
	a := newApt(t, repo, r.url+"/debian")
	a.must("update")
	a.must("install", "--download-only", "small", "large")
	o.Close()
	b := newApt(t, repo, r.url+"/debian")
	b.must("update")
	b.must("install", "--download-only", "small", "large")
	resp, _ := r.mustGet(inReleasePath)
	if w := resp.Header.Values("Warning"); len(w) != 2 || !strings.HasPrefix(w[0], "110 ") {
		t.Errorf("no warning: %v", resp.Header)
	}
	r.restart()
	newApt(t, repo, r.url+"/debian").must("update")
	if !strings.Contains(r.log.String(), "refused") {
		t.Error("nothing was logged")
	}
	r.want("/debian/pool/main/never_1_amd64.deb", 502, nil)
}

func TestFrozenStateOutlivesUpstream(t *testing.T) {
	needApt(t)
	repo, o, r := simple(t, func(c *Config) { c.Fresh = time.Nanosecond })
	before := repo.debs[smallDeb]
	large := repo.debs[largeDeb]
	newApt(t, repo, r.url+"/debian").must("update")
	snap, err := r.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ts := snap.Time.Format(timestampForm)
	warmed, err := r.Warm(t.Context(), ts, Choice{Architectures: []string{"amd64"}, Components: []string{"main"}})
	if err != nil || warmed.Files != 2 {
		t.Fatal(warmed, err)
	}
	repo.debs = map[string][]byte{}
	os.RemoveAll(repo.dir + "/pool/main")
	if err := os.Mkdir(repo.dir+"/pool/main", 0o755); err != nil {
		t.Fatal(err)
	}
	repo.build("small", "2", 50)
	time.Sleep(1100 * time.Millisecond) // for another Date
	o.set(repo.publish())
	newApt(t, repo, r.url+"/debian").must("update")
	r.restart()
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		t.Errorf("upstream was asked for %s", path)
		return false
	})
	// A later time resolves to the state that was then.
	for _, at := range []string{ts, snap.Time.Add(time.Hour).Format(timestampForm)} {
		a := newApt(t, repo, r.url+"/snapshot/"+at+"/debian", "-o", "Acquire::Check-Valid-Until=false")
		a.must("update")
		a.must("install", "--download-only", "small", "large")
		a.has("small_1.0-1_amd64.deb", before)
		a.has("large_1%3a2.0+b1~x_amd64.deb", large)
	}
	r.want("/snapshot/"+snap.Time.Add(-time.Second).Format(timestampForm)+inReleasePath, 404, nil)
	r.want("/snapshot/"+ts+"/debian/pool/main/small_2_amd64.deb", 404, nil)
	r.want("/snapshot/2026/debian/x", 404, nil)
}
