package oci_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"testing"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/fetch/dir"
	"github.com/samebits/samebits/fetch/fetchtest"
	"github.com/samebits/samebits/fetch/oci"
	"github.com/samebits/samebits/lockfile"
)

func newSource(t testing.TB, c *oci.Client, reference string) fetch.Source {
	t.Helper()
	s, err := oci.New(c, reference)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newSink(t testing.TB, c *oci.Client, reference string, from ...string) *oci.Sink {
	t.Helper()
	s, err := oci.NewSink(c, reference, from...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// push pushes sets and fails the test where that fails.
func push(t testing.TB, sink fetch.Sink, sets ...fetch.Set) *fetch.PushReport {
	t.Helper()
	r, err := fetch.Push(context.Background(), sink, sets, fetch.Pushing{})
	if err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	return r
}

// set is a lock of files for an architecture, with the files.
func set(arch string, files map[string][]byte) fetch.Set {
	return fetchtest.Set(fetchtest.Lock(arch, files), files)
}

// locks takes the locks out of what was pulled.
func locks(pulled []oci.Pulled, err error) ([]*lockfile.Lock, error) {
	var out []*lockfile.Lock
	for _, p := range pulled {
		out = append(out, p.Lock)
	}
	return out, err
}

func TestSourceConformance(t *testing.T) {
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			fetchtest.Run(t, func(t *testing.T, files map[string][]byte) fetch.Source {
				c, ref := newClient(t, ""), "oci://"+start(t)+"/team/packages"
				sink := newSink(t, c, ref)
				for path, data := range files {
					f := fetchtest.Set(&lockfile.Lock{Entries: []lockfile.Entry{{Path: path, Digest: lockfile.DigestOf(data)}}}, files).Files[0]
					if _, err := sink.Put(context.Background(), f); err != nil {
						t.Fatalf("%s: %v", path, err)
					}
				}
				return newSource(t, c, ref)
			})
		})
	}
}

func TestSinkConformance(t *testing.T) {
	for name, start := range registries {
		t.Run(name, func(t *testing.T) {
			fetchtest.RunSink(t, func(t *testing.T) fetchtest.SinkCase {
				c, ref := newClient(t, ""), "oci://"+start(t)+"/team/packages:v1"
				return fetchtest.SinkCase{
					Sink:   newSink(t, c, ref),
					Source: newSource(t, c, ref),
					Locks: func(ctx context.Context) ([]*lockfile.Lock, error) {
						return locks(c.Pull(ctx, ref))
					},
				}
			})
		})
	}
}

func TestLayoutConformance(t *testing.T) {
	fetchtest.RunSink(t, func(t *testing.T) fetchtest.SinkCase {
		folder := t.TempDir()
		sink, err := oci.NewLayout(folder, "v1")
		if err != nil {
			t.Fatal(err)
		}
		source, err := dir.New(folder)
		if err != nil {
			t.Fatal(err)
		}
		return fetchtest.SinkCase{
			Sink:   sink,
			Source: source,
			Locks: func(ctx context.Context) ([]*lockfile.Lock, error) {
				return locks(oci.PullLayout(ctx, folder, "v1"))
			},
		}
	})
}

// A second push sends no byte, and asks only what it must.
func TestSecondPush(t *testing.T) {
	f := newFront(t, inProcess(t), nil)
	c := newClient(t, "")
	sink := newSink(t, c, "oci://"+f.host+"/a:v1")
	s := set("amd64", fetchtest.Packages(20, "amd64"))
	push(t, sink, s)
	first := sink.Published()
	f.forget()
	if r := push(t, sink, s); r.Sent != 0 || r.Present != 20 {
		t.Errorf("report %+v", r)
	}
	if sink.Published() != first || first.Digest.IsZero() {
		t.Errorf("published %s, then %s", first, sink.Published())
	}
	// One for each file, the lock, the configuration, and the manifest.
	if heads, others := f.count("HEAD"), f.count("POST")+f.count("PUT")+f.count("PATCH")+f.count("GET"); heads != 23 || others != 0 {
		t.Errorf("%d HEAD requests and %d others, want 23 and 0", heads, others)
	}
}

// Blobs of another repository are mounted where the registry does that, and
// sent where it does not.
func TestMount(t *testing.T) {
	f := newFront(t, realRegistry(t, ""), nil)
	c := newClient(t, "")
	files := fetchtest.Packages(5, "amd64")
	push(t, newSink(t, c, "oci://"+f.host+"/team/old:v1"), set("amd64", files))
	files["pool/n/new_1_amd64.deb"] = fetchtest.Data(77, 1000)
	f.forget()
	ref := "oci://" + f.host + "/team/new:v1"
	if r := push(t, newSink(t, c, ref, "team/none", "team/old"), set("amd64", files)); r.Sent != 1 || r.Present != 5 {
		t.Errorf("report %+v", r)
	}
	if n := f.count("PUT"); n != 3 { // the new file, the lock, the manifest
		t.Errorf("%d PUT requests, want 3: %v", n, f.asked)
	}
	source := newSource(t, c, ref)
	for path, data := range files {
		body, err := source.Open(context.Background(), fetch.Request{Entry: lockfile.Entry{Path: path, Digest: lockfile.DigestOf(data)}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, error %v", path, len(got), err)
		}
		body.Close()
	}
}

// What is published can be had by its digest, also where it has no tag.
func TestPullByDigest(t *testing.T) {
	c := newClient(t, "")
	sink := newSink(t, c, "oci://"+inProcess(t)+"/a")
	one, two := set("amd64", fetchtest.Packages(2, "amd64")), set("arm64", fetchtest.Packages(2, "arm64"))
	for _, sets := range [][]fetch.Set{{one}, {one, two}} {
		push(t, sink, sets...)
		pulled, err := c.Pull(context.Background(), sink.Published().String())
		if err != nil || len(pulled) != len(sets) {
			t.Fatalf("%d locks, error %v", len(pulled), err)
		}
		var want [][]byte
		for _, s := range sets {
			want = append(want, s.Lock.Format())
		}
		for _, p := range pulled {
			if !slices.ContainsFunc(want, func(w []byte) bool { return bytes.Equal(w, p.Data) }) {
				t.Errorf("%q is not one of the locks", p.Data)
			}
		}
	}
}
