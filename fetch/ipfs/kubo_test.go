package ipfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

// A daemon is a kubo node for a test.
type daemon struct {
	api, gateway string // HOST:PORT
}

func startKubo(tb testing.TB) (d daemon) {
	tb.Helper()
	d.api, d.gateway = fetchtest.StartKubo(tb)
	return d
}

func newTestSource(tb testing.TB, address string) fetch.Source {
	tb.Helper()
	s, err := NewSource(web.NewClient(web.Config{}), address)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func newTestSink(tb testing.TB, address string, p Profile) *Sink {
	tb.Helper()
	s, err := NewSink(web.NewClient(web.Config{}), address, p)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// file is a file to put.
func file(path string, data []byte) fetch.File {
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: path, Digest: lockfile.DigestOf(data)}}}
	return fetchtest.Set(lock, map[string][]byte{path: data}).Files[0]
}

func put(tb testing.TB, s *Sink, files map[string][]byte) (sent int) {
	tb.Helper()
	for path, data := range files {
		fresh, err := s.Put(context.Background(), file(path, data))
		if err != nil {
			tb.Fatal(err)
		}
		if fresh {
			sent++
		}
	}
	return sent
}

// withCIDs asks a source with the addresses that a sink gave, as a planner
// does that has them from the lock.
type withCIDs struct {
	fetch.Source
	sink *Sink
}

func (w withCIDs) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	req.CID = w.sink.CIDs()[req.Entry.Digest]
	return w.Source.Open(ctx, req)
}

func TestKubo(t *testing.T) {
	d := startKubo(t)
	for name, address := range map[string]string{
		"API":       "ipfs://" + d.api,
		"gateway":   "ipfs+gateway://" + d.gateway,
		"localhost": "ipfs+gateway://" + strings.Replace(d.gateway, "127.0.0.1", "localhost", 1),
		"template":  "http://" + d.gateway + "/ipfs/{{ .CID }}?filename={{.Basename}}",
	} {
		t.Run("conformance/"+name, func(t *testing.T) {
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				s := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
				put(t, s, files)
				return withCIDs{newTestSource(t, address), s}
			})
		})
	}
	t.Run("sink", func(t *testing.T) { testSink(t) })
	t.Run("addresses", func(t *testing.T) { testAddresses(t, d) })
	t.Run("second push", func(t *testing.T) { testSecondPush(t, d) })
	t.Run("lock", func(t *testing.T) { testLock(t, d) })
	t.Run("directory", func(t *testing.T) { testDirectory(t, d) })
	t.Run("wrong port", func(t *testing.T) { testWrongPort(t, d) })
	t.Run("wrong profile", func(t *testing.T) { testWrongProfile(t, d) })
}

// Each case has a node of its own, since what was put there stays.
func testSink(t *testing.T) {
	fetchtest.RunSink(t, func(t *testing.T) fetchtest.SinkCase {
		d := startKubo(t)
		sink := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
		return fetchtest.SinkCase{
			Sink:   sink,
			Source: withCIDs{newTestSource(t, "ipfs+gateway://"+d.gateway), sink},
			Locks: func(ctx context.Context) ([]*lockfile.Lock, error) {
				var out []*lockfile.Lock
				for _, cid := range sink.Locks() {
					lock, _, err := PullLock(ctx, web.NewClient(web.Config{}), "ipfs://"+d.api+"/"+cid)
					if err != nil {
						return nil, err
					}
					lock.CIDs = nil // those that were pushed had none
					out = append(out, lock)
				}
				return out, nil
			},
		}
	})
}

// The addresses that are computed here are those that kubo gives: Put compares
// them. The files that are one block are had back by their hash alone.
func testAddresses(t *testing.T, d daemon) {
	sizes := []int{0, 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1<<20 - 1, 1 << 20, 1<<20 + 1, 10 << 20}
	if !testing.Short() {
		sizes = append(sizes, 120<<20)
	}
	source := newTestSource(t, "ipfs://"+d.api)
	for _, p := range Profiles {
		sink := newTestSink(t, "ipfs://"+d.api, p)
		for _, size := range sizes {
			data := sample(size)
			if p == CIDv1 && size > 0 {
				data[size/2] ^= 1 // other bytes than those that are pinned already
			}
			f := file(fmt.Sprintf("%s-%d", p.Name, size), data)
			sent, err := sink.Put(context.Background(), f)
			if err != nil || !(sent || size == 0) {
				t.Errorf("%d bytes in %s: sent %v, error %v", size, p.Name, sent, err)
			}
			cid, recorded := sink.CIDs()[f.Entry.Digest]
			if recorded != (size > p.Chunk) {
				t.Errorf("%d bytes in %s: address %q is to be recorded: %v", size, p.Name, cid, recorded)
			}
			body, err := source.Open(context.Background(), fetch.Request{Entry: f.Entry, CID: cid})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			body.Close()
			if err != nil || !bytes.Equal(got, data) || body.Size != int64(size) {
				t.Errorf("%d bytes in %s: %d come back, size %d, error %v", size, p.Name, len(got), body.Size, err)
			}
		}
	}
}

// What is pinned is not sent again, by whomever it was put there.
func testSecondPush(t *testing.T, d daemon) {
	files := map[string][]byte{"a.deb": sample(1001), "b.deb": sample(3<<20 + 5)}
	first := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
	if n := put(t, first, files); n != 2 {
		t.Errorf("%d files are sent at first", n)
	}
	second := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
	if n := put(t, second, files); n != 0 {
		t.Errorf("%d files are sent again", n)
	}
	digest := lockfile.DigestOf(files["b.deb"])
	if a, b := first.CIDs(), second.CIDs(); len(a) != 1 || a[digest] == "" || a[digest] != b[digest] {
		t.Errorf("the addresses are %v, then %v", a, b)
	}
}

// A lock comes back with the addresses of its files, and they with it.
func testLock(t *testing.T, d daemon) {
	ctx := context.Background()
	small, large := file("pool/s.deb", sample(77)), file("pool/l.deb", sample(2<<20))
	lock := &lockfile.Lock{Entries: []lockfile.Entry{small.Entry, large.Entry}, CIDs: map[lockfile.Digest]string{
		small.Entry.Digest: "QmRY19HEWeTJtRC6vAdz7rDfX3PjSMgXmd1KYi9guAACUj", // of another node
	}}
	if err := lock.Sort(); err != nil {
		t.Fatal(err)
	}
	sets := []fetch.Set{{Lock: lock, Files: []fetch.File{small, large}}}
	sink := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
	for _, f := range sets[0].Files {
		if _, err := sink.Put(ctx, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := sink.Publish(ctx, sets); err != nil {
		t.Fatal(err)
	}
	if len(lock.CIDs) != 1 || len(sink.Locks()) != 1 {
		t.Fatalf("the caller's lock has addresses %v, published is %v", lock.CIDs, sink.Locks())
	}
	for _, address := range []string{"ipfs://" + d.api, "ipfs+gateway://" + d.gateway} {
		got, text, err := PullLock(ctx, web.NewClient(web.Config{}), address+"/"+sink.Locks()[0])
		if err != nil {
			t.Fatal(err)
		}
		if string(text) != string(got.Format()) || len(got.Entries) != 2 || len(got.CIDs) != 1 {
			t.Errorf("the lock comes back as %q", text)
		}
		store := &fetchtest.Store{}
		planner := &fetch.Planner{Store: store, Sources: []fetch.Source{newTestSource(t, address)}}
		var reqs []fetch.Request
		for _, e := range got.Entries {
			reqs = append(reqs, fetch.Request{Entry: e, CID: got.CIDs[e.Digest]})
		}
		if r := planner.Fetch(ctx, reqs); !r.Complete() || len(r.Fetched) != 2 {
			t.Errorf("%s: %+v", address, r)
		}
	}
}

// A directory is no file, to the API and to the gateway, which shows a page.
func testDirectory(t *testing.T, d daemon) {
	const empty = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn" // every node has the empty directory
	for _, address := range []string{"ipfs://" + d.api, "ipfs+gateway://" + d.gateway} {
		_, err := newTestSource(t, address).Open(context.Background(), fetch.Request{CID: empty})
		if !fetch.IsPermanent(err) {
			t.Errorf("%s: error %v, want a permanent one", address, err)
		}
	}
}

// Who mistakes the gateway for the API is told so.
func testWrongPort(t *testing.T, d daemon) {
	_, err := newTestSource(t, "ipfs://"+d.gateway).Open(context.Background(), fetch.Request{CID: RawCID(lockfile.DigestOf(sample(1)))})
	if !fetch.IsPermanent(err) || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "ipfs+gateway://") {
		t.Errorf("the API's source at the gateway: error %v", err)
	}
	_, err = newTestSink(t, "ipfs://"+d.gateway, UnixFS2025).Put(context.Background(), file("x", sample(1)))
	if !fetch.IsPermanent(err) || !strings.Contains(err.Error(), "ipfs+gateway://") {
		t.Errorf("the sink at the gateway: error %v", err)
	}
}

// An address that is not the one that was computed is an error: here the file
// changes between the two.
func testWrongProfile(t *testing.T, d daemon) {
	sink := newTestSink(t, "ipfs://"+d.api, UnixFS2025)
	f := file("x.deb", sample(2000))
	f.Entry.Digest = lockfile.DigestOf(sample(2001))
	if _, err := sink.Put(context.Background(), f); err == nil || !strings.Contains(err.Error(), "gives the file the address") {
		t.Errorf("error %v", err)
	}
}
