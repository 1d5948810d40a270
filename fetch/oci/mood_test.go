package oci_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
)

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintln(w, `{"errors": [{"code": "SOME_CODE", "message": "why\u001b it is so"}]}`)
	}
}

// What a registry answers means the same for reading, writing and pulling.
func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		answer    http.HandlerFunc
		permanent bool
		missing   bool
		busy      time.Duration
		want      string
	}{
		"403":          {answer: status(403), permanent: true, want: "docker login"},
		"400":          {answer: status(400), permanent: true},
		"500":          {answer: status(500)},
		"503":          {answer: status(503)},
		"429":          {answer: status(429, "Retry-After", "7"), busy: 7 * time.Second},
		"503 and wait": {answer: status(503, "Retry-After", "9"), busy: 9 * time.Second},
		"reset":        {answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		"loop": {answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, permanent: true, want: "redirected"},
		"404": {answer: status(404), permanent: true, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.answer)
			defer server.Close()
			client, ref := newClient(t, ""), "oci://"+server.Listener.Addr().String()+"/a:v1"
			_, errPut := newSink(t, client, ref).Put(context.Background(), set("amd64", map[string][]byte{"a": []byte("a")}).Files[0])
			_, errPull := client.Pull(context.Background(), ref)
			for what, err := range map[string]error{
				"open": open(newSource(t, client, ref), []byte("a")),
				"put":  errPut,
				"pull": errPull,
			} {
				if err == nil || fetch.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: error %v, permanent %t, want %t and %q", what, err, fetch.IsPermanent(err), c.permanent, c.want)
				}
				if errors.Is(err, fs.ErrNotExist) != c.missing {
					t.Errorf("%s: error %v, missing %t", what, err, c.missing)
				}
				var busy *fetch.BusyError
				if errors.As(err, &busy) != (c.busy > 0) || busy != nil && busy.After != c.busy {
					t.Errorf("%s: error %#v, want a wait of %s", what, err, c.busy)
				}
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
					t.Errorf("%s: the error has control characters: %q", what, err)
				}
			}
			if c.want == "" && name != "reset" && !strings.Contains(errPull.Error(), "SOME_CODE: why") {
				t.Errorf("the error %v does not give the registry's reason", errPull)
			}
		})
	}
}

// A registry that breaks off, is busy and redirects still gives every byte,
// and none twice.
func TestMoodyRegistry(t *testing.T) {
	behind := realRegistry(t, "")
	files := fetchtest.Packages(100, "amd64")
	s := set("amd64", files)
	push(t, newSink(t, newClient(t, ""), "oci://"+behind+"/a:v1"), s)

	stored := map[string][]byte{}
	for _, data := range files {
		stored["sha256:"+lockfile.DigestOf(data).String()] = data
	}
	elsewhere := fetchtest.NewServer(stored)
	defer elsewhere.Close()
	var n atomic.Int64
	f := newFront(t, behind, func(w http.ResponseWriter, r *http.Request) bool {
		digest := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		switch data := stored[digest]; n.Add(1) % 10 {
		case 3:
			fetchtest.Truncate(0.6)(w, r, data)
		case 5:
			fetchtest.Busy(http.StatusTooManyRequests, 0)(w, r, data)
		case 7, 8:
			http.Redirect(w, r, elsewhere.URL+"/"+digest, http.StatusTemporaryRedirect)
		case 9:
			fetchtest.Reset(w, r, data)
		default:
			return false
		}
		return true
	})
	var store fetchtest.Store
	planner := fetch.Planner{
		Store:   &store,
		Sources: []fetch.Source{newSource(t, newClient(t, ""), "oci://"+f.host+"/a")},
		Backoff: 5 * time.Millisecond,
	}
	r := planner.Fetch(context.Background(), fetchtest.Requests(files, "Debian"))
	if !r.Complete() {
		t.Fatalf("%v: %v", r.Err, r.Failed)
	}
	var total int64
	for _, data := range files {
		total += int64(len(data))
		if !bytes.Equal(store.Get(lockfile.DigestOf(data)), data) {
			t.Error("a file is not in the store")
		}
	}
	if r.Bytes != total {
		t.Errorf("%d bytes arrived for %d", r.Bytes, total)
	}
}

// A push goes through a registry that fails now and then.
func TestMoodyPush(t *testing.T) {
	var n atomic.Int64
	f := newFront(t, inProcess(t), func(w http.ResponseWriter, r *http.Request) bool {
		switch n.Add(1) % 10 {
		case 3:
			panic(http.ErrAbortHandler)
		case 5:
			status(http.StatusBadGateway)(w, r)
		case 7:
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	})
	c, ref := newClient(t, ""), "oci://"+f.host+"/a:v1"
	s := set("amd64", fetchtest.Packages(60, "amd64"))
	how := fetch.Pushing{Backoff: time.Millisecond, Attempts: 20}
	r, err := fetch.Push(context.Background(), newSink(t, c, ref), []fetch.Set{s}, how)
	if err != nil || r.Sent+r.Present != 60 {
		t.Fatalf("%v: %+v", err, r)
	}
	f.mu.Lock()
	f.answer = nil
	f.mu.Unlock()
	sameLocks(t, []fetch.Set{s})(c.Pull(context.Background(), ref))
}

// The kinds of manifests that are understood stand in one header field: there
// are proxies that pass on only the last of several.
func TestAcceptIsOneField(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header["Accept"]; len(a) != 1 || !strings.Contains(a[0], ".manifest.v1+json, ") || !strings.Contains(a[0], ".index.v1+json") {
			t.Errorf("%s with Accept %q", r.Method, a)
		}
		http.NotFound(w, r)
	}))
	defer server.Close()
	_, err := newClient(t, "").Pull(context.Background(), "oci://"+server.Listener.Addr().String()+"/team/packages")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// A registry that lies about an artifact is found out.
func TestPullHostile(t *testing.T) {
	digest := func(s string) string { return "sha256:" + lockfile.DigestOf([]byte(s)).String() }
	lock := "# samebits lock v1\n" + strings.Repeat("a", 64) + "  a\n"
	one := func(layerType, layerDigest string, size any) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":%q,"layers":[{"mediaType":%q,"digest":%q,"size":%d}]}`,
			oci.ArtifactType, layerType, layerDigest, size)
	}
	good := one(oci.LockMediaType, digest(lock), len(lock))
	index := func(m string, size int) string {
		return fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":%q,"size":%d}]}`, m, size)
	}
	for name, c := range map[string]struct {
		tagged string
		blobs  map[string]string // by digest
		want   string            // of the error; empty for none
	}{
		"good":                {tagged: good},
		"good index":          {tagged: index(digest(good), len(good))},
		"not JSON":            {tagged: "<html>", want: "cannot be read"},
		"huge manifest":       {tagged: strings.Repeat(" ", 5<<20) + good, want: "more than"},
		"an image":            {tagged: strings.Replace(good, "lock.v1", "image", 1), want: "not the artifact of a lock"},
		"no layers":           {tagged: strings.Replace(good, `"layers":`, `"none":`, 1), want: "first layer"},
		"other layer":         {tagged: one("text/plain", digest(lock), len(lock)), want: "first layer"},
		"bad digest":          {tagged: one(oci.LockMediaType, "sha256", 3), want: "not a digest"},
		"path for a digest":   {tagged: one(oci.LockMediaType, "sha256:../../../x", 3), want: "not a digest"},
		"other hash":          {tagged: one(oci.LockMediaType, "sha512:"+strings.Repeat("a", 128), 3), want: "not a digest"},
		"negative size":       {tagged: one(oci.LockMediaType, digest(lock), -1), want: "at most"},
		"huge lock":           {tagged: one(oci.LockMediaType, digest(lock), int64(1<<40)), want: "at most"},
		"longer than said":    {tagged: one(oci.LockMediaType, digest(lock), 10), want: "more than 10"},
		"other lock":          {tagged: good, blobs: map[string]string{digest(lock): strings.Replace(lock, "  a", "  b", 1)}, want: "SHA-256"},
		"lock is not there":   {tagged: one(oci.LockMediaType, digest("x"), 1), want: "404"},
		"lock of nothing":     {tagged: one(oci.LockMediaType, digest("zz"), 2), blobs: map[string]string{digest("zz"): "zz"}, want: "SHA256SUMS:1"},
		"empty index":         {tagged: strings.Replace(index("x", 1), `"manifests"`, `"none"`, 1), want: "index of 0"},
		"index lies":          {tagged: index(digest(good), len(good)), blobs: map[string]string{digest(good): strings.Replace(good, "schemaVersion\":2", "schemaVersion\":3", 1)}, want: "SHA-256"},
		"index in an index":   {tagged: index(digest(index("x", 1)), 1000), blobs: map[string]string{digest(index("x", 1)): index("x", 1)}, want: "not the artifact of a lock"},
		"index without sizes": {tagged: index(digest(good), 1<<30), want: "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			blobs := map[string]string{digest(lock): lock, digest(good): good, "v1": c.tagged}
			for k, v := range c.blobs {
				blobs[k] = v
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				data, ok := blobs[r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]
				if !ok {
					http.NotFound(w, r)
				}
				_, _ = io.WriteString(w, data)
			}))
			defer server.Close()
			pulled, err := newClient(t, "").Pull(context.Background(), "oci://"+server.Listener.Addr().String()+"/a:v1")
			switch {
			case c.want == "" && (err != nil || len(pulled) != 1 || string(pulled[0].Data) != lock):
				t.Errorf("%v, error %v", pulled, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, good) }))
	defer server.Close()
	_, err := newClient(t, "").Pull(context.Background(), "oci://"+server.Listener.Addr().String()+"/a@"+digest("another"))
	if !errors.As(err, new(*lockfile.DigestError)) {
		t.Errorf("another manifest than the digest names: %v", err)
	}
}

// A registry that does not say where to send files, or sends the client away,
// is an error and no crash.
func TestUploadHostile(t *testing.T) {
	for name, location := range map[string]string{
		"none": "", "no host": "http:///x", "not a URL": ":", "other scheme": "file:///etc/passwd",
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, inProcess(t), func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost {
					return false
				}
				if location != "" {
					w.Header().Set("Location", location)
				}
				w.WriteHeader(http.StatusAccepted)
				return true
			})
			sink := newSink(t, newClient(t, ""), "oci://"+f.host+"/a")
			if sent, err := sink.Put(context.Background(), set("amd64", map[string][]byte{"a": []byte("a")}).Files[0]); err == nil {
				t.Errorf("sent %t and no error", sent)
			}
		})
	}
}
