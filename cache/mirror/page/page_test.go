package page

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror"
	"github.com/samebits/samebits/lockfile"
)

var testNow = time.Date(2026, 11, 21, 5, 30, 0, 0, time.UTC)

// fake is a mirror that has something of everything, some of it hostile.
type fake struct{ empty bool }

const hostile = `<script>alert("x")</script>`

func (f fake) Status() mirror.Status {
	if f.empty {
		return mirror.Status{}
	}
	return mirror.Status{
		Upstreams: []mirror.UpstreamStatus{
			{Prefix: "debian", From: []string{"http://ftp.debian.org/debian"}, Roots: []mirror.RootStatus{
				{Path: "dists/bookworm/InRelease", Archive: "Debian", Date: testNow.Add(-3 * time.Hour), Checked: testNow.Add(-time.Minute), Signed: true},
				{Path: "dists/sid/InRelease", Archive: "Debian", Date: testNow.Add(-72 * time.Hour), Error: hostile},
			}},
			{Prefix: "alpine", From: []string{"https://dl-cdn.alpinelinux.org/alpine"}},
		},
		Snapshots: []string{"20261101T000000Z", "20261120T120000Z"},
		Pins:      []string{"web", hostile},
		Changes: []mirror.Change{{Seen: mirror.Seen{Digest: lockfile.DigestOf([]byte("now")), Prefix: "debian", Path: "pool/s.deb", Name: "sudo", Version: "1.9" + hostile, Arch: "amd64", First: testNow.Add(-time.Hour)},
			Before: lockfile.DigestOf([]byte("before"))}},
		Offline: true,
		Metrics: mirror.Metrics{Requests: 1234, Hits: 900, Misses: 100, BytesServed: 5e9, BytesFetched: 1e9, Flights: 2},
	}
}

func (f fake) History(name, _, _ string) []mirror.Seen {
	if name != "libc6" {
		return nil
	}
	var out []mirror.Seen
	for i := range 600 {
		out = append(out, mirror.Seen{Digest: lockfile.DigestOf([]byte{byte(i)}), Size: int64(1000 * i), Archive: "Debian", Prefix: "debian",
			Path: "pool/x.deb", Name: name, Version: "2.36-" + time.Duration(i).String() + hostile, Arch: "amd64", First: testNow.Add(time.Duration(i-1000) * time.Hour)})
	}
	return out
}

func fullHandler(t testing.TB) *handler {
	t.Helper()
	dir := t.TempDir()
	journal := "2026-11-21T05:00:00Z\tgot\tdebian\tpool/a.deb\t-\t-\thttp://h/\n" +
		"2026-11-21T05:01:00Z\trefused\tdebian\tdists/sid/InRelease\t-\t-\tthe signature is bad " + hostile + "\n" +
		"2026-11-21T05:02:00Z\tchanged\tdebian\tpool/b.deb\t-\t-\tanother digest\n"
	if err := os.WriteFile(filepath.Join(dir, "journal"), []byte(journal), 0o644); err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(filepath.Join(dir, "page.json"))
	for i := range 40 {
		m := mirror.Metrics{Requests: int64(i) * 100, Hits: int64(i) * 80, Misses: int64(i) * 20, BytesServed: int64(i*i) * 1e8, BytesFetched: int64(i) * 1e8}
		if err := r.Sample(testNow.Add(time.Duration(i-40)*time.Hour), m); err != nil {
			t.Fatal(err)
		}
	}
	return &handler{Config{Mirror: fake{}, Recorder: r, Journal: filepath.Join(dir, "journal"), Tokens: true}, func() time.Time { return testNow }}
}

func fetchPage(t testing.TB, h http.Handler, path string) (string, http.Header) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "http://mirror.example:3142"+path, nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Body.String(), w.Header()
}

// wellFormed reads a page as XML that knows HTML's void elements: each element
// that begins must end, in turn.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(page, "<!DOCTYPE html>")))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta", "link", "input", "br"}, xml.HTMLEntity
	depth := []string{}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			depth = append(depth, e.Name.Local)
			if e.Name.Local == "script" {
				t.Error("a script is on the page")
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("an attribute %s", a.Name.Local)
				}
			}
		case xml.EndElement:
			if depth[len(depth)-1] != e.Name.Local {
				t.Fatalf("</%s> ends %v", e.Name.Local, depth)
			}
			depth = depth[:len(depth)-1]
		}
	}
	if len(depth) > 0 {
		t.Errorf("not ended: %v", depth)
	}
}

func TestPage(t *testing.T) {
	h := fullHandler(t)
	text, head := fetchPage(t, h, "/")
	wellFormed(t, text)
	for _, want := range []string{
		"/debian/dists/bookworm/InRelease", "3 hours ago", "checked</span>", "not checked</span>", "nobody has asked for it yet",
		"offline: no upstream is asked", "/snapshot/20261120T120000Z/", "<li>web</li>", "the signature is bad", "another digest",
		"Acquire::http::Proxy &#34;http://mirror.example:3142&#34;;", "mirror: http://mirror.example:3142", "prefers-color-scheme: dark",
		"Another file for the same version", "<strong>sudo</strong> 1.9", "/debian/pool/s.deb", shortDigest(lockfile.DigestOf([]byte("before"))) + "</code>",
		`name="viewport"`, "<dd>80%</dd>", "Clients need a token",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(text, "another digest") && strings.Index(text, "another digest") > strings.Index(text, "the signature is bad") {
		t.Error("the last failure is not the first that is shown")
	}
	if csp := head.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
	if load := regexp.MustCompile(`(?:src|href)="https?:`).FindString(text); load != "" {
		t.Errorf("something is loaded from elsewhere: %s", load)
	}
	if n := strings.Count(text, "<title>"); n < chartBars+1 {
		t.Errorf("%d titles, for %d bars", n, chartBars)
	}
}

func TestSearch(t *testing.T) {
	h := fullHandler(t)
	text, _ := fetchPage(t, h, "/?q=+libc6")
	wellFormed(t, text)
	if n := strings.Count(text, "/blob/sha256/"); n != maxFound+2*len(fake{}.Status().Changes) {
		t.Errorf("%d versions are shown", n)
	}
	if !strings.Contains(text, "and 100 more") || !strings.Contains(text, `value="libc6"`) {
		t.Error("what is not shown is not told")
	}
	text, _ = fetchPage(t, h, "/?q=%3Cscript%3Ealert(1)")
	wellFormed(t, text)
	if !strings.Contains(text, "ever named a package") {
		t.Error("nothing is said of what nobody knows")
	}
	text, _ = fetchPage(t, h, "/?q="+strings.Repeat("x", maxQuery+1))
	if strings.Contains(text, "ever named") {
		t.Error("an endless name was searched for")
	}
}

func TestPageOfNothing(t *testing.T) {
	text, _ := fetchPage(t, New(Config{Mirror: fake{empty: true}, Recorder: NewRecorder("/nonexistent/x"), Journal: "/nonexistent", TLS: true}), "/")
	wellFormed(t, text)
	for _, want := range []string{"None yet.", "Nothing.", "mirror: https://mirror.example:3142"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q on the page", want)
		}
	}
	if strings.Contains(text, "Another file") {
		t.Error("what has not changed is told")
	}
	if strings.Contains(text, "Acquire::http::Proxy") {
		t.Error("apt is told to use a proxy by TLS as if it were none")
	}
}
