package oci_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// files are 49 packages of 45 MB in all.
func files() map[string][]byte {
	out := map[string][]byte{}
	for i := range 49 {
		out[fmt.Sprintf("pool/p%d_1_amd64.deb", i)] = fetchtest.Data(uint64(i), (i+1)*36_700)
	}
	return out
}

// A diskStore hashes what arrives and writes it to files.
type diskStore struct{ folder string }

type diskPartial struct {
	file *os.File
	hash hash.Hash
	want lockfile.Digest
	n    int64
}

func (s diskStore) Begin(_ context.Context, d lockfile.Digest) (fetch.Partial, error) {
	f, err := os.Create(filepath.Join(s.folder, d.String()))
	return &diskPartial{file: f, hash: sha256.New(), want: d}, err
}

func (p *diskPartial) Write(b []byte) (int, error) {
	p.hash.Write(b)
	p.n += int64(len(b))
	return p.file.Write(b)
}

func (p *diskPartial) Offset() int64 { return p.n }

func (p *diskPartial) Reset() error {
	p.hash.Reset()
	p.n = 0
	_, err := p.file.Seek(0, 0)
	return err
}

func (p *diskPartial) Commit() error {
	if got := lockfile.Digest(p.hash.Sum(nil)); got != p.want {
		return &lockfile.DigestError{Want: p.want, Got: got, Size: p.n}
	}
	return nil
}

func (p *diskPartial) Close() error { return p.file.Close() }

// BenchmarkPull gets 49 files of 45 MB from a docker-registry. For comparison
// fetch/web gets the same by the URLs of the same registry's blobs, and from a
// plain server of this process that has them on disk.
func BenchmarkPull(b *testing.B) {
	data := files()
	root := b.TempDir()
	for path, d := range data {
		writeFile(b, filepath.Join(root, path), string(d))
	}
	server := newPlain(b, root)
	place := func(url string) fetch.Source {
		s, err := web.New(web.NewClient(web.Config{}), web.Place{URL: url})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	c, host := newClient(b, ""), realRegistry(b, "")
	push(b, newSink(b, c, "oci://"+host+"/a:v1"), set("amd64", data))
	for _, s := range []struct {
		name   string
		source fetch.Source
	}{
		{"plain", place(server)},
		{"registry/by URL", place("http://" + host + "/v2/a/blobs/sha256:{{.SHA256}}")},
		{"registry", newSource(b, c, "oci://"+host+"/a")},
	} {
		b.Run(s.name, func(b *testing.B) {
			reqs := fetchtest.Requests(data, "Debian")
			b.SetBytes(45_000_000)
			for b.Loop() {
				p := fetch.Planner{Store: diskStore{b.TempDir()}, Sources: []fetch.Source{s.source}}
				if r := p.Fetch(context.Background(), reqs); !r.Complete() {
					b.Fatal(r.Err, r.Failed)
				}
			}
		})
	}
}

// BenchmarkPush pushes the same files into an empty repository, and again.
func BenchmarkPush(b *testing.B) {
	c, host, s := newClient(b, ""), realRegistry(b, ""), set("amd64", files())
	n := 0
	b.Run("first", func(b *testing.B) {
		b.SetBytes(45_000_000)
		for b.Loop() {
			n++ // a repository that is new to the registry, but not its blobs
			push(b, newSink(b, c, fmt.Sprintf("oci://%s/a%d:v1", host, n)), s)
		}
	})
	b.Run("again", func(b *testing.B) {
		push(b, newSink(b, c, "oci://"+host+"/again:v1"), s)
		b.SetBytes(45_000_000)
		for b.Loop() {
			push(b, newSink(b, c, "oci://"+host+"/again:v1"), s)
		}
	})
}

func newPlain(b *testing.B, root string) string {
	b.Helper()
	f := newFront(b, "", func(w http.ResponseWriter, r *http.Request) bool {
		http.FileServer(http.Dir(root)).ServeHTTP(w, r)
		return true
	})
	return "http://" + f.host
}
