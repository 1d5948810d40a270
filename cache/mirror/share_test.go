package mirror

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// twins are two mirrors of one archive that share a store.
func twins(t *testing.T) (*repo, *origin, *share.Memory, [2]*rig) {
	r := newRepo(t)
	r.build("p", "1", 200_000)
	o := newOrigin(t, r.publish())
	s := &share.Memory{}
	var rigs [2]*rig
	for i := range rigs {
		rigs[i] = newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share, c.Fresh = s, time.Nanosecond })
	}
	return r, o, s, rigs
}

// settle has a mirror hand over and take in all that there is.
func settle(t *testing.T, rigs ...*rig) {
	t.Helper()
	for range 2 {
		for _, r := range rigs {
			s := r.Mirror.share
			if err := errors.Join(s.uploadQueue(t.Context()), s.round(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// die has upstream answer nothing but errors.
func die(o *origin) { o.set(map[string][]byte{}) }

const debPath = "pool/main/p_1_amd64.deb"

// fill has a mirror fetch the whole archive.
func (r *rig) fill(files map[string][]byte) {
	for _, path := range []string{"dists/one/InRelease", "dists/one/main/binary-amd64/Packages.xz", debPath} {
		r.want("/debian/"+path, 200, files[path])
	}
	r.waitIndexed()
}

// What one mirror has fetched another serves when upstream is gone.
func TestAColdMirrorServesWhatAnotherFetched(t *testing.T) {
	r, o, _, rigs := twins(t)
	files := r.files()
	rigs[0].fill(files)
	settle(t, rigs[:]...)
	rigs[1].fill(files)
	for path, n := range o.gets {
		if n != 1 {
			t.Errorf("%d times upstream was asked for %s", n, path)
		}
	}
	if a, b := rigs[0].current("dists/one/InRelease").peek(), rigs[1].current("dists/one/InRelease").peek(); a.id != b.id {
		t.Errorf("two mirrors show the sets %s and %s", a.id, b.id)
	}
	a, b := rigs[0].Mirror.History("p", "", ""), rigs[1].Mirror.History("p", "", "")
	if len(a) == 0 || !slices.Equal(a, b) {
		t.Errorf("the histories differ: %v and %v", a, b)
	}
}

// A set that is older than the one in the store is not put in its place.
func TestMirrorsAgreeOnTheNewestSet(t *testing.T) {
	r, o, _, rigs := twins(t)
	old := r.files()
	for _, one := range rigs {
		one.want("/debian/dists/one/InRelease", 200, old["dists/one/InRelease"])
	}
	time.Sleep(1100 * time.Millisecond) // the date of a set has whole seconds
	r.build("q", "1", 1000)
	next := r.publish()
	o.set(next)
	rigs[0].want("/debian/dists/one/InRelease", 200, next["dists/one/InRelease"])
	o.set(old) // upstream shows another client an older state
	rigs[1].want("/debian/dists/one/InRelease", 200, next["dists/one/InRelease"])
	rigs[0].want("/debian/dists/one/InRelease", 200, next["dists/one/InRelease"])
	a, b := rigs[0].current("dists/one/InRelease").peek(), rigs[1].current("dists/one/InRelease").peek()
	if a.id != b.id || !a.rec.Stamp.Equal(b.rec.Stamp) {
		t.Errorf("they show %s and %s", a.id, b.id)
	}
}

// A store that is away harms no client; what was fetched meanwhile is uploaded
// when it is back, also by a mirror that was restarted.
func TestAStoreThatIsAway(t *testing.T) {
	r, o, s, rigs := twins(t)
	files := r.files()
	s.Break(errors.New("it is away"))
	rigs[0].fill(files)
	if _, body := rigs[0].mustGet("/healthz"); !strings.HasPrefix(string(body), "ok\n") || !strings.Contains(string(body), "cannot be used") {
		t.Errorf("/healthz says %q", body)
	}
	if st := rigs[0].Mirror.Status().Store; st == nil || st.Error == "" || st.Queued == 0 {
		t.Errorf("the status is %+v", st)
	}
	rigs[0].restart()
	s.Break(nil)
	rigs[0].want("/debian/dists/one/InRelease", 200, files["dists/one/InRelease"])
	settle(t, rigs[:]...)
	if st := rigs[0].Mirror.Status().Store; st.Error != "" || st.Queued != 0 {
		t.Errorf("the status is %+v", st)
	}
	die(o)
	rigs[1].fill(files)
}

// Pins and frozen states reach the other mirror, and pins are removed there.
func TestPinsAndSnapshotsAreShared(t *testing.T) {
	r, o, _, rigs := twins(t)
	files := r.files()
	rigs[0].fill(files)
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "p.deb", Digest: lockfile.DigestOf(files[debPath])}}}
	if err := rigs[0].Mirror.Pin(context.Background(), "web", lock); err != nil {
		t.Fatal(err)
	}
	snap, err := rigs[0].Mirror.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	settle(t, rigs[:]...)
	if pins := rigs[1].Mirror.Status().Pins; !slices.Equal(pins, []string{"web"}) {
		t.Errorf("the other has the pins %v", pins)
	}
	die(o)
	at := "/snapshot/" + snap.Time.Format(timestampForm) + "/debian/"
	for _, path := range []string{"dists/one/InRelease", "dists/one/main/binary-amd64/Packages.xz", debPath} {
		rigs[1].want(at+path, 200, files[path])
	}
	if err := rigs[1].Mirror.Unpin(context.Background(), "web"); err != nil {
		t.Fatal(err)
	}
	settle(t, rigs[1], rigs[0])
	if pins := rigs[0].Mirror.Status().Pins; len(pins) != 0 {
		t.Errorf("pins that were removed: %v", pins)
	}
}

func TestTheStateOfAMirrorKeepsItsQueue(t *testing.T) {
	_, _, s, rigs := twins(t)
	s.Break(errors.New("away"))
	rigs[0].want("/debian/"+"dists/one/InRelease", 200, nil)
	entries, err := os.ReadDir(rigs[0].Mirror.share.path(queueDir))
	if err != nil || len(entries) == 0 {
		t.Errorf("%d files are queued, error %v", len(entries), err)
	}
}

// counting is a store that counts its requests, and hangs when it is told to.
type counting struct {
	*share.Memory
	gets, lists, puts atomic.Int64
	hangs             atomic.Bool
}

func (c *counting) hang(ctx context.Context) error {
	for hung := false; ; hung = true {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !c.hangs.Load() && hung:
			return errors.New("the connection is reset")
		case !c.hangs.Load():
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *counting) Open(ctx context.Context, req fetch.Request) (*fetch.Body, error) {
	c.gets.Add(1)
	if err := c.hang(ctx); err != nil {
		return nil, err
	}
	return c.Memory.Open(ctx, req)
}

func (c *counting) Get(ctx context.Context, key string) ([]byte, string, error) {
	c.gets.Add(1)
	if err := c.hang(ctx); err != nil {
		return nil, "", err
	}
	return c.Memory.Get(ctx, key)
}

func (c *counting) Put(ctx context.Context, key string, data []byte, was string) (string, error) {
	c.puts.Add(1)
	if err := c.hang(ctx); err != nil {
		return "", err
	}
	return c.Memory.Put(ctx, key, data, was)
}

func (c *counting) List(ctx context.Context, prefix string) ([]share.Object, error) {
	c.lists.Add(1)
	if err := c.hang(ctx); err != nil {
		return nil, err
	}
	return c.Memory.List(ctx, prefix)
}

// While nothing happens a round costs one request, and while a client asks for
// a root one more.
func TestAnIdleMirrorAsksForLittle(t *testing.T) {
	r := newRepo(t)
	r.build("p", "1", 1000)
	files := r.publish()
	s := &counting{Memory: &share.Memory{}}
	m := newRig(t, debianAt(newOrigin(t, files), r.keys()), func(c *Config) { c.Share = s })
	m.fill(files)
	settle(t, m)
	gets, lists, puts := s.gets.Load(), s.lists.Load(), s.puts.Load()
	const rounds = 20
	for range rounds {
		if err := m.share.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	m.want("/debian/dists/one/InRelease", 200, files["dists/one/InRelease"])
	m.want("/debian/"+debPath, 200, files[debPath])
	// The mirror makes rounds of its own meanwhile.
	if n := s.gets.Load() - gets; n < rounds || n > 2*rounds || s.lists.Load() != lists || s.puts.Load() != puts {
		t.Errorf("%d gets, %d lists, %d puts", n, s.lists.Load()-lists, s.puts.Load()-puts)
	}
}

// A store that takes requests and never answers keeps no client waiting for
// good.
func TestAStoreThatHangs(t *testing.T) {
	r := newRepo(t)
	r.build("p", "1", 1000)
	files := r.publish()
	s := &counting{Memory: &share.Memory{}}
	m := newRig(t, debianAt(newOrigin(t, files), r.keys()), func(c *Config) { c.Share, c.Fresh = s, time.Nanosecond })
	m.want("/debian/dists/one/InRelease", 200, files["dists/one/InRelease"])
	s.hangs.Store(true)
	m.want("/debian/"+debPath, 200, files[debPath]) // of a set that is here
	m.fill(files)
	if st := m.Status().Store; st.Error == "" {
		t.Errorf("%+v", st)
	}
	m.restart() // also not at a start
	m.fill(files)
	s.hangs.Store(false)
	settle(t, m)
	if st := m.Status().Store; st.Error != "" || st.Queued != 0 {
		t.Errorf("%+v", st)
	}
}

// A mirror that has worked alone gives the store all that it has when it is
// first told of one, and another one again all.
func TestAStoreThatComesLater(t *testing.T) {
	r := newRepo(t)
	r.build("p", "1", 100_000)
	files := r.publish()
	o := newOrigin(t, files)
	first := newRig(t, debianAt(o, r.keys()), nil)
	first.fill(files)
	snap, err := first.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		s := &share.Memory{Title: "store " + itoa(i)}
		first.conf.Share = s
		first.restart()
		settle(t, first)
		settle(t, first) // what it had before goes last
		o.set(files)
		second := newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share = s })
		settle(t, second)
		die(o)
		second.fill(files)
		second.want("/snapshot/"+snap.Time.Format(timestampForm)+"/debian/"+debPath, 200, files[debPath])
		if len(second.History("p", "", "")) != 1 {
			t.Error("the history did not come")
		}
	}
}
