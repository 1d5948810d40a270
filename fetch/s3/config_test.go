package s3

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func TestParseURL(t *testing.T) {
	digest := lockfile.DigestOf(nil)
	for raw, want := range map[string]struct {
		config    Config
		name, key string
	}{
		"s3://packages": {
			Config{Bucket: "packages"}, "s3://packages", "blobs/sha256/" + digest.String()},
		"s3://packages/a/b/?region=eu-west-1&lock=bookworm": {
			Config{Bucket: "packages", Prefix: "a/b", Region: "eu-west-1", Lock: "bookworm"}, "s3://packages/a/b", "a/b/blobs/sha256/" + digest.String()},
		"s3://my.packages?endpoint=s3.example": {
			Config{Bucket: "my.packages", Endpoint: "s3.example"}, "s3://my.packages?endpoint=s3.example", "blobs/sha256/" + digest.String()},
		"s3+http://packages/p?endpoint=[::1]:9000": {
			Config{Bucket: "packages", Prefix: "p", Endpoint: "[::1]:9000", PlainHTTP: true}, "s3+http://packages/p?endpoint=[::1]:9000", "p/blobs/sha256/" + digest.String()},
		"s3://packages?addressing=path": {
			Config{Bucket: "packages", Addressing: "path"}, "s3://packages?addressing=path", "blobs/sha256/" + digest.String()},
		"s3://packages?addressing=virtual&endpoint=s3.example": {
			Config{Bucket: "packages", Endpoint: "s3.example", Addressing: "virtual"}, "s3://packages?endpoint=s3.example&addressing=virtual", "blobs/sha256/" + digest.String()},
	} {
		c, err := ParseURL(raw)
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if c != want.config || c.name() != want.name || c.blobKey(digest) != want.key {
			t.Errorf("%s is read as %+v, named %s, with the key %s", raw, c, c.name(), c.blobKey(digest))
		}
		b, err := Open(web.NewClient(web.Config{}), c)
		if err != nil || b.Name() != want.name || b.Limits().Host != c.endpoint() {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for raw, want := range map[string]string{
		"":                                "not the URL of a bucket",
		"http://packages":                 "not the URL of a bucket",
		"s3://":                           "cannot be a bucket",
		"s3://Packages":                   "cannot be a bucket",
		"s3://p":                          "cannot be a bucket",
		"s3://k:s3cret@packages":          "do not belong in a URL",
		"s3://k:s3cret@[packages":         "not the URL of a bucket",
		"s3://packages/a/../b":            "cannot be a prefix",
		"s3://packages/a//b":              "cannot be a prefix",
		"s3://packages#x":                 "fragment",
		"s3://packages?endpoint=":         "needs one value",
		"s3://packages?region=a&region=b": "needs one value",
		"s3://packages?secret=s3cret":     "unknown setting secret",
		"s3://packages?a%zz":              "query",
		"s3://packages?endpoint=http://h": "not a HOST",
		"s3://packages?endpoint=h/x":      "not a HOST",
		"s3://packages?endpoint=:9000":    "not a HOST",
		"s3://packages?endpoint=!h":       "not a HOST",
		"s3://packages?endpoint=h:port":   "not a HOST",
		"s3://packages?lock=a/b":          "name of a lock",
		"s3://packages?lock=.hidden":      "name of a lock",
		"s3+http://packages":              "TLS only",
		"s3://packages?addressing=dns":    "kind of addressing",
		"s3://packages?addressing=virtual&endpoint=127.0.0.1:1": "IP address",
		"s3://packages?addressing=virtual&endpoint=[::1]":       "IP address",
		"s3+http://packages?region=us-east":                     "TLS only",
	} {
		c, err := ParseURL(raw)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want one with %q", raw, c, err, want)
		}
		if err != nil && strings.Contains(strings.TrimPrefix(err.Error(), raw), "s3cret") {
			t.Errorf("%s: the error tells the secret: %v", raw, err)
		}
	}
	if b, err := Open(web.NewClient(web.Config{}), Config{}); err == nil {
		t.Errorf("no bucket is opened as %s", b.Name())
	}
}

// What the documentation gives as examples can be used.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/s3.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`s3(\+http)?://[a-z][^\s`+"`"+`]+`).FindAllString(string(text), -1)
	if len(found) < 2 {
		t.Errorf("only %q is found", found)
	}
	for _, u := range found {
		if _, err := ParseURL(u); err != nil {
			t.Error(err)
		}
	}
}

// Stores other than Amazon's are not asked where a bucket is.
func TestRegion(t *testing.T) {
	for want, c := range map[string]Config{
		"":          {},
		"eu-west-1": {Region: "eu-west-1"},
		"us-east-1": {Endpoint: "s3.example:9000"},
		"auto":      {Endpoint: "s3.example", Region: "auto"},
	} {
		if got := c.region(); got != want {
			t.Errorf("%+v is in %q, want %q", c, got, want)
		}
	}
}

// The bucket stands in the host's name or in the path, as the URL says and
// else as the store is known to want it.
func TestAddressing(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Host + r.URL.Path
		http.NotFound(w, r)
	}))
	defer server.Close()
	proxy, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := web.NewClient(web.Config{Proxy: func(*http.Request) (*url.URL, error) { return proxy, nil }})
	for raw, want := range map[string]string{
		"s3+http://packages/p?endpoint=s3.example":                           "s3.example/packages/p/locks/web",
		"s3+http://packages/p?endpoint=s3.example:80&addressing=path":        "s3.example/packages/p/locks/web",
		"s3+http://packages/p?endpoint=s3.example:90&addressing=virtual":     "packages.s3.example:90/p/locks/web",
		"s3+http://packages?endpoint=s3.amazonaws.com&region=eu-west-1":      "packages.s3.dualstack.eu-west-1.amazonaws.com/locks/web",
		"s3+http://packages?endpoint=storage.googleapis.com":                 "packages.storage.googleapis.com/locks/web",
		"s3+http://packages?endpoint=storage.googleapis.com&addressing=path": "storage.googleapis.com/packages/locks/web",
	} {
		c, err := ParseURL(raw + "&lock=web")
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(client, c)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := b.Lock(context.Background()); err == nil || asked != want {
			t.Errorf("%s: %s is asked, want %s: %v", raw, asked, want, err)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"s3://packages", "s3://packages/a/b?endpoint=[::1]:9000&region=x&lock=y", "s3+http://p%20q/?endpoint=h", "s3://packages?addressing=virtual&endpoint=[::1]:9000", "s3:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := ParseURL(raw)
		if err != nil {
			return
		}
		if _, err := Open(web.NewClient(web.Config{}), c); err != nil {
			t.Errorf("%q is read as %+v, which cannot be opened: %v", raw, c, err)
		}
		again, err := ParseURL(c.name())
		again.Region, again.Lock = c.Region, c.Lock
		if err != nil || again != c {
			t.Errorf("%q is named %q, which is read as %+v: %v", raw, c.name(), again, err)
		}
	})
}
