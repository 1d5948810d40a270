package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror/share"
	"github.com/samebits/samebits/lockfile"
)

// stocked is a store with all kinds of objects, by a mirror that has fetched
// everything, pinned a lock and frozen a state.
func stocked(t *testing.T) (files map[string][]byte, o *origin, s *share.Memory, first *rig, second func() *rig, at string) {
	r, o, s, rigs := twins(t)
	files = r.files()
	rigs[0].fill(files)
	lock := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "p.deb", Digest: lockfile.DigestOf(files[debPath])}}}
	if err := rigs[0].Pin(t.Context(), "web", lock); err != nil {
		t.Fatal(err)
	}
	snap, err := rigs[0].Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	settle(t, rigs[0])
	second = func() *rig {
		return newRig(t, debianAt(o, r.keys()), func(c *Config) { c.Share, c.Fresh = s, time.Nanosecond })
	}
	return files, o, s, rigs[0], second, snap.Time.Format(timestampForm)
}

// Whatever is done to the objects of a store, a mirror that reads them serves
// what is right, as long as upstream is there, and puts right what it can.
func TestBadObjectsAreNotServed(t *testing.T) {
	files, _, s, _, second, at := stocked(t)
	s.Limit(1 << 20)
	list, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string][]byte{}
	kinds := map[string]bool{}
	for _, o := range list {
		kind, _, _ := strings.Cut(o.Key, "/")
		kinds[kind] = true
		if whole[o.Key], _, err = s.Get(t.Context(), o.Key); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range []string{"blobs", "history", "pins", "roots", "sets", "snapshots"} {
		if !kinds[kind] {
			t.Errorf("there are no objects of the kind %s", kind)
		}
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"truncated":  func(b []byte) []byte { return b[:len(b)/2] },
		"emptied":    func([]byte) []byte { return nil },
		"one bit":    func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"other text": func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
		"too long":   func(b []byte) []byte { return append(b, b...) },
		"huge":       func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) },
	} {
		t.Run(name, func(t *testing.T) {
			for key, data := range whole {
				s.Damage(key, spoil(bytes.Clone(data)))
			}
			m := second()
			_ = m.share.round(t.Context())
			m.want("/debian/dists/one/InRelease", 200, files["dists/one/InRelease"])
			// Who was sent some of a bad file is cut off, and asks again.
			for try := 0; ; try++ {
				_, body, err := m.get("/debian/" + debPath)
				if err == nil && !bytes.Equal(body, files[debPath]) || try > 5 {
					t.Errorf("%d other bytes are served as the package, error %v", len(body), err)
				}
				if err == nil || try > 5 {
					break
				}
			}
			m.fill(files)
			if resp, body := m.mustGet("/snapshot/" + at + "/debian/" + debPath); resp.StatusCode == 200 && !bytes.Equal(body, files[debPath]) {
				t.Errorf("a frozen state has %d other bytes", len(body))
			}
			if st := m.Status(); st.Store.Bad == 0 || len(st.Pins) > 0 || len(m.Mirror.Snapshots()) > 0 {
				t.Errorf("%+v, pins %v", st.Store, st.Pins)
			}
			settle(t, m)
			key := share.BlobKey(lockfile.DigestOf(files[debPath]))
			if got, _, err := s.Get(t.Context(), key); err != nil || !bytes.Equal(got, files[debPath]) {
				t.Errorf("the package in the store was not put right: %d bytes, error %v", len(got), err)
			}
			if rec, err := m.share.theirs(t.Context(), m.current("dists/one/InRelease"), m.current("dists/one/InRelease").peek().id); err != nil || rec == nil {
				t.Errorf("the set in the store was not put right: %v", err)
			}
			m.stopAll()
		})
	}
}

// A mirror that finds nothing but bad blobs, and no upstream, serves errors.
func TestBadBlobsWithoutUpstream(t *testing.T) {
	files, o, s, _, second, at := stocked(t)
	list, _ := s.List(t.Context(), "blobs/")
	for _, b := range list {
		data, _, _ := s.Get(t.Context(), b.Key)
		data[len(data)-1] ^= 1
		s.Damage(b.Key, data)
	}
	die(o)
	m := second()
	for _, path := range []string{"/debian/dists/one/InRelease", "/debian/" + debPath, "/snapshot/" + at + "/debian/" + debPath, "/blob/sha256/" + lockfile.DigestOf(files[debPath]).String()} {
		if resp, body, err := m.get(path); err == nil && resp.StatusCode == 200 {
			t.Errorf("%s is answered with %d bytes", path, len(body))
		}
	}
}

// A set that the store holds is believed only if its signature is good: one
// that some other key signed is not served.
func TestASetOfAnotherKeyIsNotBelieved(t *testing.T) {
	_, o, _, first, _, _ := stocked(t)
	other := &repo{t: t, dir: t.TempDir(), gpgHome: t.TempDir()}
	other.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "O <o@example.org>", "ed25519", "sign", "0")
	t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", other.gpgHome, "--kill", "all").Run() })
	m := newRig(t, debianAt(o, other.keys()), func(c *Config) { c.Share, c.Fresh = first.conf.Share, time.Nanosecond })
	if resp, _, err := m.get("/debian/dists/one/InRelease"); err == nil && resp.StatusCode == 200 {
		t.Error("a set is served that no known key signed")
	}
	if !strings.Contains(m.log.String(), "cannot agree with the store") {
		t.Error("nothing is said of it")
	}
}

// A store that ignores conditions is refused when the mirror starts.
func TestAnUnconditionalStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(Config{Cache: dir + "/c", State: dir + "/s", Share: careless{&share.Memory{}}, Client: quickClient(),
		Upstreams: []Upstream{{Prefix: "debian", URLs: []string{"http://127.0.0.1:1"}, Format: &Debian{}}}})
	if !errors.Is(err, share.ErrUnconditional) {
		t.Errorf("got %v", err)
	}
}

// careless ignores conditions.
type careless struct{ *share.Memory }

func (c careless) Put(ctx context.Context, key string, data []byte, was string) (string, error) {
	_, tag, _ := c.Get(ctx, key)
	return c.Memory.Put(ctx, key, data, tag)
}

// Old metadata leaves the store; what is current, frozen, young, pinned or a
// package stays.
func TestUpkeep(t *testing.T) {
	r, o, s, rigs := twins(t)
	m := rigs[0]
	var states []map[string][]byte
	for i := range 4 {
		if i > 0 {
			time.Sleep(1100 * time.Millisecond) // the date of a set has whole seconds
			r.build("q"+itoa(i), "1", 1000)
		}
		states = append(states, r.publish())
		o.set(states[i])
		m.fill(states[i])
		if i == 1 {
			if _, err := m.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, m)
		if i == 2 {
			s.Age(8 * 24 * time.Hour) // the last state is young
		}
	}
	index := func(i int) string {
		return share.BlobKey(lockfile.DigestOf(states[i]["dists/one/main/binary-amd64/Packages.xz"]))
	}
	pinned := &lockfile.Lock{Entries: []lockfile.Entry{{Path: "x", Digest: lockfile.DigestOf(states[0]["dists/one/InRelease"])}}}
	if err := m.Pin(t.Context(), "old", pinned); err != nil {
		t.Fatal(err)
	}
	settle(t, m)
	clean := func() {
		t.Helper()
		if err := s.Delete(t.Context(), upkeepKey); err != nil {
			t.Fatal(err)
		}
		if err := m.share.upkeep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	has := func(key string) bool { _, _, err := s.Get(t.Context(), key); return err == nil }
	clean()
	for i, want := range []bool{false, true, false, true} {
		if has(index(i)) != want {
			t.Errorf("the index of state %d is there: %v", i, !want)
		}
	}
	if !has(share.BlobKey(lockfile.DigestOf(states[0]["dists/one/InRelease"]))) || !has(share.BlobKey(lockfile.DigestOf(states[0][debPath]))) {
		t.Error("what is pinned, or a package, was deleted")
	}
	if list, _ := s.List(t.Context(), "sets/"); len(list) != 2 {
		t.Errorf("%d sets stay", len(list))
	}
	// Another one has just done it: nothing is done now.
	s.Damage(index(0), []byte("x"))
	s.Age(30 * 24 * time.Hour)
	if err := m.share.upkeep(t.Context()); err != nil || !has(index(0)) {
		t.Fatal(err)
	}
	clean() // the current set is old now as well
	if list, _ := s.List(t.Context(), "sets/"); len(list) != 2 {
		t.Errorf("%d sets stay", len(list))
	}
	die(o)
	rigs[1].fill(states[3])
	// What cannot be read might name anything.
	list, _ := s.List(t.Context(), "snapshots/")
	s.Damage(list[0].Key, []byte("x"))
	_ = s.Delete(t.Context(), upkeepKey)
	if err := m.share.upkeep(t.Context()); !errors.Is(err, share.ErrDamaged) || !has(index(1)) {
		t.Errorf("after damage: %v", err)
	}
}

// A damaged segment of lines is passed over, and lines that come twice are
// taken once.
func TestFeedsWithDamage(t *testing.T) {
	files, _, s, first, second, _ := stocked(t)
	seen := first.History("p", "", "")
	again := seen[0]
	again.Path = "pool/main/other.deb"
	s.Damage("history/000000000001", []byte("samebits history 0\n"))
	text := []byte(seen[0].line() + again.line() + again.line() + "garbage\n")
	s.Damage("history/000000000002", share.Seal("history", text))
	m := second()
	if err := m.share.beat(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, m)
	if got := m.History("p", "", ""); len(got) != 1 || m.history.find(byPath, "debian\x00pool/main/other.deb\x00", 2) == nil {
		t.Errorf("the history has %v", got)
	}
	// Its own lines come after all that, and no line that others sent is sent again.
	lines := m.history.lines.length()
	m.fill(files)
	settle(t, m, first)
	if list, _ := s.List(t.Context(), "history/"); len(list) != 3 || m.history.lines.length() != lines {
		t.Errorf("%d segments, %d bytes more", len(list), m.history.lines.length()-lines)
	}
	if got := first.history.find(byPath, "debian\x00pool/main/other.deb\x00", 5); len(got) != 1 || !slices.Contains(got, again) {
		t.Errorf("the first has %v", got)
	}
}

// A set is known by all that is in it: another one under its name is damaged,
// however well it is sealed.
func TestASetIsTheOneOfItsName(t *testing.T) {
	_, _, s, first, _, _ := stocked(t)
	current := first.current("dists/one/InRelease").peek()
	changed := *current.rec
	changed.Stamp = changed.Stamp.Add(time.Hour)
	data, err := json.Marshal(changed)
	if err != nil {
		t.Fatal(err)
	}
	s.Damage(setKey(current.id), share.Seal("set", data))
	if rec, err := first.share.record(t.Context(), current.id); !errors.Is(err, share.ErrDamaged) {
		t.Errorf("%+v, error %v", rec, err)
	}
}
