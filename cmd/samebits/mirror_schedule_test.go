package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/cache/mirror/page"
	"github.com/samebits/samebits/lockfile"
)

// tinyArchive is an archive of Debian's form that nobody signed.
func tinyArchive(debs map[string][]byte) map[string][]byte {
	files := map[string][]byte{}
	index := ""
	for name, data := range debs {
		path := "pool/" + name + "_1_all.deb"
		index += fmt.Sprintf("Package: %s\nVersion: 1\nArchitecture: all\nFilename: %s\nSize: %d\nSHA256: %s\n\n", name, path, len(data), lockfile.DigestOf(data))
		files[path] = data
	}
	files["dists/x/main/binary-amd64/Packages"] = []byte(index)
	files["dists/x/Release"] = fmt.Appendf(nil, "Origin: Tiny\nLabel: Tiny\nSuite: x\nCodename: x\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nArchitectures: amd64\nComponents: main\nSHA256:\n %s %d main/binary-amd64/Packages\n",
		lockfile.DigestOf([]byte(index)), len(index))
	return files
}

// A day lasts from one frozen state to the next, by a clock of the test, also
// when the mirror is started again.
func TestFreezesOnSchedule(t *testing.T) {
	upstream := newUpstreamServer(t, tinyArchive(map[string][]byte{"a": []byte("a package")}))
	now := time.Date(2026, 11, 21, 3, 30, 0, 0, time.UTC)
	dir := t.TempDir()
	config := mirror.Config{Cache: dir + "/cache", State: dir + "/state", Now: func() time.Time { return now },
		Upstreams: []mirror.Upstream{{Prefix: "tiny", URLs: []string{upstream.URL}, Format: &mirror.Debian{}}}}
	r := &runner{log: slog.New(slog.DiscardHandler), plan: &mirrorPlan{freeze: 24 * time.Hour}, recorder: page.NewRecorder(filepath.Join(dir, "page.json"))}
	open := func() {
		t.Helper()
		var err error
		if r.mirror, err = mirror.Open(config); err != nil {
			t.Fatal(err)
		}
	}
	open()
	defer func() { r.mirror.Close() }()
	after := func(wait time.Duration, want ...string) {
		t.Helper()
		now = now.Add(wait)
		r.lookAfter(t.Context(), now)
		if got := r.mirror.Snapshots(); !slices.Equal(got, want) {
			t.Errorf("at %s there are %q, want %q", now, got, want)
		}
	}
	after(time.Minute) // nobody has asked for anything
	w := httptest.NewRecorder()
	if r.mirror.ServeHTTP(w, httptest.NewRequest("GET", "/tiny/dists/x/Release", nil)); w.Code != 200 {
		t.Fatal(w.Code, w.Body)
	}
	after(time.Minute, "20261121T033200Z")
	after(23*time.Hour+59*time.Minute, "20261121T033200Z")
	after(time.Minute, "20261121T033200Z", "20261122T033200Z")
	if err := r.mirror.Close(); err != nil {
		t.Fatal(err)
	}
	open()
	after(time.Hour, "20261121T033200Z", "20261122T033200Z")
	r.plan.freeze = 0
	after(100*24*time.Hour, "20261121T033200Z", "20261122T033200Z")
	r.plan.freeze = time.Hour // as after a reload
	after(0, "20261121T033200Z", "20261122T033200Z", "20270302T043200Z")
}
