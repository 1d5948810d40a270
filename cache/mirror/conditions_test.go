package mirror

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// Conditions have the same answers before a file is there as after.
func TestConditionsBeforeAFileIsThere(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	d := lockfile.DigestOf(repo.debs[largeDeb])
	tag, stamp := `"`+d.String()+`"`, stampOf(d)
	at := func(by time.Duration) string { return stamp.Add(by).Format(http.TimeFormat) }
	for _, c := range []struct {
		field, value string
		code, asked  int // of upstream, for a file that is not there
	}{
		{"If-None-Match", tag, 304, 0},
		{"If-None-Match", `"x", W/` + tag, 304, 0},
		{"If-None-Match", `"x"`, 200, 1},
		{"If-None-Match", d.String(), 200, 1}, // no tag
		{"If-Modified-Since", at(0), 304, 0},
		{"If-Modified-Since", at(time.Hour), 200, 1},
		{"If-Modified-Since", "yesterday", 200, 1},
		{"If-Match", tag, 200, 1},
		{"If-Match", `"x"`, 412, 1},
		{"If-Unmodified-Since", at(-time.Hour), 412, 1},
		{"If-Unmodified-Since", at(0), 200, 1},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r.without(d)
			before := o.count(largeDeb)
			for _, there := range []bool{false, true} {
				if there && c.asked == 0 {
					r.want(largePath, 200, repo.debs[largeDeb])
				}
				resp, body, err := r.do(method, r.url+largePath, c.field, c.value)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != c.code || method == http.MethodGet && c.code == 200 && !bytes.Equal(body, repo.debs[largeDeb]) {
					t.Errorf("%s, %s: %s, there: %t: %s with %d bytes", method, c.field, c.value, there, resp.Status, len(body))
				}
				if c.code == 304 && (resp.Header.Get("ETag") != tag || len(body) > 0) {
					t.Errorf("%s, %s: %s, there: %t: %v", method, c.field, c.value, there, resp.Header)
				}
				if n := o.count(largeDeb) - before; !there && n > c.asked {
					t.Errorf("%s, %s: %s: upstream was asked %d times", method, c.field, c.value, n)
				}
			}
		}
	}
}

// without has the mirror forget a blob, as eviction would.
func (r *rig) without(d lockfile.Digest) {
	r.t.Helper()
	soonest := time.Now().Add(time.Minute)
	for r.flying(d) && time.Now().Before(soonest) {
		time.Sleep(time.Millisecond)
	}
	r.hot.clear()
	if err := removeIfThere(r.store.blobPath(d)); err != nil {
		r.t.Fatal(err)
	}
}

// A mirror that lacks an index takes it in, though its client has it: else it
// could not tell what the client asks for next.
func TestAnIndexThatAClientHasIsTakenIn(t *testing.T) {
	repo, o, r := simple(t, nil)
	r.want(inReleasePath, 200, nil)
	plain := "dists/one/main/binary-amd64/Packages"
	d := lockfile.DigestOf(o.files[plain])
	r.without(d)
	resp, _ := r.mustGet("/debian/"+plain, "If-None-Match", `"`+d.String()+`"`)
	if resp.StatusCode != http.StatusNotModified || !r.store.has(d) {
		t.Errorf("%s, and it is there: %t", resp.Status, r.store.has(d))
	}
	r.want(smallPath, 200, repo.debs[smallDeb])
}

// A range of a file that arrives is answered when its bytes are there, before
// the rest is, and only from those.
func TestRangesAcrossAFileThatGrows(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	data, half, rest := repo.debs[largeDeb], 500_000, make(gate)
	o.setMood(func(w http.ResponseWriter, _ *http.Request, path string, b []byte) bool {
		if path != largeDeb {
			return false
		}
		w.Header().Set("Content-Length", itoa(len(b)))
		_, _ = w.Write(b[:half])
		_ = http.NewResponseController(w).Flush()
		<-rest
		_, _ = w.Write(b[half:])
		return true
	})
	open := func(spec string, from, to int) io.ReadCloser {
		t.Helper()
		req, _ := http.NewRequest(http.MethodGet, r.url+largePath, nil)
		req.Header.Set("Range", spec)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return http.NoBody
		}
		want := "bytes " + itoa(from) + "-" + itoa(to-1) + "/" + itoa(len(data))
		if resp.StatusCode != 206 || resp.Header.Get("Content-Range") != want || resp.ContentLength != int64(to-from) {
			t.Errorf("%s: %s of %d, %q", spec, resp.Status, resp.ContentLength, resp.Header.Get("Content-Range"))
		}
		return resp.Body
	}
	first := open("bytes=100000-", 100_000, len(data))
	defer first.Close()
	// What has come of it is there already.
	head := make([]byte, 200_000)
	if _, err := io.ReadFull(first, head); err != nil || !bytes.Equal(head, data[100_000:300_000]) {
		t.Errorf("the beginning: %v", err)
	}
	var others sync.WaitGroup
	for _, c := range []struct {
		spec     string
		from, to int
	}{
		{"bytes=400000-599999", 400_000, 600_000}, {"bytes=700000-", 700_000, len(data)},
		{"bytes=-1000", len(data) - 1000, len(data)}, {"bytes=0-9", 0, 10},
	} {
		others.Go(func() {
			body := open(c.spec, c.from, c.to)
			defer body.Close()
			if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data[c.from:c.to]) {
				t.Errorf("%s: %d bytes, %v", c.spec, len(got), err)
			}
		})
	}
	close(rest)
	got, err := io.ReadAll(first)
	if err != nil || !bytes.Equal(got, data[300_000:]) {
		t.Errorf("the rest: %d bytes, %v", len(got), err)
	}
	others.Wait()
	if n := o.count(largeDeb); n != 1 {
		t.Errorf("%d requests upstream", n)
	}
}
