package oci_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

// A handmade is an image layout that a test writes.
type handmade struct{ dir string }

// blob writes a blob and returns its descriptor.
func (h handmade) blob(t testing.TB, mediaType, text string) string {
	t.Helper()
	d := lockfile.DigestOf([]byte(text))
	writeFile(t, filepath.Join(h.dir, "blobs", "sha256", d.String()), text)
	return fmt.Sprintf(`{"mediaType":%q,"digest":"sha256:%s","size":%d}`, mediaType, d, len(text))
}

// image writes an image with a layer, and returns the descriptor of its
// manifest.
func (h handmade) image(t testing.TB, layer string) string {
	t.Helper()
	config := h.blob(t, "application/vnd.oci.image.config.v1+json", `{"architecture":"amd64"}`)
	return h.blob(t, manifestType, fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":%s,"layers":[%s]}`, manifestType, config, h.blob(t, "application/vnd.oci.image.layer.v1.tar", layer)))
}

// index writes the index of the layout.
func (h handmade) index(t testing.TB, descriptors ...string) {
	t.Helper()
	writeFile(t, filepath.Join(h.dir, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`)
	writeFile(t, filepath.Join(h.dir, "index.json"), indexOf(descriptors...))
}

func indexOf(descriptors ...string) string {
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, indexType, strings.Join(descriptors, ","))
}

// An image, and an index of several, are in the registry under the digest that
// they have in the layout.
func TestPushImages(t *testing.T) {
	for name, fill := range map[string]func(h handmade) (top string, blobs int){
		"one": func(h handmade) (string, int) { return h.image(t, "layer"), 2 },
		"two": func(h handmade) (string, int) {
			return h.blob(t, indexType, indexOf(h.image(t, "one"), h.image(t, "other"))), 3 // they share a configuration
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := handmade{t.TempDir()}
			top, blobs := fill(h)
			h.index(t, top)
			var want struct{ Digest string }
			if err := json.Unmarshal([]byte(top), &want); err != nil {
				t.Fatal(err)
			}
			host := inProcess(t)
			for again := range 2 {
				sink := newSink(t, newClient(t, ""), "oci://"+host+"/team/web:v1")
				image, err := oci.NewImage(t.Context(), sink, h.dir)
				if err != nil {
					t.Fatal(err)
				}
				report := push(t, image, image.Sets()...)
				if sent := blobs * (1 - again); report.Sent != sent {
					t.Errorf("run %d sent %d blobs, want %d", again+1, report.Sent, sent)
				}
				if got := "sha256:" + sink.Published().Digest.String(); got != want.Digest {
					t.Errorf("it is published as %s, want %s", got, want.Digest)
				}
			}
			resp, err := http.Get("http://" + host + "/v2/team/web/manifests/v1")
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil || "sha256:"+lockfile.DigestOf(body).String() != want.Digest {
				t.Errorf("the registry has %s, %v", body, err)
			}
		})
	}
}

// What is no layout of one image, or is damaged, is not pushed.
func TestPushImagesRefuses(t *testing.T) {
	const none = `"digest":"sha256:0000000000000000000000000000000000000000000000000000000000000000"`
	for want, fill := range map[string]func(h handmade){
		"is not an OCI image layout":      func(handmade) {},
		"it has 2 images, and one can be": func(h handmade) { h.index(t, h.image(t, "a"), h.image(t, "b")) },
		"it has 0 images":                 func(h handmade) { h.index(t) },
		"is not the manifest of an image": func(h handmade) { h.index(t, h.blob(t, "text/plain", "{}")) },
		"its index has 65 images, more than": func(h handmade) {
			h.index(t, h.blob(t, indexType, indexOf(slices.Repeat([]string{h.image(t, "a")}, 65)...)))
		},
		"no such file":                         func(h handmade) { h.index(t, `{"mediaType":"`+manifestType+`",`+none+`,"size":2}`) },
		"of the type \"" + indexType + "\" is": func(h handmade) { h.index(t, h.blob(t, indexType, indexOf(h.blob(t, indexType, indexOf())))) },
		"sha512": func(h handmade) {
			h.index(t, h.blob(t, manifestType, `{"config":{"digest":"sha512:00","size":1}}`))
		},
	} {
		h := handmade{t.TempDir()}
		fill(h)
		_, err := oci.NewImage(t.Context(), newSink(t, newClient(t, ""), "oci://registry.example/a:b"), h.dir)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

// A layer that is damaged on the way is not sent, and nothing is published.
func TestPushOfDamagedImage(t *testing.T) {
	h := handmade{t.TempDir()}
	h.index(t, h.image(t, "layer"))
	writeFile(t, filepath.Join(h.dir, "blobs", "sha256", lockfile.DigestOf([]byte("layer")).String()), "LAYER")
	sink := newSink(t, newClient(t, ""), "oci://"+inProcess(t)+"/team/web:v1")
	image, err := oci.NewImage(t.Context(), sink, h.dir)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := fetch.Push(t.Context(), image, image.Sets(), fetch.Pushing{Parallel: 2}); err == nil || len(report.Failed) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	if !sink.Published().Digest.IsZero() {
		t.Error("it is published")
	}
}

// FuzzNewImage reads layouts whose documents are anything: what can be pushed
// names files of the layout only.
func FuzzNewImage(f *testing.F) {
	h, sink := handmade{f.TempDir()}, newSink(f, newClient(f, ""), "oci://registry.example/a:b")
	f.Add(indexOf(h.image(f, "a")), `{"config":{},"layers":[]}`)
	f.Add(indexOf(`{"mediaType":"`+manifestType+`","digest":"sha256:@","size":2}`), `{}`)
	f.Add(indexOf(`{"mediaType":"`+indexType+`","digest":"sha256:@","size":2}`), indexOf())
	f.Fuzz(func(t *testing.T, index, document string) {
		h := handmade{filepath.Join(h.dir, fmt.Sprint(os.Getpid()))}
		defer os.RemoveAll(h.dir)
		h.blob(t, "", document)
		d := lockfile.DigestOf([]byte(document)).String()
		h.index(t)
		writeFile(t, filepath.Join(h.dir, "index.json"), strings.ReplaceAll(index, "@", d))
		image, err := oci.NewImage(t.Context(), sink, h.dir)
		if err != nil {
			return
		}
		for _, s := range image.Sets() {
			for i, file := range s.Files {
				if file.Entry.Path != "blobs/sha256/"+file.Entry.Digest.String() || s.Lock.Entries[i].Path != file.Entry.Path {
					t.Errorf("it would push %s", file.Entry.Path)
				}
			}
		}
	})
}
