package web

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 15, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"":                              0,
		"120":                           2 * time.Minute,
		"-5":                            0,
		"soon":                          0,
		"4294967295":                    4294967295 * time.Second,
		"99999999999999999999":          0,
		"Sun, 15 Nov 2026 09:00:30 GMT": 30 * time.Second,
		"Sun, 15 Nov 2026 08:00:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	other := http.Header{"Retry-After": {"Mon, 16 Nov 2026 11:00:07 GMT"}, "Date": {"Mon, 16 Nov 2026 11:00:00 GMT"}}
	if got := retryAfter(other, now); got != 7*time.Second {
		t.Errorf("by a clock that goes another way: %s", got)
	}
}

// A template that is accepted gives a URL on its own host for every path.
func FuzzTemplate(f *testing.F) {
	f.Add("http://mirror.example/debian", "pool/main/a_1%2b.deb")
	f.Add("http://u:p@mirror.example/{{.Path}}?x={{ .Basename }}&y=1", "g++/a b?#")
	f.Add("https://[::1]:8080/%2F{{.SHA256}}/{{.Timestamp}}/{{.CID}}", "../x")
	f.Add("http://h/{{.Path}}{{", "x")
	f.Fuzz(func(t *testing.T, raw, path string) {
		tmpl, login, err := parseTemplate(raw)
		if err != nil {
			return
		}
		if login != nil && len(login.Password) > 3 && !strings.Contains(strings.Replace(raw, login.Password, "", 1), login.Password) &&
			strings.Contains(tmpl.name, login.Password) {
			t.Errorf("the name %q of %q tells the password", tmpl.name, raw)
		}
		u, err := tmpl.expand(fetch.Request{Entry: lockfile.Entry{Path: path}, CID: "c", Time: time.Unix(0, 0)})
		if err != nil {
			t.Fatalf("%q with %q: %v", raw, path, err)
		}
		again, _, err := parseURL(u.String())
		if err != nil {
			t.Fatalf("%q with %q gives %q: %v", raw, path, u, err)
		}
		if again.Host != tmpl.base.Host || again.EscapedPath() != u.EscapedPath() || again.RawQuery != u.RawQuery {
			t.Errorf("%q with %q gives %q, which reads as %q", raw, path, u, again)
		}
	})
}

// What a server says of a range is read or refused, and never nonsense.
func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-9/*", "bytes */10", "bytes 9-0/10", "bytes -1-2/3", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseContentRange(s)
		if err == nil && (r.first < 0 || r.last < r.first || (r.size >= 0 && r.size <= r.last)) {
			t.Errorf("%q gives %+v", s, r)
		}
	})
}
