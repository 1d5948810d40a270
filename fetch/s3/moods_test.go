package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// fake returns a bucket of a server that answers as told.
func fake(t *testing.T, h http.HandlerFunc) *Bucket {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return open(t, Config{Bucket: "packages", Endpoint: strings.TrimPrefix(s.URL, "http://"), PlainHTTP: true, Login: testLogin})
}

// failure is an answer as stores give it; header is a list of names and values.
func failure(status int, code string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>It is so.</Message></Error>`, code)
		}
	}
}

func TestErrors(t *testing.T) {
	absent := func(err error) bool { return errors.Is(err, fs.ErrNotExist) }
	hopeless := func(text string) func(error) bool {
		return func(err error) bool {
			return fetch.IsPermanent(err) && !absent(err) && strings.Contains(err.Error(), text)
		}
	}
	passing := func(err error) bool {
		return err != nil && !fetch.IsPermanent(err) && !errors.As(err, new(*fetch.BusyError))
	}
	busy := func(after time.Duration) func(error) bool {
		return func(err error) bool {
			var b *fetch.BusyError
			return errors.As(err, &b) && b.After == after
		}
	}
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Error(w, "<html>oh</html>", status) }
	}
	for name, c := range map[string]struct {
		mood http.HandlerFunc
		want func(error) bool
	}{
		"no key":            {failure(404, "NoSuchKey"), absent},
		"no bucket":         {failure(404, "NoSuchBucket"), absent},
		"404 page":          {page(404), absent},
		"denied":            {failure(403, "AccessDenied"), hopeless("check the keys")},
		"expired":           {failure(403, "ExpiredToken"), hopeless("temporary keys")},
		"expired at Amazon": {failure(400, "ExpiredToken"), hopeless("temporary keys")},
		"token of others":   {failure(400, "InvalidToken"), hopeless("temporary keys")},
		"clock":             {failure(403, "RequestTimeTooSkewed"), hopeless("clock")},
		"403 page":          {page(403), hopeless("check the keys")},
		"slow down":         {failure(503, "SlowDown"), busy(0)},
		"slow down to read": {failure(503, "SlowDownRead", "Retry-After", "7"), busy(7 * time.Second)},
		"503 and wait":      {failure(503, "ServiceUnavailable", "Retry-After", "9"), busy(9 * time.Second)},
		"429":               {page(429), busy(0)},
		"503":               {failure(503, "ServiceUnavailable"), passing},
		"500":               {failure(500, "InternalError"), passing},
		"502 page":          {page(502), passing},
		"other region":      {failure(301, "PermanentRedirect"), hopeless("region")},
		"known region":      {failure(400, "AuthorizationHeaderMalformed", "x-amz-bucket-region", "eu-west-1"), hopeless("region=eu-west-1")},
		"bad request":       {failure(400, "InvalidArgument"), hopeless("InvalidArgument")},
		"redirect":          {http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound).ServeHTTP, hopeless("endpoint")},
		"reset":             {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, passing},
		"no date":           {func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "data") }, func(err error) bool { return err != nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := fake(t, c.mood)
			for _, offset := range []int64{0, 5} {
				_, _, err := read(b, fetch.Request{Offset: offset})
				if !c.want(err) {
					t.Errorf("from %d: error %v, permanent: %v", offset, err, fetch.IsPermanent(err))
				}
			}
			if sent, err := sinkOf(t, b).Put(context.Background(), file("a", []byte("data"))); err == nil {
				t.Errorf("Put: sent %v and no error", sent)
			}
		})
	}
}

// Who asks the wrong port with TLS, or without, is told.
func TestTLS(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	b := open(t, Config{Bucket: "packages", Endpoint: strings.TrimPrefix(server.URL, "http://")})
	if _, _, err := read(b, fetch.Request{}); !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "s3+http://") {
		t.Errorf("plain HTTP: error %v", err)
	}
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	b = open(t, Config{Bucket: "packages", Endpoint: strings.TrimPrefix(secure.URL, "https://")})
	if _, _, err := read(b, fetch.Request{}); !fetch.IsPermanent(err) || !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("an unknown authority: error %v", err)
	}
}

// Answers to a range that are not what was asked for are refused; one that is
// the whole file is taken as that.
func TestRanges(t *testing.T) {
	for name, c := range map[string]struct {
		span   string
		offset int64 // 0 where the whole object has to be asked for
	}{
		"right":        {"bytes 4-9/10", 4},
		"whole file":   {"", 0},
		"other start":  {"bytes 3-8/9", 0},
		"not the rest": {"bytes 4-9/20", 0},
		"other unit":   {"lines 4-9/10", 0},
		"no size":      {"bytes 4-9", 0},
		"overflow":     {"bytes 4-9/99999999999999999999", 0},
	} {
		b := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", time.Now().Format(http.TimeFormat))
			w.Header().Set("ETag", `"tag"`)
			if c.span == "" || r.Header.Get("Range") == "" {
				_, _ = io.WriteString(w, "0123456789")
				return
			}
			w.Header().Set("Content-Range", c.span)
			w.WriteHeader(http.StatusPartialContent)
			_, _ = io.WriteString(w, "456789")
		})
		data, body, err := read(b, fetch.Request{Offset: 4})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if string(data) != "0123456789"[c.offset:] || body.Offset != c.offset || body.Size != 10 || body.Validator != `"tag"` {
			t.Errorf("%s: %q, %+v", name, data, body)
		}
	}
}

// stored is what a store has: any server that gives files an ETag.
func stored(files map[string][]byte) (map[string][]byte, fetchtest.Mood) {
	byKey := map[string][]byte{}
	for _, data := range files {
		byKey["packages/blobs/sha256/"+lockfile.DigestOf(data).String()] = data
	}
	return byKey, func(w http.ResponseWriter, r *http.Request, data []byte) {
		w.Header().Set("ETag", `"`+lockfile.DigestOf(data).String()+`"`)
		fetchtest.Good(w, r, data)
	}
}

// Through moods of every kind the planner gets each file, from the one store
// that is honest.
func TestBadStores(t *testing.T) {
	files := fetchtest.Packages(30, "amd64")
	p := &fetch.Planner{Store: &fetchtest.Store{}, Backoff: time.Millisecond}
	byKey, good := stored(files)
	for _, mood := range []fetchtest.Mood{fetchtest.Lie, fetchtest.Page, fetchtest.NoRange, fetchtest.Truncate(0.5), fetchtest.Status(500), fetchtest.Busy(503, 300), good} {
		server := fetchtest.NewServer(byKey)
		t.Cleanup(server.Close)
		server.Mood(mood)
		p.Sources = append(p.Sources, open(t, Config{Bucket: "packages", Endpoint: strings.TrimPrefix(server.URL, "http://"), PlainHTTP: true}))
	}
	if r := p.Fetch(context.Background(), fetchtest.Requests(files, "")); !r.Complete() {
		t.Errorf("%v, %v", r.Err, r.Failed)
	}
}

// A body that breaks off is gone on from where it ended.
func TestResume(t *testing.T) {
	data := fetchtest.Data(1, 300_000)
	byKey, good := stored(map[string][]byte{"a": data})
	server := fetchtest.NewServer(byKey)
	defer server.Close()
	server.Mood(good)
	digest := lockfile.DigestOf(data)
	key := "packages/blobs/sha256/" + digest.String()
	server.Next(key, fetchtest.Truncate(0.5))
	b := open(t, Config{Bucket: "packages", Endpoint: strings.TrimPrefix(server.URL, "http://"), PlainHTTP: true, Login: testLogin})
	p := &fetch.Planner{Store: &fetchtest.Store{}, Sources: []fetch.Source{b}}
	r := p.Fetch(context.Background(), []fetch.Request{{Entry: lockfile.Entry{Path: "a", Digest: digest}}})
	if !r.Complete() || r.Bytes != int64(len(data)) {
		t.Errorf("%d bytes arrived, %v", r.Bytes, r.Failed)
	}
	if got := server.Ranges(key); len(got) != 2 || got[1] != "bytes=150000-" {
		t.Errorf("asked for %q", got)
	}
}

// Where the store tells no checksum, an object of another size is replaced.
func TestOtherSize(t *testing.T) {
	for size, want := range map[string]bool{"4": false, "3": true} {
		b := fake(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Last-Modified", time.Now().Format(http.TimeFormat))
			if r.Method == http.MethodHead {
				w.Header().Set("Content-Length", size)
			}
		})
		if sent, err := sinkOf(t, b).Put(context.Background(), file("a", []byte("data"))); sent != want || err != nil {
			t.Errorf("an object of %s bytes: sent %v, error %v", size, sent, err)
		}
	}
}

// Several locks under one name differ by their architectures.
func TestLockNames(t *testing.T) {
	amd64, arm64 := fetchtest.Set(fetchtest.Lock("amd64", nil), nil), fetchtest.Set(fetchtest.Lock("arm64", nil), nil)
	for _, c := range []struct {
		lock string
		sets []fetch.Set
		want string
	}{
		{"mine", []fetch.Set{amd64}, "mine"},
		{"mine", []fetch.Set{amd64, arm64}, "mine-amd64 mine-arm64"},
		{"", []fetch.Set{amd64}, lockfile.DigestOf(amd64.Lock.Format()).String()},
		{"mine", []fetch.Set{amd64, amd64}, ""},
		{"mine", []fetch.Set{amd64, {Lock: &lockfile.Lock{System: lockfile.System{Arch: "../x"}}}}, ""},
	} {
		b := open(t, Config{Bucket: "packages", Endpoint: "s3.example", Lock: c.lock})
		got, err := sinkOf(t, b).names(c.sets)
		if strings.Join(got, " ") != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%d locks as %q: %q, error %v", len(c.sets), c.lock, got, err)
		}
	}
	b := open(t, Config{Bucket: "packages", Endpoint: "s3.example", Lock: lockfile.DigestOf(nil).String()})
	if _, err := b.Sink(); err == nil {
		t.Error("a lock may be given the digest of another for a name")
	}
}
