package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/cache"
	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

const unhashed = "a package of which the index tells no SHA-256"

// wants is what the tests look for: the file with the text of unhashed.
func wants(urls ...string) distro.Unhashed {
	return distro.Unhashed{Identity: "test/a-1/00ff", Size: int64(len(unhashed)), URLs: urls, Check: func(r io.Reader) error {
		got, err := io.ReadAll(r)
		if err == nil && string(got) != unhashed {
			err = errors.New("it is not what the index means")
		}
		return err
	}}
}

// identify is a run of the program, as far as finding out digests goes.
func identify(t *testing.T, dir string, online bool, use func(distro.Identifier), keepers ...string) (said string) {
	t.Helper()
	var stderr bytes.Buffer
	s := &session{program: &program{stderr: &stderr, getenv: func(string) string { return "" }}, ctx: t.Context(), lines: &stderr, said: map[string]bool{}}
	late := &lateCache{session: s}
	late.once.Do(func() { late.cache, late.err = cache.Open(dir) })
	var f *fetcher
	if online {
		f = &fetcher{session: s, client: web.NewClient(web.Config{Retries: -1}), cache: late}
	}
	var all []distro.Mirror
	for _, u := range keepers {
		all = append(all, distro.Mirror{URL: u, Keeper: true})
	}
	use(s.newIdentifier(f, late, all))
	if late.cache == nil {
		t.Fatal(late.err)
	}
	for _, end := range append(late.atClose, (*cache.Cache).Close) {
		if err := end(late.cache); err != nil {
			t.Error(err)
		}
	}
	return stderr.String()
}

// fileServer gives the right file at /good, another at /bad, a part of it and
// then the rest at /torn, and nothing else.
func fileServer(t *testing.T) (base string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	var torn atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		switch r.URL.Path {
		case "/good":
			io.WriteString(w, unhashed)
		case "/bad":
			io.WriteString(w, strings.ToUpper(unhashed))
		case "/long":
			io.WriteString(w, unhashed+unhashed)
		case "/torn":
			w.Header().Set("Content-Length", fmt.Sprint(len(unhashed)))
			if torn.Add(1) < identifyTries {
				io.WriteString(w, unhashed[:10])
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
			io.WriteString(w, unhashed)
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, asked
}

func TestIdentify(t *testing.T) {
	base, asked := fileServer(t)
	local := filepath.Join(t.TempDir(), "a b.pkg")
	if err := os.WriteFile(local, []byte(unhashed), 0o600); err != nil {
		t.Fatal(err)
	}
	fileURL := (&url.URL{Scheme: "file", Path: local}).String()
	for _, tt := range []struct {
		name   string
		online bool
		urls   []string
		asked  int32
		fails  string // words of the error
	}{
		{"the first has it", true, []string{base + "/good", base + "/bad"}, 1, ""},
		{"the first lies", true, []string{base + "/bad", base + "/good"}, 2, ""},
		{"the first has more", true, []string{base + "/long", base + "/good"}, 2, ""},
		{"the first has none", true, []string{base + "/none", base + "/good"}, 2, ""},
		{"bodies break off", true, []string{base + "/torn"}, identifyTries, ""},
		{"all lie", true, []string{base + "/bad", base + "/none"}, 2, "/bad: it is not what the index means"},
		{"none has it", true, []string{base + "/none"}, 1, fs.ErrNotExist.Error()},
		{"a file of this machine", true, []string{fileURL, base + "/good"}, 0, ""},
		{"offline", false, []string{base + "/good", fileURL}, 0, ""},
		{"offline and not here", false, []string{base + "/good"}, 0, "--offline"},
	} {
		asked.Store(0)
		dir := t.TempDir()
		identify(t, dir, tt.online, func(i distro.Identifier) {
			d, err := i.Identify(t.Context(), wants(tt.urls...))
			switch {
			case tt.fails == "" && (err != nil || d != lockfile.DigestOf([]byte(unhashed))):
				t.Errorf("%s: %v, %v", tt.name, d, err)
			case tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)):
				t.Errorf("%s: %v, want %q", tt.name, err, tt.fails)
			}
		})
		if n := asked.Load(); n != tt.asked {
			t.Errorf("%s: %d requests, want %d", tt.name, n, tt.asked)
		}
	}
}

// What one run found out the next one knows, but does not believe without
// another look.
func TestIdentifyRemembers(t *testing.T) {
	base, asked := fileServer(t)
	dir := t.TempDir()
	get := func() (d lockfile.Digest, err error) {
		identify(t, dir, true, func(i distro.Identifier) { d, err = i.Identify(context.Background(), wants(base+"/good")) })
		return d, err
	}
	first, err := get()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := get(); err != nil || again != first || asked.Load() != 1 {
		t.Errorf("the second time: %v, %v, %d requests", again, err, asked.Load())
	}
	// Somebody writes another file under the same name into the cache.
	c, err := cache.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.Add(t.Context(), strings.NewReader(strings.ToUpper(unhashed)), -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Remember(t.Context(), []lockfile.Entry{{Digest: other, Path: wants().Identity}}), os.Remove(filepath.Join(dir, "blobs/sha256", first.String())), c.Close()); err != nil {
		t.Fatal(err)
	}
	if again, err := get(); err != nil || again != first || asked.Load() != 2 {
		t.Errorf("with a false name: %v, %v, %d requests", again, err, asked.Load())
	}
}

func TestIdentifyTells(t *testing.T) {
	base, _ := fileServer(t)
	said := identify(t, t.TempDir(), true, func(i distro.Identifier) {
		if _, err := i.Identify(t.Context(), wants(base+"/good")); err != nil {
			t.Error(err)
		}
	})
	if want := fmt.Sprintf("1 package fetched to hash, %d B", len(unhashed)); !strings.Contains(said, want) {
		t.Errorf("%q is not said:\n%s", want, said)
	}
}

func TestIdentifyIsGentleWithKeepers(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		time.Sleep(20 * time.Millisecond)
		http.NotFound(w, r)
	}))
	defer server.Close()
	ask := func(keepers ...string) int32 {
		most.Store(0)
		identify(t, t.TempDir(), true, func(i distro.Identifier) {
			var all sync.WaitGroup
			for n := range 4 {
				all.Go(func() {
					if _, err := i.Identify(t.Context(), wants(fmt.Sprintf("%s/%d", server.URL, n))); err == nil {
						t.Error("what is nowhere was found")
					}
				})
			}
			all.Wait()
		}, keepers...)
		return most.Load()
	}
	if n := ask(server.URL + "/archive/{{.Path}}"); n != 1 {
		t.Errorf("a keeper was asked for %d files at once", n)
	}
	if n := ask(); n < 2 {
		t.Errorf("a mirror was asked for %d files at once, want several", n)
	}
}
