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
	"time"

	"github.com/samebits/samebits/lockfile"
)

func TestMeasureTakesTurns(t *testing.T) {
	var order []string
	runner := func(name string) contestant {
		return contestant{name: name, prepare: func() error { order = append(order, name); return nil },
			command: func() *exec.Cmd { return exec.Command("true") }}
	}
	var out strings.Builder
	b := &bench{rounds: 3, out: &out}
	if err := b.measure(runner("a"), runner("b"), runner("c")); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(order, ""); got != "abcbcacab" {
		t.Errorf("the order is %s", got)
	}
	if n := strings.Count(out.String(), "\n"); n != 6 || !strings.Contains(out.String(), "| 1.00 |") {
		t.Errorf("table:\n%s", out.String())
	}
}

func TestMeasureTellsWhatFailed(t *testing.T) {
	b := &bench{rounds: 1, out: io.Discard}
	err := b.measure(contestant{name: "it", command: func() *exec.Cmd { return exec.Command("sh", "-c", "echo why >&2; exit 7") }})
	if err == nil || !strings.Contains(err.Error(), "it: ") || !strings.Contains(err.Error(), "status 7\nwhy") {
		t.Error(err)
	}
}

func TestMedian(t *testing.T) {
	for want, walls := range map[time.Duration][]time.Duration{3: {9, 1, 3}, 2: {4, 2, 1, 3}, 5: {5}} {
		var samples []sample
		for _, w := range walls {
			samples = append(samples, sample{wall: w})
		}
		if got := median(samples, wall); got != want {
			t.Errorf("median of %v = %d", walls, got)
		}
	}
}

func TestSpread(t *testing.T) {
	var offers []offer
	for i := range 1000 {
		offers = append(offers, offer{size: int64((i * 7919) % 1000)})
	}
	got := spread(offers, 10, 2000)
	var sum int64
	for _, o := range got {
		sum += o.size
	}
	if len(got) != 10 || sum < 2000 || sum > 2100 || got[0].size != 0 {
		t.Errorf("%d offers of %d bytes: %v", len(got), sum, got)
	}
}

func TestShelf(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	s, err := b.newShelf()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b_1%3a2.0-1_amd64.deb", "a_1_all.deb"} {
		if err := s.fill(name, 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.seal(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(s.lock)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := lockfile.Parse(s.lock, f)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Entries) != 2 || l.Entries[1].Path != "pool/b_2.0-1_amd64.deb" || s.String() != "2 files, 0.0 MB" {
		t.Errorf("lock:\n%s\n%s", l.Format(), s)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, l.Entries[1].Path))
	if err != nil || lockfile.DigestOf(data) != l.Entries[1].Digest || len(data) != 1000 {
		t.Errorf("the file is not what the lock says: %v", err)
	}
}

func TestDelayed(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) }))
	defer origin.Close()
	b := &bench{}
	url, err := b.delayed(origin.URL, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer b.cleanups[0]()
	resp, err := http.Get(url + "/pool/x")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "/pool/x" {
		t.Errorf("%s, %v", body, err)
	}
}
