package ipfs

import (
	"fmt"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/lockfile"
)

// BenchmarkFetch gets 49 files of 45 MB in all from a kubo node, by its API and
// by its gateway, and for comparison from a plain web server.
func BenchmarkFetch(b *testing.B) {
	d := startKubo(b)
	files := map[string][]byte{}
	byCID := map[string][]byte{}
	for i := range 49 {
		files[fmt.Sprintf("pool/%d.deb", i)] = fetchtest.Data(uint64(i), (i+1)*36_700)
	}
	sink := newTestSink(b, "ipfs://"+d.api, UnixFS2025)
	put(b, sink, files)
	reqs := fetchtest.Requests(files, "")
	for i, r := range reqs {
		reqs[i].CID = sink.CIDs()[r.Entry.Digest]
		if reqs[i].CID == "" {
			reqs[i].CID = RawCID(r.Entry.Digest)
		}
		byCID["ipfs/"+reqs[i].CID] = files[r.Entry.Path]
	}
	plain := fetchtest.NewServer(byCID)
	defer plain.Close()
	for _, c := range []struct{ name, address string }{
		{"web", plain.URL + "/ipfs/{{.CID}}"},
		{"gateway", "ipfs+gateway://" + d.gateway},
		{"API", "ipfs://" + d.api},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(45_000_000)
			for b.Loop() {
				p := &fetch.Planner{Store: &fetchtest.Store{}, Sources: []fetch.Source{newTestSource(b, c.address)}}
				if r := p.Fetch(b.Context(), reqs); !r.Complete() {
					b.Fatal(r.Failed)
				}
			}
		})
	}
}

// BenchmarkPut adds 49 files of 45 MB in all to a node, then finds them there.
func BenchmarkPut(b *testing.B) {
	files := map[string][]byte{}
	for i := range 49 {
		files[fmt.Sprintf("pool/%d.deb", i)] = fetchtest.Data(uint64(i), (i+1)*36_700)
	}
	lock := fetchtest.Lock("amd64", files)
	set := []fetch.Set{fetchtest.Set(lock, files)}
	d := startKubo(b)
	push := func(b *testing.B) (sent int) {
		r, err := fetch.Push(b.Context(), newTestSink(b, "ipfs://"+d.api, UnixFS2025), set, fetch.Pushing{})
		if err != nil {
			b.Fatal(err)
		}
		return r.Sent
	}
	b.Run("first", func(b *testing.B) {
		b.SetBytes(45_000_000)
		for n := 0; b.Loop(); n++ {
			b.StopTimer()
			for path, data := range files {
				data[0], data[1], data[2] = byte(n), byte(n>>8), 1 // bytes that are not there yet
				for i, e := range lock.Entries {
					if e.Path == path {
						lock.Entries[i].Digest = lockfile.DigestOf(data)
					}
				}
			}
			set = []fetch.Set{fetchtest.Set(lock, files)}
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
