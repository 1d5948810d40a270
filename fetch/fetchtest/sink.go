package fetchtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// A SinkCase is an empty sink and the ways to have back what was put there.
type SinkCase struct {
	Sink fetch.Sink
	// Source has what was put into the sink.
	Source fetch.Source
	// Locks returns the locks that were published last; nil where the sink
	// does not give them back.
	Locks func(ctx context.Context) ([]*lockfile.Lock, error)
}

// Set returns a lock and its files as what can be pushed. The keys of files
// are the paths of the lock's entries.
func Set(lock *lockfile.Lock, files map[string][]byte) fetch.Set {
	set := fetch.Set{Lock: lock}
	for _, e := range lock.Entries {
		data := files[e.Path]
		set.Files = append(set.Files, fetch.File{
			Entry: e,
			Size:  int64(len(data)),
			Open: func(context.Context) (io.ReadSeekCloser, error) {
				return nopCloser{bytes.NewReader(data)}, nil
			},
		})
	}
	return set
}

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// Lock returns a lock of files for a system of the given architecture.
func Lock(arch string, files map[string][]byte) *lockfile.Lock {
	l := &lockfile.Lock{
		System: lockfile.System{Distro: "debian", Version: "12", Arch: arch},
		Date:   time.Date(2026, 11, 15, 9, 12, 33, 0, time.UTC),
	}
	for path, data := range files {
		l.Entries = append(l.Entries, lockfile.Entry{
			Path:    path,
			Digest:  lockfile.DigestOf(data),
			Archive: lockfile.Archive{Name: "Debian"},
		})
	}
	if err := l.Sort(); err != nil {
		panic(err) // the keys of a map are distinct
	}
	return l
}

// Packages returns n files with the names and the spread of sizes that
// packages of an architecture have, from a few hundred bytes to some megabytes.
func Packages(n int, arch string) map[string][]byte {
	files := map[string][]byte{}
	seed := uint64(0)
	for _, c := range []byte(arch) {
		seed = 31*seed + uint64(c)
	}
	for i := range n {
		name := fmt.Sprintf("lib%c%d", 'a'+i%26, i)
		size := 700 << (i % 10)
		if i%25 == 24 {
			size = 3 << 20
		}
		files[fmt.Sprintf("pool/main/%s/%s/%s_1.%d-1+b1_%s.deb", name[:4], name, name, i, arch)] = Data(seed+uint64(i), size+i)
	}
	return files
}

// RunSink checks that a sink keeps the contract of [fetch.Sink]. newCase
// returns a sink that is empty.
func RunSink(t *testing.T, newCase func(t *testing.T) SinkCase) {
	t.Run("round trip", func(t *testing.T) { testRoundTrip(t, newCase(t)) })
	t.Run("several locks", func(t *testing.T) { testSeveralLocks(t, newCase(t)) })
	t.Run("published again", func(t *testing.T) { testPublishAgain(t, newCase(t)) })
	t.Run("wrong bytes", func(t *testing.T) { testWrongBytes(t, newCase(t)) })
	t.Run("cancel", func(t *testing.T) { testPutCancel(t, newCase(t)) })
	t.Run("same file at once", func(t *testing.T) { testPutAtOnce(t, newCase(t)) })
}

func push(t *testing.T, c SinkCase, sets []fetch.Set) *fetch.PushReport {
	t.Helper()
	r, err := fetch.Push(context.Background(), c.Sink, sets, fetch.Pushing{})
	if err != nil {
		for _, f := range r.Failed {
			t.Errorf("%s: %v", f.Entry.Path, f.Err)
		}
		t.Fatal(err)
	}
	return r
}

// served checks that the source has every byte of the sets.
func served(t *testing.T, c SinkCase, sets []fetch.Set, files map[string][]byte) {
	t.Helper()
	for _, set := range sets {
		for _, e := range set.Lock.Entries {
			req := fetch.Request{Entry: e, CID: set.Lock.CIDs[e.Digest], Time: set.Lock.Date}
			if err := read(c.Source, req, files[e.Path]); err != nil {
				t.Errorf("%s: %v", e.Path, err)
			}
		}
	}
}

// given checks that the locks come back as they were published.
func given(t *testing.T, c SinkCase, sets []fetch.Set) {
	t.Helper()
	if c.Locks == nil {
		return
	}
	locks, err := c.Locks(context.Background())
	if err != nil {
		t.Fatalf("the locks: %v", err)
	}
	var got, want []string
	for _, l := range locks {
		got = append(got, string(l.Format()))
	}
	for _, s := range sets {
		want = append(want, string(s.Lock.Format()))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the locks come back as %q, want %q", got, want)
	}
}

func testRoundTrip(t *testing.T, c SinkCase) {
	if name := c.Sink.Name(); name == "" || name != c.Sink.Name() {
		t.Errorf("Name() = %q", name)
	}
	files := Packages(100, "amd64")
	sets := []fetch.Set{Set(Lock("amd64", files), files)}
	first := sets[0].Lock.Entries[0]
	if _, err := c.Source.Open(context.Background(), fetch.Request{Entry: first}); err == nil {
		t.Error("the sink is not empty")
	}
	if r := push(t, c, sets); r.Sent != len(files) || r.Present != 0 || !r.Published {
		t.Errorf("the first push reports %+v", r)
	}
	served(t, c, sets, files)
	given(t, c, sets)
	if r := push(t, c, sets); r.Sent != 0 || r.Bytes != 0 || r.Present != len(files) || !r.Published {
		t.Errorf("the second push reports %+v", r)
	}
	none := fetch.Request{Entry: lockfile.Entry{Path: "none", Digest: lockfile.DigestOf([]byte("none"))}}
	if _, err := c.Source.Open(context.Background(), none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that was not put: %v, want fs.ErrNotExist", err)
	}
}

func testSeveralLocks(t *testing.T, c SinkCase) {
	all := map[string][]byte{}
	var sets []fetch.Set
	for i, arch := range []string{"amd64", "arm64", "riscv64"} {
		files := map[string][]byte{
			"pool/a/all_1_all.deb":              Data(1, 3000), // shared by all
			"pool/b/b_1_" + arch + ".deb":       Data(uint64(10+i), 2000),
			"pool/c/c_1.0~rc1+b1_" + arch + "x": Data(uint64(20+i), 10),
		}
		sets = append(sets, Set(Lock(arch, files), files))
		for path, data := range files {
			all[path] = data
		}
	}
	if r := push(t, c, sets); r.Sent != 7 {
		t.Errorf("the push reports %+v, want the 7 files with different bytes", r)
	}
	served(t, c, sets, all)
	given(t, c, sets)
}

// testPublishAgain publishes another lock in the place of the first, whose
// files stay.
func testPublishAgain(t *testing.T, c SinkCase) {
	old, now := map[string][]byte{}, map[string][]byte{}
	for path, data := range Packages(10, "amd64") {
		old[path], now[path] = data, data
	}
	now["pool/n/new_1_amd64.deb"] = Data(99, 500)
	push(t, c, []fetch.Set{Set(Lock("amd64", old), old)})
	sets := []fetch.Set{Set(Lock("amd64", now), now)}
	if r := push(t, c, sets); r.Sent != 1 || r.Present != 10 {
		t.Errorf("the second push reports %+v", r)
	}
	served(t, c, sets, now)
	given(t, c, sets)
}

// testWrongBytes puts bytes that are not what their digest says. No source may
// have them afterwards as that file.
func testWrongBytes(t *testing.T, c SinkCase) {
	files := map[string][]byte{"a": Data(1, 5000)}
	set := Set(Lock("amd64", files), files)
	bad := set.Files[0]
	bad.Open = func(context.Context) (io.ReadSeekCloser, error) {
		return nopCloser{bytes.NewReader(Data(2, 5000))}, nil
	}
	_, _ = c.Sink.Put(context.Background(), bad)
	if body, err := c.Source.Open(context.Background(), fetch.Request{Entry: bad.Entry}); err == nil {
		got, _ := io.ReadAll(body)
		body.Close()
		if lockfile.DigestOf(got) == lockfile.DigestOf(Data(2, 5000)) {
			return // a sink need not look at what it is given: readers do
		}
	}
	if sent, err := c.Sink.Put(context.Background(), set.Files[0]); err != nil || !sent {
		t.Errorf("the right bytes after the wrong ones: sent %t, error %v", sent, err)
	}
	if err := read(c.Source, fetch.Request{Entry: bad.Entry}, files["a"]); err != nil {
		t.Error(err)
	}
}

func testPutCancel(t *testing.T, c SinkCase) {
	files := map[string][]byte{"a": Data(1, 5000)}
	set := Set(Lock("amd64", files), files)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Sink.Put(ctx, set.Files[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("Put with an ended context: %v, want context.Canceled", err)
	}
	if err := c.Sink.Publish(ctx, []fetch.Set{set}); !errors.Is(err, context.Canceled) {
		t.Errorf("Publish with an ended context: %v, want context.Canceled", err)
	}
}

// testPutAtOnce puts one file from many goroutines, as several pushes do.
func testPutAtOnce(t *testing.T, c SinkCase) {
	files := map[string][]byte{"a": Data(1, 500_000)}
	set := Set(Lock("amd64", files), files)
	var all sync.WaitGroup
	var sent atomic.Int64
	for range 8 {
		all.Go(func() {
			s, err := c.Sink.Put(context.Background(), set.Files[0])
			if err != nil {
				t.Error(err)
			}
			if s {
				sent.Add(1)
			}
		})
	}
	all.Wait()
	if sent.Load() == 0 {
		t.Error("nobody sent the file")
	}
	served(t, c, []fetch.Set{set}, files)
}
