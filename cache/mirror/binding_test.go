package mirror

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"
)

// Clients that ask for plain paths get them of the set that they began with,
// whatever others began with since: each on a connection of its own, and all of
// them through a proxy that tells for whom it asks.
func TestEachClientStaysWithItsSet(t *testing.T) {
	for _, behind := range []bool{false, true} {
		repo := newRepo(t)
		repo.byHash = false
		repo.build("first", "1", 10)
		o := newOrigin(t, repo.publish())
		r := newRig(t, debianAt(o, repo.keys()), always)
		shared := &http.Transport{MaxConnsPerHost: 1}
		defer shared.CloseIdleConnections()
		ask := func(client int, path string) []byte {
			t.Helper()
			req, err := http.NewRequest(http.MethodGet, r.url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			transport := shared
			if behind {
				// Of IPv6, of which all but the last part is the same.
				req.Header.Set("X-Forwarded-For", "2001:db8::"+string(rune('1'+client)))
			} else {
				transport = transports[client]
			}
			resp, err := transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			data, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%s: %s, %v", path, resp.Status, err)
			}
			return data
		}
		var sets []map[string][]byte
		for client := range transports {
			sets = append(sets, o.files)
			if !bytes.Equal(ask(client, inReleasePath), o.files["dists/one/InRelease"]) {
				t.Errorf("client %d does not begin with what upstream has", client)
			}
			repo.build("next", string(rune('1'+client)), 10)
			o.set(repo.publish())
		}
		for client, files := range sets {
			if !bytes.Equal(ask(client, packagesPath), files["dists/one/main/binary-amd64/Packages.xz"]) {
				t.Errorf("behind a proxy: %t; client %d sees a mix", behind, client)
			}
		}
	}
}

var transports = []*http.Transport{{}, {}, {}}

// What a client is called bounds nothing but the memory of one binding, and
// takes nobody else's.
func TestWhatAProxyTellsIsBounded(t *testing.T) {
	req, err := http.NewRequest(http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.RemoteAddr = "192.0.2.1:1234"
	if got := clientOf(req); got != "192.0.2.1:1234" {
		t.Error(got)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.1:1234")
	if got := clientOf(req); got == req.RemoteAddr || host(got) == host(req.RemoteAddr) {
		t.Errorf("a header takes the binding of %q", got)
	}
	req.Header.Set("X-Forwarded-For", string(bytes.Repeat([]byte("x"), 5000)))
	if got := clientOf(req); len(got) > 300 {
		t.Errorf("%d bytes", len(got))
	}
}

// A client that is gone for long, and more clients than are remembered, are
// forgotten; a root that is asked for again begins anew.
func TestBindingsAreForgotten(t *testing.T) {
	var b bindings
	r, l := &root{}, &loaded{}
	b.bind("192.0.2.1:1", r, l)
	if b.bound("192.0.2.1:1", r) != l || b.bound("192.0.2.1:2", r) != l || b.bound("192.0.2.2:1", r) != nil || b.bound("192.0.2.1:1", &root{}) != nil {
		t.Error("a client is not bound to what it was given, or another one is")
	}
	b.dropOld(time.Now().Add(-time.Minute))
	if b.bound("192.0.2.1:1", r) != l {
		t.Error("what is young was dropped")
	}
	for i := range maxBindings + 10 {
		b.bind(string(rune('a'+i%26))+time.Duration(i).String()+":1", r, l)
		if len(b.m) > maxBindings+1 {
			t.Fatalf("%d are remembered", len(b.m))
		}
	}
	b.dropOld(time.Now().Add(time.Minute))
	if len(b.m) != 0 {
		t.Errorf("%d are remembered for ever", len(b.m))
	}
}
