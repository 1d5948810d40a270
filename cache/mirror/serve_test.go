package mirror

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

func TestServesAnArchiveOnce(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	for range 3 {
		r.want(largePath, 200, repo.debs[largeDeb])
		r.want(smallPath, 200, repo.debs[smallDeb])
		r.want(inReleasePath, 200, o.files["dists/one/InRelease"])
		r.want(packagesPath, 200, o.files["dists/one/main/binary-amd64/Packages.xz"])
	}
	for _, path := range []string{"dists/one/InRelease", largeDeb, smallDeb} {
		if n := o.count(path); n != 1 {
			t.Errorf("%s was asked of upstream %d times", path, n)
		}
	}
	if n := r.Metrics().UpstreamGets; n != 4 {
		t.Errorf("%d requests upstream for 4 files", n)
	}
}

func TestByHashOfEveryAlgorithm(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	text := string(o.files["dists/one/Release"])
	for _, algorithm := range []string{"MD5Sum", "SHA1", "SHA256", "SHA512"} {
		_, rest, ok := strings.Cut(text, "\n"+algorithm+":\n")
		if !ok {
			t.Errorf("the Release has no %s", algorithm)
			continue
		}
		for line := range strings.Lines(rest) {
			if w := strings.Fields(line); len(w) == 3 && w[2] == "main/binary-amd64/Packages.xz" {
				r.want("/debian/dists/one/main/binary-amd64/by-hash/"+algorithm+"/"+w[0], 200, o.files["dists/one/main/binary-amd64/Packages.xz"])
				break
			} else if line[0] != ' ' {
				t.Errorf("no line of %s", algorithm)
				break
			}
		}
	}
}

func TestConditionalRequestsAndRanges(t *testing.T) {
	repo, _, r := simple(t, nil)
	updated(r)
	data := repo.debs[largeDeb]
	tag := `"` + lockfile.DigestOf(data).String() + `"`
	modified := stampOf(lockfile.DigestOf(data)).Format(http.TimeFormat)
	resp := r.want(largePath, 200, data) // while it arrives
	if resp.Header.Get("ETag") != tag || resp.Header.Get("Last-Modified") != modified {
		t.Errorf("while it arrives: %v", resp.Header)
	}
	later := stampOf(lockfile.DigestOf(data)).Add(time.Hour).Format(http.TimeFormat)
	for _, c := range []struct {
		name, header, value, header2, value2 string
		code                                 int
		body                                 []byte
	}{
		{"whole", "", "", "", "", 200, data},
		{"same tag", "If-None-Match", tag, "", "", 304, nil},
		{"weak tag", "If-None-Match", "W/" + tag, "", "", 304, nil},
		{"other tag", "If-None-Match", `"x"`, "", "", 200, data},
		{"tag before time", "If-None-Match", `"x"`, "If-Modified-Since", modified, 200, data},
		{"same time", "If-Modified-Since", modified, "", "", 304, nil},
		{"a later time is another file's", "If-Modified-Since", later, "", "", 200, data},
		{"range", "Range", "bytes=10-19", "", "", 206, data[10:20]},
		{"rest", "Range", "bytes=1000-", "", "", 206, data[1000:]},
		{"end", "Range", "bytes=-5", "", "", 206, data[len(data)-5:]},
		{"rest of the same", "Range", "bytes=1000-", "If-Range", modified, 206, data[1000:]},
		{"rest of another", "Range", "bytes=1000-", "If-Range", later, 200, data},
		{"rest by tag", "Range", "bytes=1000-", "If-Range", tag, 206, data[1000:]},
		{"rest by another tag", "Range", "bytes=1000-", "If-Range", `"x"`, 200, data},
		{"beyond", "Range", "bytes=99999999-", "", "", 416, nil},
	} {
		header := []string{"X-Nothing", "1"}
		if c.header != "" {
			header = append(header, c.header, c.value)
		}
		if c.header2 != "" {
			header = append(header, c.header2, c.value2)
		}
		resp, body := r.mustGet(largePath, header...)
		if resp.StatusCode != c.code || c.body != nil && !bytes.Equal(body, c.body) {
			t.Errorf("%s: %s with %d bytes, want %d with %d", c.name, resp.Status, len(body), c.code, len(c.body))
		}
	}
	resp, body, err := r.do(http.MethodHead, r.url+largePath)
	if err != nil || resp.ContentLength != int64(len(data)) || len(body) != 0 || resp.Header.Get("ETag") != tag {
		t.Errorf("HEAD: %v %v", resp, err)
	}
}

func TestHeadOfAFileThatIsNotThere(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	resp, _, err := r.do(http.MethodHead, r.url+largePath)
	if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(repo.debs[largeDeb])) {
		t.Errorf("HEAD: %v %v", resp, err)
	}
	if n := o.count(largeDeb); n != 0 {
		t.Errorf("HEAD cost %d requests upstream", n)
	}
}

// gate lets a mood hold answers back.
type gate chan struct{}

func TestManyClientsOneRequest(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	data := repo.debs[largeDeb]
	open := make(gate)
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		if path != largeDeb {
			return false
		}
		w.Header().Set("Content-Length", itoa(len(b)))
		_, _ = w.Write(b[:300_000])
		_ = http.NewResponseController(w).Flush()
		<-open
		_, _ = w.Write(b[300_000:])
		return true
	})
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for i := range 8 {
		wg.Go(func() {
			resp, err := http.Get(r.url + largePath)
			if err != nil {
				t.Error(err)
				started <- struct{}{}
				return
			}
			defer resp.Body.Close()
			// Bytes come while upstream has not sent the rest.
			head := make([]byte, 200_000)
			if _, err := io.ReadFull(resp.Body, head); err != nil || !bytes.Equal(head, data[:200_000]) {
				t.Errorf("client %d: the beginning: %v", i, err)
			}
			started <- struct{}{}
			if i%4 == 0 {
				return // leaves
			}
			rest, err := io.ReadAll(resp.Body)
			if err != nil || !bytes.Equal(append(head, rest...), data) {
				t.Errorf("client %d: %d bytes, %v", i, len(rest), err)
			}
		})
	}
	for range 8 {
		<-started
	}
	close(open)
	wg.Wait()
	if n := o.count(largeDeb); n != 1 {
		t.Errorf("%d requests upstream", n)
	}
	r.want(largePath, 200, data)
}

func TestRangeOfAFileThatArrives(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	data := repo.debs[largeDeb]
	for _, c := range []struct{ spec, cond string }{{"bytes=500000-", ""}, {"bytes=5-9", ""}, {"bytes=-70000", ""}} {
		resp, body := r.mustGet(largePath, "Range", c.spec)
		if resp.StatusCode != 206 || !bytes.Contains(data, body) || len(body) == 0 {
			t.Errorf("%s: %s with %d bytes", c.spec, resp.Status, len(body))
		}
	}
	_ = o
}

func TestABodyThatBreaksOffIsGoneOnWith(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	var ranges []string
	var mu sync.Mutex
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		if path != largeDeb {
			return false
		}
		mu.Lock()
		ranges = append(ranges, req.Header.Get("Range")+" "+req.Header.Get("If-Range"))
		n := len(ranges)
		mu.Unlock()
		if n > 2 {
			return false
		}
		w.Header().Set("ETag", `"`+lockfile.DigestOf(b).String()[:20]+`"`)
		from := (n - 1) * 400_000
		w.Header().Set("Content-Length", itoa(len(b)-from))
		if from > 0 {
			w.Header().Set("Content-Range", "bytes "+itoa(from)+"-"+itoa(len(b)-1)+"/"+itoa(len(b)))
			w.WriteHeader(206)
		}
		_, _ = w.Write(b[from : from+400_000])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	r.want(largePath, 200, repo.debs[largeDeb])
	if len(ranges) != 3 || !strings.HasPrefix(ranges[1], "bytes=") || !strings.Contains(ranges[1], `"`) {
		t.Errorf("upstream was asked %q", ranges)
	}
}

func TestBadFilesAreNeitherServedNorKept(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"a bit":     func(b []byte) []byte { b = bytes.Clone(b); b[len(b)-1] ^= 1; return b },
		"the first": func(b []byte) []byte { b = bytes.Clone(b); b[0] ^= 1; return b },
		"short":     func(b []byte) []byte { return b[:len(b)-10] },
		"long":      func(b []byte) []byte { return append(bytes.Clone(b), "more"...) },
		"empty":     func(b []byte) []byte { return nil },
		"a page":    func(b []byte) []byte { return []byte("<html>log in") },
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				repo, o, r := simple(t, nil)
				updated(r)
				o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
					if path != largeDeb {
						return false
					}
					if !chunked {
						w.Header().Set("Content-Length", itoa(len(spoil(b))))
					} else {
						_ = http.NewResponseController(w).Flush()
					}
					_, _ = w.Write(spoil(b))
					return true
				})
				resp, body, err := r.get(largePath)
				if err == nil && resp.StatusCode == 200 {
					t.Fatalf("a bad file was served as good: %d bytes", len(body))
				}
				if r.store.has(lockfile.DigestOf(spoil(repo.debs[largeDeb]))) {
					t.Error("a bad file was kept")
				}
				o.setMood(nil)
				defer func() {
					if t.Failed() {
						t.Log(r.log.String())
					}
				}()
				r.want(largePath, 200, repo.debs[largeDeb])
			})
		}
	}
}

func TestUpstreamInTroubleIsNoSuccess(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		w.Header().Set("Content-Length", itoa(len(b)))
		_, _ = w.Write(b[:200_000])
		panic(http.ErrAbortHandler)
	})
	resp, body, err := r.get(largePath)
	if err == nil && resp.StatusCode == 200 {
		t.Errorf("%s with %d bytes and no error", resp.Status, len(body))
	}
	o.setMood(func(w http.ResponseWriter, req *http.Request, path string, b []byte) bool {
		http.Error(w, "no", http.StatusInternalServerError)
		return true
	})
	r.want(smallPath, 502, nil)
}

func TestBlobsByDigest(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	r.waitIndexed()
	d := lockfile.DigestOf(repo.debs[largeDeb])
	resp := r.want("/blob/sha256/"+d.String(), 200, repo.debs[largeDeb])
	if resp.Header.Get("ETag") != `"`+d.String()+`"` {
		t.Error(resp.Header)
	}
	r.want("/blob/sha256/"+lockfile.DigestOf(nil).String(), 404, nil)
	r.want("/blob/sha256/"+strings.ToUpper(d.String()), 404, nil)
	r.want("/blob/sha256/../../version", 404, nil)
	if n := o.count(largeDeb); n != 1 {
		t.Errorf("%d requests upstream", n)
	}
}

// waitIndexed waits until the indexes that are at hand have been read.
func (r *rig) waitIndexed() {
	for _, up := range r.upstreams {
		for _, root := range up.known(nil) {
			l := root.peek()
			for _, f := range l.atHand() {
				k := r.makeIndex(up, l, f)
				if <-k.ended; k.err != nil {
					r.t.Fatal(k.err)
				}
			}
		}
	}
}

func TestWhatNoSetNamesPassesUnkept(t *testing.T) {
	_, o, r := simple(t, nil)
	updated(r)
	files := o.files
	files["README"] = []byte("hello")
	files["pool/main/stray_1_amd64.deb"] = []byte("who knows")
	o.set(files)
	for range 2 {
		resp := r.want("/debian/pool/main/stray_1_amd64.deb", 200, []byte("who knows"))
		if !strings.HasPrefix(resp.Header.Get("Warning"), "199 ") {
			t.Error(resp.Header)
		}
	}
	r.want("/debian/README", 200, []byte("hello"))
	r.want("/debian/pool/nothing", 404, nil)
	if n := o.count("pool/main/stray_1_amd64.deb"); n != 2 || r.store.has(lockfile.DigestOf([]byte("who knows"))) {
		t.Errorf("an unchecked file was kept (%d requests)", n)
	}
}
