package web_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
)

func TestGet(t *testing.T) {
	for name, c := range map[string]struct {
		moods   []fetchtest.Mood
		want    error // wrapped; nil for the data
		text    string
		attempt int
	}{
		"good":       {nil, nil, "", 1},
		"recovers":   {[]fetchtest.Mood{fetchtest.Status(500), fetchtest.Reset, fetchtest.Busy(429, 0)}, nil, "", 4},
		"not there":  {[]fetchtest.Mood{fetchtest.Status(404)}, fs.ErrNotExist, "404", 1},
		"gone":       {[]fetchtest.Mood{fetchtest.Status(410)}, fs.ErrNotExist, "410", 1},
		"stays down": {[]fetchtest.Mood{fetchtest.Status(502), fetchtest.Status(502), fetchtest.Status(502), fetchtest.Status(502), fetchtest.Status(502)}, errAny, "502", 5},
	} {
		t.Run(name, func(t *testing.T) {
			server := fetchtest.NewServer(map[string][]byte{"a": []byte("data")})
			defer server.Close()
			server.Next("a", c.moods...)
			body, err := web.NewClient(web.Config{Backoff: time.Millisecond}).Get(context.Background(), server.URL+"/a")
			if n := server.Count("a"); n != c.attempt {
				t.Errorf("%d requests, want %d", n, c.attempt)
			}
			if c.want != nil {
				if err == nil || (c.want != errAny && !errors.Is(err, c.want)) || !strings.Contains(err.Error(), server.URL) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %v, want one that names the URL and %q", err, c.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer body.Close()
			if got, err := io.ReadAll(body); string(got) != "data" || err != nil {
				t.Errorf("got %q, error %v", got, err)
			}
		})
	}
}

var errAny = errors.New("any")

// A redirect loop is not asked again and again.
func TestGetLoop(t *testing.T) {
	server := fetchtest.NewServer(nil)
	defer server.Close()
	server.Mood(fetchtest.Loop)
	_, err := web.NewClient(web.Config{Backoff: time.Millisecond}).Get(context.Background(), server.URL+"/a")
	if err == nil || !strings.Contains(err.Error(), "redirected") || server.Count("a") > 11 {
		t.Errorf("error %v after %d requests", err, server.Count("a"))
	}
}

func TestGetStall(t *testing.T) {
	server := fetchtest.NewServer(map[string][]byte{"a": fetchtest.Data(1, 1000)})
	defer server.Close()
	server.Mood(fetchtest.Stall(0.5))
	body, err := web.NewClient(web.Config{Stall: 100 * time.Millisecond}).Get(context.Background(), server.URL+"/a")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); n != 500 || err == nil || !strings.Contains(err.Error(), "no byte arrived") {
		t.Errorf("%d bytes, error %v", n, err)
	}
}

// The server is told who asks, and for bytes as they are stored. What it packs
// is not unpacked.
func TestBytesAsTheyAre(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if a := r.Header.Get("Accept-Encoding"); a != "identity" {
			t.Errorf("Accept-Encoding %q", a)
		}
		if a := r.Header.Get("User-Agent"); a != "samebits/1.2" {
			t.Errorf("User-Agent %q", a)
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "\x1f\x8bnot really")
	})
	body, err := web.NewClient(web.Config{UserAgent: "samebits/1.2"}).Get(context.Background(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, _ := io.ReadAll(body); string(got) != "\x1f\x8bnot really" {
		t.Errorf("got %q", got)
	}
}

// Names below localhost are this machine, whatever the resolver says, and the
// server is told the name.
func TestBelowLocalhost(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	for _, host := range []string{"localhost", "cid.ipfs.localhost", "s3.localhost."} {
		body, err := web.NewClient(web.Config{Retries: -1}).Get(context.Background(), "http://"+host+port)
		if err != nil {
			t.Error(err)
			continue
		}
		defer body.Close()
		if got, _ := io.ReadAll(body); string(got) != host+port {
			t.Errorf("asked for %q", got)
		}
	}
	if _, err := web.NewClient(web.Config{Retries: -1}).Get(context.Background(), "http://notlocalhost"+port); err == nil {
		t.Error("a name that only ends like it is this machine as well")
	}
}

func TestProxy(t *testing.T) {
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "proxied "+r.RequestURI)
	})
	via := func(*http.Request) (*url.URL, error) { return url.Parse(proxy.URL) }
	body, err := web.NewClient(web.Config{Proxy: via}).Get(context.Background(), "http://mirror.example/g++/a%20b")
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, _ := io.ReadAll(body); string(got) != "proxied http://mirror.example/g++/a%20b" {
		t.Errorf("got %q", got)
	}
}

// Other protocols get the proxy and the name, keep a login of their own, and
// get none of the client's.
func TestTransport(t *testing.T) {
	var agent, login string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		agent, login = r.UserAgent(), r.Header.Get("Authorization")
	})
	asked := false
	transport := web.NewClient(web.Config{
		UserAgent: "samebits/1.2",
		Proxy:     func(*http.Request) (*url.URL, error) { asked = true; return nil, nil },
		Login:     func(*url.URL) (web.Login, bool) { return web.Login{User: "u"}, true },
	}).Transport()
	for _, want := range []string{"", "Bearer token"} {
		req, err := http.NewRequest(http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want != "" {
			req.Header.Set("Authorization", want)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if agent != "samebits/1.2" || login != want || !asked {
			t.Errorf("agent %q, login %q (want %q), proxy asked for %v", agent, login, want, asked)
		}
	}
}
