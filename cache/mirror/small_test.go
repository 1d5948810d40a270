package mirror

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A root can be taken in before any client asks; what is none is refused.
func TestAddTakesARoot(t *testing.T) {
	_, o, r := simple(t, nil)
	if err := r.Add(t.Context(), "debian", "dists/one/InRelease"); err != nil {
		t.Fatal(err)
	}
	if l := r.current("dists/one/InRelease").peek(); l == nil || o.count("dists/one/InRelease") != 1 {
		t.Error("it was not taken in")
	}
	for _, c := range [][3]string{
		{"ubuntu", "dists/one/InRelease", "no upstream"}, {"debian", smallDeb, "no root"}, {"debian", "dists/none/InRelease", "404"},
	} {
		if err := r.Add(t.Context(), c[0], c[1]); err == nil || !strings.Contains(err.Error(), c[2]) {
			t.Errorf("%s/%s: %v", c[0], c[1], err)
		}
	}
}

// Ranges as RFC 9110 has them. One that is none, or on a condition that does
// not hold, is answered with all.
func TestSpans(t *testing.T) {
	d := lockfile.DigestOf([]byte("x"))
	stamp := stampOf(d)
	for _, c := range []struct {
		rang, cond string
		from, to   int64
		partial    bool
	}{
		{"", "", 0, 100, false},
		{"bytes=0-0", "", 0, 1, true},
		{"bytes=10-", "", 10, 100, true},
		{"bytes=10-19", "", 10, 20, true},
		{"bytes=10-1000", "", 10, 100, true},
		{"bytes=-10", "", 90, 100, true},
		{"bytes=-1000", "", 0, 100, true},
		{"bytes=-0", "", 0, 100, false},
		{"bytes=100-", "", 0, 100, false},
		{"bytes=20-10", "", 0, 100, false},
		{"bytes=1-2,4-5", "", 0, 100, false},
		{"bytes=a-b", "", 0, 100, false},
		{"bytes=5", "", 0, 100, false},
		{"bytes=99999999999999999999-", "", 0, 100, false},
		{"lines=1-2", "", 0, 100, false},
		{"bytes=10-", `"` + d.String() + `"`, 10, 100, true},
		{"bytes=10-", `"another"`, 0, 100, false},
		{"bytes=10-", `W/"` + d.String() + `"`, 0, 100, false},
		{"bytes=10-", stamp.Format(http.TimeFormat), 10, 100, true},
		{"bytes=10-", stamp.Add(time.Second).Format(http.TimeFormat), 0, 100, false},
	} {
		r := &http.Request{Method: http.MethodGet, Header: http.Header{"Range": {c.rang}, "If-Range": {c.cond}}}
		if from, to, partial := span(r, d, stamp, 100); from != c.from || to != c.to || partial != c.partial {
			t.Errorf("%q if %q: %d to %d, %t", c.rang, c.cond, from, to, partial)
		}
	}
	r := &http.Request{Method: http.MethodHead, Header: http.Header{"Range": {"bytes=1-2"}}}
	if _, _, partial := span(r, d, stamp, 100); partial {
		t.Error("the head of a range is told, which RFC 9110 defines for GET alone")
	}
}

// Redirects are followed for a while, never to less secret ways, and tell
// nobody where they came from.
func TestRedirectsOfRoots(t *testing.T) {
	to := func(u string) *http.Request {
		parsed, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		return &http.Request{URL: parsed, Header: http.Header{"Referer": {"https://example.org/secret"}}}
	}
	for _, c := range []struct {
		from, to string
		hops     int
		ok       bool
	}{
		{"http://example.org/a", "http://example.org/b", 1, true},
		{"http://example.org/a", "https://example.org/a", 1, true},
		{"https://example.org/a", "https://example.org/b", 9, true},
		{"https://example.org/a", "http://example.org/a", 1, false},
		{"http://example.org/a", "http://example.org/b", 10, false},
	} {
		var via []*http.Request
		for range c.hops {
			via = append(via, to(c.from))
		}
		req := to(c.to)
		if err := checkRedirect(req, via); (err == nil) != c.ok {
			t.Errorf("%s to %s after %d: %v", c.from, c.to, c.hops, err)
		} else if err == nil && req.Header.Get("Referer") != "" {
			t.Errorf("%s is told of %s", c.to, req.Header.Get("Referer"))
		}
	}
}
