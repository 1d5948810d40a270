package web_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func gzipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A server that compresses what it sends, though asked not to, is told from
// one that has a word for files which are compressed.
func TestContentEncoding(t *testing.T) {
	data := bytes.Repeat([]byte("!<arch> "), 3000)
	packed := gzipped(t, data)
	for name, c := range map[string]struct {
		path, coding string
		sent         []byte
		ok           bool
	}{
		"as it is":             {"a.deb", "", data, true},
		"packed":               {"a.deb", "gzip", packed, false},
		"packed, in old words": {"a.deb", "X-GZip", packed, false},
		"only said to be":      {"a.deb", "gzip", data, true},
		"empty":                {"a.deb", "gzip", nil, true},
		"short":                {"a.deb", "gzip", packed[:5], true},
		"packed file":          {"a.tar.gz", "gzip", packed, true},
		"packed file of apk":   {"a.apk", "x-gzip", packed, true},
		"packed twice":         {"a.apk", "gzip", gzipped(t, packed), false},
		"another coding":       {"a.deb", "br", packed, true},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if c.coding != "" {
					w.Header().Set("Content-Encoding", c.coding)
				}
				_, _ = w.Write(c.sent)
			})
			if c.ok {
				if _, got := openAt(t, server.URL, c.path, 0); got != string(c.sent) {
					t.Errorf("%d bytes of %d", len(got), len(c.sent))
				}
				return
			}
			_, err := newPlace(t, web.Config{}, web.Place{URL: server.URL}).Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: c.path}})
			if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "Content-Encoding: gzip") {
				t.Errorf("error %v", err)
			}
		})
	}
}
