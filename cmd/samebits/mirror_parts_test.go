package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/lockfile"
)

// A reload waits for who is being served, and who comes meanwhile is served by
// the new handler: nobody is turned away.
func TestGate(t *testing.T) {
	var g gate
	entered, finish := make(chan bool), make(chan bool)
	g.set(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- true
		<-finish
		_, _ = w.Write([]byte("old"))
	}))
	var wg sync.WaitGroup
	ask := func(want string) {
		wg.Go(func() {
			w := httptest.NewRecorder()
			g.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Body.String() != want {
				t.Errorf("got %q, want %q", w.Body, want)
			}
		})
	}
	ask("old")
	<-entered
	held := make(chan bool)
	go func() { g.hold(); close(held) }()
	for g.enter.TryRLock() { // until it is held
		g.enter.RUnlock()
	}
	ask("new")
	select {
	case <-held:
		t.Error("nobody waited for the one that is being served")
	default:
	}
	close(finish)
	<-held
	g.set(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("new")) }))
	g.release()
	wg.Wait()
}

func TestEntryOfHistory(t *testing.T) {
	m := lockfile.Missing{Name: "x", Version: "1", Arch: "amd64"}
	a, b := lockfile.DigestOf([]byte("a")), lockfile.DigestOf([]byte("b"))
	seen := mirror.Seen{Digest: a, Archive: "T", Path: "pool/x.deb", Name: "x", Version: "1", Arch: "amd64"}
	change := func(f func(*mirror.Seen)) mirror.Seen { s := seen; f(&s); return s }
	others := []lockfile.Entry{{Digest: b, Path: "y", Archive: lockfile.Archive{Name: "T", URL: "http://h/"}}}
	if e := entryOf([]mirror.Seen{seen, seen}, m, others); e == nil || e.Digest != a || e.Archive != others[0].Archive || e.Unsigned {
		t.Errorf("%+v", e)
	}
	for name, list := range map[string][]mirror.Seen{
		"nothing":      nil,
		"two digests":  {seen, change(func(s *mirror.Seen) { s.Digest = b })},
		"another name": {change(func(s *mirror.Seen) { s.Name = "y" })},
		"a bad path":   {change(func(s *mirror.Seen) { s.Path = "../x" })},
		"no digest":    {change(func(s *mirror.Seen) { s.Digest = lockfile.Digest{} })},
		"no archive":   {change(func(s *mirror.Seen) { s.Archive = "" })},
	} {
		if e := entryOf(list, m, others); e != nil {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestTeamMirror(t *testing.T) {
	s := &session{program: &program{getenv: func(string) string { return "" }}, said: map[string]bool{}}
	s.configs = []*config{{file: "user"}, {file: "system", Mirror: mirrorURL{"http://b/", 3}}}
	if where, why := s.teamMirror(); where != "http://b" || why != "system:3" {
		t.Error(where, why)
	}
	for value, want := range map[string]string{"none": "", "http://a:1/": "http://a:1"} {
		s.getenv = func(name string) string { return map[string]string{"SAMEBITS_MIRROR": value}[name] }
		if where, _ := s.teamMirror(); where != want {
			t.Errorf("%s: %s", value, where)
		}
	}
}

func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 21, 5, 0, 0, 0, time.UTC)
	text := statusText(mirror.Status{
		Upstreams: []mirror.UpstreamStatus{{Prefix: "debian", Roots: []mirror.RootStatus{{Path: "r", Date: now, Checked: now.Add(-time.Minute), Error: "it is gone"}}}},
		Changes:   []mirror.Change{{Seen: mirror.Seen{Name: "sudo", Version: "1.9", Arch: "amd64", Prefix: "debian", First: now}}}, Snapshots: []string{"a", "b"}, Offline: true,
	}, now)
	for _, want := range []string{"/debian/r  of 2026-11-21 05:00  checked 1 min 0 s ago  signature not checked\n", "failed: it is gone", "ATTENTION", "  2026-11-21 05:00  sudo 1.9 amd64 of /debian/: 0000", "2, the last b", "offline"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestPassedListeners(t *testing.T) {
	env := map[string]string{"LISTEN_PID": "1", "LISTEN_FDS": "1"}
	getenv := func(name string) string { return env[name] }
	if l, err := passedListeners(getenv); len(l) > 0 || err != nil {
		t.Error("sockets of another process were taken:", l, err)
	}
	env["LISTEN_PID"], env["LISTEN_FDS"] = strconv.Itoa(os.Getpid()), "many"
	if _, err := passedListeners(getenv); err == nil {
		t.Error("no number of sockets was taken for one")
	}
}

func TestListenReplacesADeadSocket(t *testing.T) {
	name := t.TempDir() + "/s"
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	r := &runner{session: &session{program: &program{getenv: func(string) string { return "" }}}}
	l, err := r.listen(&mirrorPlan{listen: []string{"unix:" + name}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(l)
	if _, err := r.listen(&mirrorPlan{listen: []string{"unix:" + name}}); err == nil || !strings.Contains(err.Error(), "is another mirror") {
		t.Error("a living socket was taken away:", err)
	}
}
