package mirror

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

// series publishes states of an archive, the later ones with later dates, and
// returns them with the date of each by its InRelease.
func series(t *testing.T, r *repo, n int) (states []map[string][]byte, order map[string]int) {
	t.Helper()
	order = map[string]int{}
	for i := range n {
		if i > 0 {
			time.Sleep(1100 * time.Millisecond) // the date of a set has whole seconds
		}
		r.build("s"+itoa(i), "1", 1000)
		states = append(states, r.publish())
		order[string(states[i]["dists/one/InRelease"])] = i
	}
	return states, order
}

// Clients that ask several mirrors in turn, each request of an update another
// one, while upstream changes, never see a mix and never go back in time.
func TestClientsThatAlternate(t *testing.T) {
	r, o, s, two := twins(t)
	third := newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share, c.Fresh = s, time.Nanosecond })
	rigs := []*rig{two[0], two[1], third}
	states, order := series(t, r, 5)
	o.set(states[0])
	stop := make(chan struct{})
	var updates atomic.Int64
	var clients sync.WaitGroup
	for i := range 3 {
		clients.Go(func() {
			c := &http.Client{}
			last := 0
			for n := i; ; n++ {
				state, err := updateFrom(c, rigs, n, order)
				if err != nil || state < last {
					t.Errorf("after state %d came %d: %v", last, state, err)
				}
				last = max(last, state)
				updates.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for i := range states {
		o.set(states[i])
		time.Sleep(300 * time.Millisecond)
	}
	close(stop)
	clients.Wait()
	if n := updates.Load(); n < 20 {
		t.Errorf("only %d updates were made", n)
	}
	ids := map[string]bool{}
	for _, one := range rigs {
		one.want("/debian/dists/one/InRelease", 200, states[4]["dists/one/InRelease"])
		ids[one.current("dists/one/InRelease").peek().id] = true
	}
	if len(ids) != 1 {
		t.Errorf("in the end they show %d sets", len(ids))
	}
}

// updateFrom gets a root from one mirror and the index that it names, by its
// digest, from the next. It returns which state that was.
func updateFrom(c *http.Client, rigs []*rig, n int, order map[string]int) (int, error) {
	get := func(m *rig, path string) ([]byte, error) {
		resp, err := c.Get(m.url + "/debian/" + path)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != 200 {
			return nil, fmt.Errorf("%s: %s, %w", path, resp.Status, err)
		}
		if w := resp.Header.Get("Warning"); strings.Contains(w, "199") {
			return nil, fmt.Errorf("%s was passed through: %s", path, w)
		}
		return b.Bytes(), nil
	}
	root, err := get(rigs[n%len(rigs)], "dists/one/InRelease")
	if err != nil {
		return 0, err
	}
	state, ok := order[string(root)]
	if !ok {
		return 0, errors.New("an InRelease that nobody published")
	}
	var digest string
	for line := range strings.Lines(string(root)) {
		if w := strings.Fields(line); len(w) == 3 && len(w[0]) == 64 && w[2] == "main/binary-amd64/Packages.xz" {
			digest = w[0]
		}
	}
	index, err := get(rigs[(n+1)%len(rigs)], "dists/one/main/binary-amd64/by-hash/SHA256/"+digest)
	if err == nil && lockfile.DigestOf(index).String() != digest {
		err = errors.New("another index than the InRelease names")
	}
	return state, err
}

// A package that only another mirror's history knows is served to a client
// that asks at once, though upstream has dropped it.
func TestAPackageThatAnotherMirrorKnows(t *testing.T) {
	r, o, _, rigs := twins(t)
	old := r.files()
	rigs[1].want("/debian/dists/one/InRelease", 200, old["dists/one/InRelease"])
	time.Sleep(1100 * time.Millisecond) // the date of a set has whole seconds
	r.build("late", "1", 100_000)
	next := r.publish()
	o.set(next)
	rigs[0].fill(next)
	const late = "pool/main/late_1_amd64.deb"
	rigs[0].want("/debian/"+late, 200, next[late])
	settle(t, rigs[0])
	die(o)
	resp := rigs[1].want("/debian/"+late, 200, next[late])
	if w := resp.Header.Get("Warning"); w != "" {
		t.Errorf("it was passed through: %s", w)
	}
	if n := o.gets[late]; n != 1 {
		t.Errorf("upstream was asked for it %d times", n)
	}
}

// What a lock names that was pinned on one mirror outlives eviction on the
// other, until it is unpinned on the first.
func TestPinsHoldOnOtherMirrors(t *testing.T) {
	r := newRepo(t)
	r.build("p", "1", 200_000)
	r.build("big", "1", 3_000_000)
	files := r.publish()
	o, s := newOrigin(t, files), &share.Memory{}
	var rigs [2]*rig
	for i := range rigs {
		rigs[i] = newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share, c.Fresh, c.Budget = s, time.Nanosecond, 1_000_000 })
	}
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "p.deb", Digest: lockfile.DigestOf(files[debPath])}}}
	if err := rigs[0].Pin(t.Context(), "web", lock); err != nil {
		t.Fatal(err)
	}
	const big = "pool/main/big_1_amd64.deb"
	for _, m := range rigs {
		m.fill(files)
		m.want("/debian/"+big, 200, files[big])
	}
	settle(t, rigs[:]...)
	held := func() bool {
		t.Helper()
		rigs[1].want("/debian/"+big, 200, files[big])
		if _, err := rigs[1].Evict(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rigs[1].Mirror.store.has(lockfile.DigestOf(files[big])) {
			t.Error("nothing was evicted")
		}
		return rigs[1].Mirror.store.has(lockfile.DigestOf(files[debPath]))
	}
	if !held() {
		t.Error("a file was evicted that another mirror has pinned")
	}
	if err := rigs[0].Unpin(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	settle(t, rigs[:]...)
	rigs[1].conf.Budget = 1
	rigs[1].restart()
	if held() {
		t.Error("a file is still there though it was unpinned on another mirror")
	}
	// It is in the store, so upstream is not asked again.
	rigs[1].want("/debian/"+debPath, 200, files[debPath])
	if o.gets[debPath] != 1 || o.gets[big] != 1 {
		t.Errorf("upstream was asked %d and %d times", o.gets[debPath], o.gets[big])
	}
}

// Many mirrors change everything at once: no pin is lost, and all agree on all
// states in the end.
func TestManyMirrorsAtOnce(t *testing.T) {
	r, o, s, two := twins(t)
	rigs := two[:]
	for range 2 {
		rigs = append(rigs, newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share, c.Fresh = s, time.Nanosecond }))
	}
	files := r.files()
	var all sync.WaitGroup
	for i, m := range rigs {
		all.Go(func() {
			m.want("/debian/dists/one/InRelease", 200, files["dists/one/InRelease"])
			for n := range 5 {
				lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "x", Digest: lockfile.DigestOf([]byte{byte(i), byte(n)})}}}
				if err := m.Pin(t.Context(), fmt.Sprintf("pin%d.%d", i, n), lock); err != nil {
					t.Error(err)
				}
				if err := m.Pin(t.Context(), "all", lock); err != nil {
					t.Error(err)
				}
				if err := m.share.round(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := m.Freeze(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if err := m.Unpin(t.Context(), fmt.Sprintf("pin%d.0", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	settle(t, rigs...)
	for _, m := range rigs {
		st := m.Status()
		if len(st.Pins) != 4*len(rigs)+1 || len(st.Snapshots) < 5 || !slices.Equal(st.Snapshots, rigs[0].Status().Snapshots) || st.Upstreams[0].Roots[0].Set != rigs[0].Status().Upstreams[0].Roots[0].Set {
			t.Errorf("%d pins and %d states: %+v", len(st.Pins), len(st.Snapshots), st.Upstreams)
		}
	}
}

// A turn serves all who asked before it began, and nobody who asked later.
func TestTurns(t *testing.T) {
	turn := newTurn()
	var value, done atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 50 {
				want := value.Add(1)
				var saw int64
				if err := turn.do(context.Background(), func() { done.Store(value.Load()) }); err != nil {
					t.Error(err)
				}
				if saw = done.Load(); saw < want {
					t.Errorf("after %d was there %d was seen", want, saw)
				}
			}
		})
	}
	all.Wait()
	if err := turn.take(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := turn.do(ctx, func() { t.Error("two have the turn") }); err == nil {
		t.Error("the turn was had twice")
	}
}
