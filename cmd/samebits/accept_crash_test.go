package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// A meter serves files well but not faster than it is told, and counts.
type meter struct {
	server *httptest.Server
	files  map[string][]byte
	pause  time.Duration // after each piece

	mu     sync.Mutex
	period int              // how often total was called
	sent   int64            // bytes of bodies that were written in this period
	watch  func(sent int64) // called with each piece; may be nil
}

const piece = 32 << 10 // bytes

func newMeter(t *testing.T, files map[string][]byte, pause time.Duration) *meter {
	m := &meter{files: files, pause: pause}
	m.server = httptest.NewServer(m)
	t.Cleanup(func() {
		m.server.CloseClientConnections()
		m.server.Close()
	})
	return m
}

func (m *meter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	period := m.period
	m.mu.Unlock()
	data, ok := m.files[r.URL.Path[1:]]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", `"`+lockfile.DigestOf(data).String()+`"`)
	http.ServeContent(&metered{w, m, period, r.Context()}, r, "", time.Time{}, bytes.NewReader(data))
}

// notify has f called with each piece that is sent.
func (m *meter) notify(f func(sent int64)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watch = f
}

// total returns how many bytes were sent, and begins to count anew. What is
// still being sent then does not count, since who asked for it is gone.
func (m *meter) total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.sent
	m.sent = 0
	m.period++
	return n
}

// forget begins to count anew when no request of a process that is gone can
// still be met: they may wait to be accepted, behind which ours waits too.
func (m *meter) forget(t *testing.T) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(m.server.URL + "/absent")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	m.server.CloseClientConnections()
	m.total()
}

type metered struct {
	http.ResponseWriter
	m      *meter
	period int // in which it was asked for
	ctx    context.Context
}

func (w *metered) Write(p []byte) (int, error) {
	done := 0
	for len(p) > 0 {
		n, err := w.ResponseWriter.Write(p[:min(len(p), piece)])
		done += n
		if err != nil {
			return done, err
		}
		p = p[n:]
		w.m.mu.Lock()
		if w.period == w.m.period {
			w.m.sent += int64(n)
		}
		sent, watch := w.m.sent, w.m.watch
		w.m.mu.Unlock()
		if watch != nil {
			watch(sent)
		}
		select {
		case <-w.ctx.Done():
			return done, w.ctx.Err()
		case <-time.After(w.m.pause):
		}
	}
	return done, nil
}

// Killed at any moment, and run again: all arrives, nothing is left over, and
// no byte that was there is asked for again.
func TestAcceptKilled(t *testing.T) {
	needs(t, false)
	t.Parallel()
	r := random(t)
	files := goods(r, append(same(12, 2_000_000), 5_000_000, 1_000_000, 1, 0)...)
	var total int64
	for _, b := range files {
		total += int64(len(b))
	}
	lock := writeLock(t, files)
	early := 0
	for range 20 {
		point, delay := r.Int64N(total), time.Duration(r.Int64N(int64(20*time.Millisecond)))
		m := newMeter(t, files, time.Millisecond)
		cache := filepath.Join(t.TempDir(), "cache")
		args := []string{"lock", "fetch", "--source", m.server.URL, lock}
		reached := make(chan struct{})
		var once sync.Once
		m.notify(func(sent int64) {
			if sent >= point {
				once.Do(func() { close(reached) })
			}
		})
		cmd := command(t, cache, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-reached
		time.Sleep(delay)
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			early++
		}
		m.forget(t)
		have := sum(blobSizes(t, cache)) + sum(partialSizes(t, cache))
		again := samebits(t, 0, cache, args...)
		complete(t, cache, files)
		if got := m.total(); got != total-have {
			t.Errorf("killed when %d bytes were sent: %d bytes of %d were there, and then %d were sent: %v", point, have, total, got, again)
		}
		if n := sum(blobSizes(t, cache)); n != total {
			t.Errorf("the cache has %d bytes, want %d", n, total)
		}
		if out := samebits(t, 0, cache, "cache", "verify"); !strings.Contains(out.stdout, "16 files right, 0 damaged") {
			t.Errorf("the cache after a kill: %v", out)
		}
		if out := samebits(t, 0, cache, "cache", "prune", "--dry-run"); !strings.Contains(out.stderr, "nothing to remove") {
			t.Errorf("left over after a kill: %v", out)
		}
		again = samebits(t, 0, cache, args...)
		if got := m.total(); got != 0 {
			t.Errorf("%d bytes for a cache that has all: %v", got, again)
		}
	}
	t.Logf("%d of 20 runs were killed before they ended", early)
	if early < 10 {
		t.Errorf("only %d of 20 runs were killed before they ended", early)
	}
}

// Ended by a signal that it can answer, it says so and keeps what it has.
func TestAcceptInterrupted(t *testing.T) {
	files := goods(random(t), same(4, 1_000_000)...)
	m := newMeter(t, files, 5*time.Millisecond)
	cache := t.TempDir()
	cmd := command(t, cache, "lock", "fetch", "--source", m.server.URL, writeLock(t, files))
	var once sync.Once
	reached := make(chan struct{})
	m.notify(func(sent int64) {
		if sent >= 1_000_000 {
			once.Do(func() { close(reached) })
		}
	})
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-reached
	_ = cmd.Process.Signal(unix.SIGTERM)
	_ = cmd.Wait()
	r := result{args: cmd.Args, code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
	if r.code != 128+int(unix.SIGTERM) || !strings.Contains(r.stderr, "what was fetched is kept") {
		t.Errorf("want exit code %d and a word: %v", 128+int(unix.SIGTERM), r)
	}
	if sum(blobSizes(t, cache))+sum(partialSizes(t, cache)) == 0 {
		t.Errorf("nothing was kept: %v", r)
	}
}

// mountTmpfs mounts a small file system.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("needs to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A full disk is named; with more room, the next run completes.
func TestAcceptDiskFull(t *testing.T) {
	needs(t, true)
	dir := mountTmpfs(t, "size=6m")
	files := goods(random(t), same(12, 1_000_000)...)
	m := newMeter(t, files, 0)
	args := []string{"lock", "fetch", "--source", m.server.URL, writeLock(t, files)}
	r := samebits(t, 1, dir, args...)
	last := lastLine(r.stderr)
	for _, want := range []string{"samebits: ", dir, "no room", "no space left on device", "free some space"} {
		if !strings.Contains(last, want) {
			t.Errorf("the last line has no %q: %v", want, r)
		}
	}
	if n := len(blobSizes(t, dir)); n == 0 {
		t.Errorf("none of the files was kept: %v", r)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	samebits(t, 0, dir, args...)
	complete(t, dir, files)
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[len(lines)-1]
}

// A cache on a read-only file system does where it has all; where not, it is
// named, and nothing is asked of any source in vain.
func TestAcceptReadOnlyCache(t *testing.T) {
	needs(t, true)
	dir := mountTmpfs(t, "size=64m")
	files := goods(random(t), same(5, 100_000)...)
	all := writeLock(t, files)
	m := newMeter(t, files, 0)
	args := []string{"lock", "fetch", "--source", m.server.URL}
	samebits(t, 0, dir, append(args, all)...)
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	for _, args := range [][]string{
		append(args, all), {"lock", "inspect", all}, {"cache", "info"}, {"cache", "list"}, {"cache", "verify"},
		{"cache", "export", all, filepath.Join(t.TempDir(), "out")},
	} {
		samebits(t, 0, dir, args...)
	}
	files["more.bin"] = []byte("more")
	m.total()
	r := samebits(t, 1, dir, append(args, writeLock(t, files))...)
	for _, want := range []string{"samebits: ", dir, "cannot be written to", "choose another directory"} {
		if !strings.Contains(lastLine(r.stderr), want) {
			t.Errorf("the last line has no %q: %v", want, r)
		}
	}
	if n := m.total(); n > 0 {
		t.Errorf("%d bytes were fetched for a cache that cannot take them", n)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("the cache was\n%s\nand is\n%s", before, after)
	}
}

// Another user's cache, or one without write permission, is the same.
func TestAcceptForeignCache(t *testing.T) {
	needs(t, true, "setpriv")
	dir := filepath.Join(t.TempDir(), "cache")
	files := goods(random(t), same(3, 100_000)...)
	lock := writeLock(t, files)
	m := newMeter(t, files, 0)
	samebits(t, 0, dir, "lock", "fetch", "--source", m.server.URL, lock)
	for _, d := range []string{filepath.Dir(filepath.Dir(dir)), filepath.Dir(dir), filepath.Dir(filepath.Dir(lock)), filepath.Dir(lock), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	nobody := func(args ...string) result {
		cmd := exec.Command("setpriv", append([]string{"--reuid", "65534", "--regid", "65534", "--clear-groups", builtBinary(t)}, args...)...)
		cmd.Env = clean("SAMEBITS_CACHE=" + dir)
		return finish(t, cmd)
	}
	if r := nobody("lock", "fetch", "--offline", lock); r.code != 0 {
		t.Errorf("from another user's cache that has all: %v", r)
	}
	if err := os.Remove(filepath.Join(dir, "blobs", "sha256", lockfile.DigestOf(files["pool/01.bin"]).String())); err != nil {
		t.Fatal(err)
	}
	r := nobody("lock", "fetch", "--source", m.server.URL, lock)
	if r.code != 1 || !strings.Contains(lastLine(r.stderr), dir+" cannot be written to") {
		t.Errorf("from another user's cache that lacks a file: %v", r)
	}
}

// Four at once on one cold cache: each file is asked for once.
func TestAcceptFourAtOnce(t *testing.T) {
	files := goods(random(t), same(24, 250_000)...)
	lock := writeLock(t, files)
	s := fetchtest.NewServer(files)
	defer s.Close()
	s.Mood(fetchtest.Slow(20*time.Millisecond, fetchtest.Good))
	cache := filepath.Join(t.TempDir(), "cache")
	results := make([]result, 4)
	var wg sync.WaitGroup
	for i := range results {
		cmd := command(t, cache, "lock", "fetch", "--source", s.URL, lock)
		wg.Go(func() { results[i] = finish(t, cmd) })
	}
	wg.Wait()
	for _, r := range results {
		if r.code != 0 {
			t.Errorf("one of four: %v", r)
		}
	}
	complete(t, cache, files)
	for p := range files {
		if n := s.Count(p); n != 1 {
			t.Errorf("%s was asked for %d times", p, n)
		}
	}
}
