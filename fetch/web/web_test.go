package web_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func newPlace(t *testing.T, config web.Config, place web.Place) fetch.Source {
	t.Helper()
	s, err := web.New(web.NewClient(config), place)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestConformance(t *testing.T) {
	for name, suffix := range map[string]string{"base": "/", "template": "/{{ .Path }}?x={{.SHA256}}"} {
		t.Run(name, func(t *testing.T) {
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				server := fetchtest.NewServer(files)
				t.Cleanup(server.Close)
				return newPlace(t, web.Config{}, web.Place{URL: server.URL + suffix})
			})
		})
	}
}

// asked returns the request line that a place leads to.
func asked(t *testing.T, place string, req fetch.Request) (string, error) {
	t.Helper()
	var got string
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.RequestURI })
	s := newPlace(t, web.Config{}, web.Place{URL: server.URL + place})
	body, err := s.Open(context.Background(), req)
	if err == nil {
		body.Close()
	}
	return got, err
}

func TestAddresses(t *testing.T) {
	digest := lockfile.DigestOf(nil)
	req := func(path string) fetch.Request {
		return fetch.Request{
			Entry: lockfile.Entry{Path: path, Digest: digest},
			CID:   "bafy123",
			Time:  time.Date(2026, 11, 15, 10, 12, 33, 0, time.FixedZone("", 3600)),
		}
	}
	for _, c := range []struct{ place, path, want string }{
		{"", "pool/a.deb", "/pool/a.deb"},
		{"/", "pool/a.deb", "/pool/a.deb"},
		{"/debian//", "pool/a.deb", "/debian/pool/a.deb"},
		{"/b%2Bc", "a", "/b%2Bc/a"},
		{"/debian", "pool/g++_1:2~rc1+b1.deb", "/debian/pool/g++_1:2~rc1+b1.deb"},
		{"/debian", "a b%2b?c#d;é", "/debian/a%20b%252b%3Fc%23d%3B%C3%A9"},
		{"/x/{{.Basename}}", "pool/a+b.deb", "/x/a+b.deb"},
		{"/x/{{.Name}}/y", "pool/a.deb", "/x/pool/a.deb/y"},
		{"/by/{{ .SHA256 }}", "a", "/by/" + digest.String()},
		{"/ipfs/{{.CID}}?filename={{.Basename}}", "p/a+b c.deb", "/ipfs/bafy123?filename=a%2Bb+c.deb"},
		{"/archive/debian/{{.Timestamp}}/{{.Path}}", "pool/a", "/archive/debian/20261115T091233Z/pool/a"},
	} {
		got, err := asked(t, c.place, req(c.path))
		if err != nil || got != c.want {
			t.Errorf("%q with %q asks for %q, error %v; want %q", c.place, c.path, got, err, c.want)
		}
	}
	for _, place := range []string{"/{{.CID}}", "/{{.Timestamp}}/x"} {
		got, err := asked(t, place, fetch.Request{Entry: lockfile.Entry{Path: "a"}})
		if got != "" || !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s without a value asks for %q, error %v; want fs.ErrNotExist and no request", place, got, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{"", "http"},
		{"mirror.example/debian", "http"},
		{"ftp://mirror.example/debian", "http"},
		{"http:///debian", "http"},
		{"http://{{.Path}}/x", "URL"},
		{"http://mirror.example/{{.Nothing}}", "{{.Basename}}, {{.CID}}"},
		{"http://mirror.example/{{Path}}", "not a field"},
		{"http://mirror.example/{{.Path}", "without"},
		{"http://mirror.example/{{.Path}}}}", "without"},
		{"http://mirror.example/?x=1", "query"},
		{"http://mirror.example/#x", "query"},
		{"http://mirror.example/{{.Path}}#x", "fragment"},
		{"http://mirror.example/a b", "percent-encoded"},
		{"http://mirror.example/%zz", "escape"},
		{"http://user:s3cret@[mirror.example/", "URL"},
		{"http://user:s3cret@mirror.example/{{.Nothing}}", "not a field"},
	} {
		_, err := web.New(web.NewClient(web.Config{}), web.Place{URL: c.url})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want one with %q", c.url, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error tells the password: %v", c.url, err)
		}
	}
}

func TestName(t *testing.T) {
	for place, want := range map[string]string{
		"http://mirror.example/debian/":               "http://mirror.example/debian",
		"https://u:s3cret@mirror.example/debian":      "https://mirror.example/debian",
		"https://h.example/{{.Path}}?key=s3cret&b":    "https://h.example/{{.Path}}?key=…&b",
		"https://h.example/get?token=s3cret{{.Path}}": "https://h.example/get?token=…",
		"https://h.example/get?file={{.Path}}":        "https://h.example/get?file={{.Path}}",
	} {
		if got := newPlace(t, web.Config{}, web.Place{URL: place}).Name(); got != want {
			t.Errorf("%s is named %s, want %s", place, got, want)
		}
	}
}

func TestKeeperLimits(t *testing.T) {
	limits := func(p web.Place) fetch.Limits {
		return newPlace(t, web.Config{}, p).(fetch.Limiter).Limits()
	}
	plain, keeper := limits(web.Place{URL: "http://h.example/a"}), limits(web.Place{URL: "http://h.example/b", Keeper: true})
	if plain.Host != "h.example" || keeper.Host != plain.Host || plain.Parallel != 0 || keeper.Parallel != 1 || keeper.Every <= 0 {
		t.Errorf("limits %+v and %+v", plain, keeper)
	}
}

// A login goes to where it belongs, and is told to nobody else.
func TestLogin(t *testing.T) {
	var there []string
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		there = append(there, r.Header.Get("Authorization")+r.Header.Get("Referer"))
		http.Error(w, "", http.StatusForbidden)
	})
	here := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != "user" || password != "s3cret":
			http.Error(w, "", http.StatusUnauthorized)
		case r.URL.Path == "/away":
			// A login of the redirecting server's own is not sent either.
			http.Redirect(w, r, strings.Replace(other.URL, "://", "://a:b@", 1)+"/x?sig=s1gned", http.StatusFound)
		case r.URL.Path == "/near":
			http.Redirect(w, r, "/file", http.StatusFound)
		default:
			_, _ = io.WriteString(w, "data")
		}
	})
	u, _ := url.Parse(here.URL)
	inURL := web.Place{URL: "http://user:s3cret@" + u.Host}
	asked := func(u *url.URL) (web.Login, bool) {
		return web.Login{User: "user", Password: "s3cret"}, "http://"+u.Host == here.URL
	}
	for name, s := range map[string]fetch.Source{
		"in the URL": newPlace(t, web.Config{}, inURL),
		"looked up":  newPlace(t, web.Config{Login: asked}, web.Place{URL: here.URL}),
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"file", "near"} {
				body, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: path}})
				if err != nil {
					t.Fatalf("%s: %v", path, err)
				}
				body.Close()
			}
			there = nil
			_, err := s.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "away"}})
			if !fetch.IsPermanent(err) {
				t.Errorf("error %v, want a permanent one", err)
			}
			if len(there) != 1 || there[0] != "" {
				t.Errorf("the other host was told %q", there)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		_, err := newPlace(t, web.Config{}, web.Place{URL: here.URL}).Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "file"}})
		if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "login") {
			t.Errorf("error %v, want a permanent one that speaks of a login", err)
		}
	})
	t.Run("errors", func(t *testing.T) {
		here.Close()
		c := web.NewClient(web.Config{Retries: -1})
		_, err := c.Get(context.Background(), inURL.URL+"/a?token=t0ken")
		if err == nil || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "t0ken") || !strings.Contains(err.Error(), here.URL) {
			t.Errorf("error %v", err)
		}
	})
}

func TestOpenErrors(t *testing.T) {
	for name, c := range map[string]struct {
		mood      fetchtest.Mood
		permanent bool
		busy      time.Duration
	}{
		"404":          {mood: fetchtest.Status(404), permanent: true},
		"403":          {mood: fetchtest.Status(403), permanent: true},
		"400":          {mood: fetchtest.Status(400), permanent: true},
		"204":          {mood: fetchtest.Status(204), permanent: true},
		"500":          {mood: fetchtest.Status(500)},
		"503":          {mood: fetchtest.Status(503)},
		"429":          {mood: fetchtest.Busy(429, 7), busy: 7 * time.Second},
		"503 and wait": {mood: fetchtest.Busy(503, 9), busy: 9 * time.Second},
		"reset":        {mood: fetchtest.Reset},
		"loop":         {mood: fetchtest.Loop, permanent: true},
	} {
		t.Run(name, func(t *testing.T) {
			server := fetchtest.NewServer(map[string][]byte{"a": []byte("data")})
			defer server.Close()
			server.Mood(c.mood)
			_, err := newPlace(t, web.Config{}, web.Place{URL: server.URL}).Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "a"}})
			if err == nil || fetch.IsPermanent(err) != c.permanent {
				t.Errorf("error %v, permanent %v, want %v", err, fetch.IsPermanent(err), c.permanent)
			}
			var busy *fetch.BusyError
			if errors.As(err, &busy) != (c.busy > 0) || (busy != nil && busy.After != c.busy) {
				t.Errorf("error %#v, want a wait of %s", err, c.busy)
			}
			// net/http itself repeats a request on a connection that it kept.
			if n := server.Count("a"); name != "loop" && n != 1 {
				t.Errorf("a source asked %d times on its own", n)
			}
		})
	}
}

// A server whose answers to a range are not what was asked for is asked for
// the whole file: bytes of an earlier run must not keep it from being had.
func TestBadRanges(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		ok     bool
	}{
		"right":        {"bytes 4-9/10", true},
		"unknown size": {"bytes 4-9/*", true},
		"other start":  {"bytes 3-8/9", false},
		"not the rest": {"bytes 4-9/20", false},
		"no header":    {"", false},
		"backwards":    {"bytes 4-3/10", false},
		"other unit":   {"lines 4-9/10", false},
		"other length": {"bytes 4-10/11", false},
		"negative":     {"bytes 4--9/10", false},
		"overflow":     {"bytes 4-99999999999999999999/*", false},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Range") == "" {
					_, _ = io.WriteString(w, "0123456789")
					return
				}
				w.Header().Set("Content-Range", c.header)
				w.WriteHeader(http.StatusPartialContent)
				_, _ = io.WriteString(w, "456789")
			})
			offset, want := int64(0), "0123456789"
			if c.ok {
				offset, want = 4, "456789"
			}
			body, got := openAt(t, server.URL, "a", 4)
			if body.Offset != offset || body.Size != 10 || got != want {
				t.Errorf("offset %d, size %d, %q", body.Offset, body.Size, got)
			}
		})
	}
}

// openAt reads a file of a place from an offset.
func openAt(t *testing.T, url, path string, offset int64) (*fetch.Body, string) {
	t.Helper()
	body, err := newPlace(t, web.Config{}, web.Place{URL: url}).Open(context.Background(),
		fetch.Request{Entry: lockfile.Entry{Path: path}, Offset: offset})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	got, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return body, string(got)
}

// A server may call the whole file a part of it without being asked for one;
// it may not leave anything out.
func TestPartsUnasked(t *testing.T) {
	span := "bytes 0-9/10"
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Range", span)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = io.WriteString(w, "0123456789")
	})
	for _, offset := range []int64{0, 4} {
		if body, got := openAt(t, server.URL, "a", offset); body.Offset != 0 || body.Size != 10 || got != "0123456789" {
			t.Errorf("from %d: offset %d, size %d, %q", offset, body.Offset, body.Size, got)
		}
	}
	span = "bytes 0-9/20"
	_, err := newPlace(t, web.Config{}, web.Place{URL: server.URL}).Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: "a"}})
	if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), span) {
		t.Errorf("error %v", err)
	}
}

// If-Range is sent only with what the server may be held to.
func TestValidators(t *testing.T) {
	now := time.Now().UTC()
	date := func(ago time.Duration) string { return now.Add(-ago).Format(http.TimeFormat) }
	for _, c := range []struct{ etag, modified, want string }{
		{`"strong"`, date(time.Hour), `"strong"`},
		{`W/"weak"`, "", ""},
		{`W/"weak"`, date(time.Hour), date(time.Hour)},
		{"", date(0), ""},
		{"", "nonsense", ""},
	} {
		var got string
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Header.Get("If-Range")
			w.Header().Set("Date", date(0))
			w.Header().Set("ETag", c.etag)
			w.Header().Set("Last-Modified", c.modified)
		})
		s := newPlace(t, web.Config{}, web.Place{URL: server.URL})
		body, err := s.Open(context.Background(), fetch.Request{})
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if body.Validator != c.want {
			t.Errorf("%+v gives validator %q", c, body.Validator)
		}
		if body, err = s.Open(context.Background(), fetch.Request{Offset: 1, Validator: body.Validator}); err == nil {
			body.Close()
		}
		if got != c.want {
			t.Errorf("%+v sends If-Range %q", c, got)
		}
	}
}

// A host that does not exist is not asked again and again.
func TestNoSuchHost(t *testing.T) {
	const host = "nowhere.invalid"
	for name, err := range map[string]error{
		"not found": &net.DNSError{Err: "no such host", Name: host, IsNotFound: true},
		"no answer": &net.DNSError{Err: "timeout", Name: host, IsTimeout: true},
	} {
		if got := fetch.IsPermanent(web.PlainError(&url.Error{Op: "Get", URL: "http://" + host, Err: err})); got != (name == "not found") {
			t.Errorf("%s: permanent is %v", name, got)
		}
	}
}
