package s3

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// BenchmarkFetch gets 49 files of 45 MB in all from a store, and for comparison
// from a plain web server; BenchmarkPut puts them there.
func BenchmarkFetch(b *testing.B) {
	s := startStore(b)
	bucket := open(b, s.config(b, "bench", ""))
	sink := sinkOf(b, bucket)
	files, byPath := map[string][]byte{}, map[string][]byte{}
	for i := range 49 {
		data := fetchtest.Data(uint64(i), (i+1)*36_700)
		files[fmt.Sprintf("pool/%d.deb", i)] = data
		byPath["blobs/"+lockfile.DigestOf(data).String()] = data
		put(b, sink, "x", data)
	}
	plain := fetchtest.NewServer(byPath)
	defer plain.Close()
	page, err := web.New(web.NewClient(web.Config{}), web.Place{URL: plain.URL + "/blobs/{{.SHA256}}"})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		source fetch.Source
	}{{"web", page}, {"s3", bucket}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(45_000_000)
			for b.Loop() {
				p := &fetch.Planner{Store: &fetchtest.Store{}, Sources: []fetch.Source{c.source}}
				if r := p.Fetch(b.Context(), fetchtest.Requests(files, "")); !r.Complete() {
					b.Fatal(r.Failed)
				}
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	s := startStore(b)
	files := map[string][]byte{}
	for i := range 49 {
		files[fmt.Sprintf("pool/%d.deb", i)] = fetchtest.Data(uint64(i), (i+1)*36_700)
	}
	sets := []fetch.Set{fetchtest.Set(fetchtest.Lock("amd64", files), files)}
	push := func(b *testing.B) (sent int) {
		r, err := fetch.Push(b.Context(), sinkOf(b, open(b, s.config(b, "bench", ""))), sets, fetch.Pushing{})
		if err != nil {
			b.Fatal(err)
		}
		return r.Sent
	}
	b.Run("first", func(b *testing.B) {
		b.SetBytes(45_000_000)
		for b.Loop() {
			b.StopTimer()
			if err := os.RemoveAll(filepath.Join(s.folder, "bench")); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			if sent := push(b); sent != len(files) {
				b.Fatalf("%d files are sent", sent)
			}
		}
	})
	b.Run("second", func(b *testing.B) {
		for b.Loop() {
			if sent := push(b); sent != 0 {
				b.Fatalf("%d files are sent again", sent)
			}
		}
	})
}
