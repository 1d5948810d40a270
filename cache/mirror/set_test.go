package mirror

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samebits/samebits/lockfile"
)

func always(c *Config) { c.Fresh = time.Nanosecond }

func TestASetComesWhole(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	repo.build("third", "1", 10)
	next := repo.publish()
	// The new InRelease is there; its Packages is not yet.
	torn := map[string][]byte{}
	for path, data := range next {
		torn[path] = data
		if strings.Contains(path, "Packages.xz") || strings.Contains(path, "by-hash") {
			delete(torn, path)
		}
	}
	o.set(torn)
	resp := r.want(inReleasePath, 200, nil)
	_, body := r.mustGet(inReleasePath)
	if bytes.Equal(body, next["dists/one/InRelease"]) || resp.Header.Get("Warning") == "" {
		t.Error("a set was shown of which a file is not to be had")
	}
	r.want(packagesPath, 200, nil)
	r.current("dists/one/InRelease").failedAt = time.Time{}
	o.set(next)
	resp = r.want(inReleasePath, 200, next["dists/one/InRelease"])
	if resp.Header.Get("Warning") != "" {
		t.Error(resp.Header)
	}
	n := o.count("dists/one/main/binary-amd64/Packages.xz")
	r.want(packagesPath, 200, next["dists/one/main/binary-amd64/Packages.xz"])
	if o.count("dists/one/main/binary-amd64/Packages.xz") != n {
		t.Error("a file that clients use was not there before the set was shown")
	}
}

// current returns a root for tests to look into.
func (r *rig) current(path string) *root {
	root, err := r.upstreams[0].root(path)
	if err != nil {
		r.t.Fatal(err)
	}
	return root
}

func TestOldSetsAreServedByHash(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	old := o.files["dists/one/main/binary-amd64/Packages.xz"]
	// As if the set before had come in the same second, or later still.
	root := r.current("dists/one/InRelease")
	root.mu.Lock()
	root.current.rec.Stamp = time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	root.mu.Unlock()
	first := r.want(inReleasePath, 200, nil).Header.Get("Last-Modified")
	repo.build("third", "1", 10)
	o.set(repo.publish())
	second := r.want(inReleasePath, 200, o.files["dists/one/InRelease"]).Header.Get("Last-Modified")
	if a, b := mustTime(t, first), mustTime(t, second); !b.After(a) {
		t.Errorf("the Last-Modified of two InRelease: %s, then %s", first, second)
	}
	byHash := "/debian/dists/one/main/binary-amd64/by-hash/SHA256/" + lockfile.DigestOf(old).String()
	r.want(byHash, 200, old)
	r.restart()
	r.want(byHash, 200, old)
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := http.ParseTime(s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestWhatIsNotWellSignedIsRefused(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	good := o.files["dists/one/InRelease"]
	repo.build("third", "1", 10)
	next := repo.publish()
	for name, bad := range map[string][]byte{
		"changed":  bytes.Replace(next["dists/one/InRelease"], []byte("Label: Extra"), []byte("Label: Other"), 1),
		"unsigned": next["dists/one/Release"],
		"cut off":  next["dists/one/InRelease"][:300],
		"a page":   []byte("<html>please log in"),
		"empty":    nil,
	} {
		next["dists/one/InRelease"] = bad
		o.set(next)
		r.current("dists/one/InRelease").failedAt = time.Time{}
		resp := r.want(inReleasePath, 200, good)
		if w := resp.Header.Values("Warning"); len(w) != 2 || !strings.HasPrefix(w[0], "110 ") || !strings.HasPrefix(w[1], "199 ") {
			t.Errorf("%s: warnings %q", name, w)
		}
		if len(bad) > 0 && r.store.has(lockfile.DigestOf(bad)) {
			t.Errorf("%s: it was kept", name)
		}
		r.want(smallPath, 200, repo.debs[smallDeb])
	}
	if !strings.Contains(r.log.String(), "refused") {
		t.Error("nothing was logged")
	}
	journal, err := os.ReadFile(r.conf.State + "/journal")
	if err != nil || !bytes.Contains(journal, []byte("\trefused\tdebian\tdists/one/InRelease\t")) {
		t.Errorf("the journal: %s", journal)
	}
}

func TestUnknownKeyAtFirst(t *testing.T) {
	repo := newRepo(t)
	repo.build("small", "1", 10)
	o := newOrigin(t, repo.publish())
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		os.RemoveAll(home)
	})
	other := &repo2{repo: *repo}
	other.gpgHome = home
	other.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "U <u@example.org>", "ed25519", "sign", "0")
	r := newRig(t, debianAt(o, other.keys()), nil)
	r.want(inReleasePath, 502, nil)
	if _, ok := o.files["dists/one/InRelease"]; !ok || r.store.has(lockfile.DigestOf(o.files["dists/one/InRelease"])) {
		t.Error("what no known key signed was kept")
	}
}

// repo2 is a repo with another key.
type repo2 struct{ repo }

func TestReplayIsRefused(t *testing.T) {
	repo, o, r := simple(t, always)
	old := repo.files()
	time.Sleep(1100 * time.Millisecond) // for another Date
	repo.build("third", "1", 10)
	next := repo.publish()
	o.set(next)
	updated(r)
	o.set(old)
	resp := r.want(inReleasePath, 200, next["dists/one/InRelease"])
	if resp.Header.Get("Warning") == "" {
		t.Error("an older InRelease was taken without a word")
	}
}

func TestOneConditionalRequestHoweverManyClients(t *testing.T) {
	_, o, r := simple(t, func(c *Config) { c.Fresh = 500 * time.Millisecond })
	updated(r)
	o.mu.Lock()
	clear(o.asked)
	o.mu.Unlock()
	begin := time.Now()
	n := 0
	for time.Since(begin) < 1200*time.Millisecond {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { r.mustGet(inReleasePath) })
		}
		wg.Wait()
		n += 8
	}
	if got := o.count("dists/one/InRelease"); got < 1 || got > 4 {
		t.Errorf("%d requests upstream for %d of clients", got, n)
	}
	if full := o.gets["dists/one/InRelease"]; full != 1 {
		t.Errorf("upstream sent the file %d times", full)
	}
}

func TestHistoryOutlivesThePool(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	r.waitIndexed()
	small := repo.debs[smallDeb]
	r.want(smallPath, 200, small)
	repo.drop()
	time.Sleep(1100 * time.Millisecond)
	// The same version with other bytes, as an attacker would do it.
	repo.build("small", "1.0-1", 200)
	o.set(repo.publish())
	r.want(inReleasePath, 200, nil)
	r.waitIndexed()
	r.want(smallPath, 200, repo.debs[smallDeb])
	seen := r.History("small", "1.0-1", "amd64")
	if len(seen) != 2 {
		t.Fatalf("the history has %v", seen)
	}
	if m := r.Metrics(); m.Changed != 1 || !strings.Contains(r.log.String(), "another digest") {
		t.Errorf("a version that changed was not reported: %+v", m)
	}
	r.restart()
	if got := r.History("large", "", ""); len(got) != 1 || got[0].Archive != "Example%20Org/Extra" || got[0].Path != largeDeb {
		t.Errorf("%+v", got)
	}
	// What is only in the history is still to be had.
	r.want("/blob/sha256/"+lockfile.DigestOf(small).String(), 200, small)
	// An index that was deleted is made anew.
	r.stopAll()
	if err := os.Remove(r.conf.State + "/history.db"); err != nil {
		t.Fatal(err)
	}
	r.start()
	if got := r.History("small", "", ""); len(got) != 2 {
		t.Errorf("%+v", got)
	}
}

func TestOffline(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	r.SetOffline(true)
	n := len(o.asked)
	r.want(inReleasePath, 200, nil)
	r.want(smallPath, 200, repo.debs[smallDeb])
	r.want(largePath, 504, nil)
	r.want("/debian/dists/two/InRelease", 504, nil)
	r.want("/debian/README", 504, nil)
	if len(o.asked) != n {
		t.Error("upstream was asked")
	}
	r.SetOffline(false)
	r.want(largePath, 200, repo.debs[largeDeb])
}

func TestEvictsOnlyWhatCanBeHadAgain(t *testing.T) {
	repo, o, r := simple(t, func(c *Config) { always(c); c.Budget = 100_000 })
	updated(r)
	r.waitIndexed()
	repo.build("pinned", "1", 300_000)
	gone := repo.build("gone", "1", 300_000)
	goneData := repo.debs[gone]
	o.set(repo.publish())
	updated(r)
	r.waitIndexed()
	pinned := "pool/main/pinned_1_amd64.deb"
	for path, data := range repo.debs {
		r.want("/debian/"+strings.ReplaceAll(path, "+", "%2b"), 200, data)
	}
	delete(repo.debs, gone)
	os.Remove(repo.dir + "/" + gone)
	time.Sleep(1100 * time.Millisecond)
	o.set(repo.publish())
	updated(r)
	r.waitIndexed()
	err := r.Pin(t.Context(), "mine", &lockfile.Lock{Entries: []lockfile.Entry{{Path: "x", Digest: lockfile.DigestOf(repo.debs[pinned])}}})
	if err != nil {
		t.Fatal(err)
	}
	r.age()
	pruned, err := r.Evict(t.Context())
	if err != nil || len(pruned.Blobs) == 0 {
		t.Fatalf("%+v %v", pruned, err)
	}
	for name, c := range map[string]struct {
		data []byte
		stay bool
	}{"large": {repo.debs[largeDeb], false}, "pinned": {repo.debs[pinned], true}, "gone from upstream": {goneData, true},
		"metadata": {o.files["dists/one/main/binary-amd64/Packages.xz"], true}} {
		if r.store.has(lockfile.DigestOf(c.data)) != c.stay {
			t.Errorf("%s: stays: %t", name, !c.stay)
		}
	}
	r.want(largePath, 200, repo.debs[largeDeb])
	if pins := r.Status().Pins; len(pins) != 1 || pins[0] != "mine" {
		t.Errorf("pins: %v", pins)
	}
}

// age has all blobs look as if nobody had used them for a long time.
func (r *rig) age() {
	entries, err := os.ReadDir(r.conf.Cache + "/blobs/sha256")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.Chtimes(r.conf.Cache+"/blobs/sha256/"+e.Name(), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func TestTidyLetsGoOfOldSets(t *testing.T) {
	repo, o, r := simple(t, always)
	updated(r)
	for i := range 2 {
		repo.build("third", itoa(i), 10)
		o.set(repo.publish())
		r.want(inReleasePath, 200, nil)
		if i == 0 {
			if _, err := r.Freeze(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.tidy(t.Context(), time.Now())
	if n := len(r.current("dists/one/InRelease").oldSets()); n != 2 {
		t.Errorf("%d old sets", n)
	}
	r.tidy(t.Context(), time.Now().Add(48*time.Hour))
	if n := len(r.current("dists/one/InRelease").oldSets()); n != 0 {
		t.Errorf("%d old sets", n)
	}
	records, _ := os.ReadDir(r.conf.State + "/sets")
	if len(records) != 2 { // the current one and the frozen one
		t.Errorf("%d records", len(records))
	}
	r.want("/debian/dists/one/main/binary-amd64/by-hash/MD5Sum/"+strings.Repeat("0", 32), 404, nil)
	r.restart()
	r.want("/snapshot/"+r.Snapshots()[0]+"/debian/dists/one/InRelease", 200, nil)
}

func TestDamagedBlobIsFetchedAgain(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	r.stopAll()
	name := r.conf.Cache + "/blobs/sha256/" + lockfile.DigestOf(repo.debs[smallDeb]).String()
	if err := os.WriteFile(name, []byte("rotten"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.want(smallPath, 200, repo.debs[smallDeb])
	if n := o.count(smallDeb); n != 2 {
		t.Errorf("%d requests upstream", n)
	}
}

// Someone deletes blobs while the mirror runs: what upstream has comes back, the
// root of a set too.
func TestLostBlobsComeBack(t *testing.T) {
	repo, o, r := simple(t, nil)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
	if err := os.RemoveAll(r.conf.Cache + "/blobs/sha256"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.conf.Cache+"/blobs/sha256", 0o755); err != nil {
		t.Fatal(err)
	}
	r.hot.clear()
	for path, data := range map[string][]byte{inReleasePath: o.files["dists/one/InRelease"], packagesPath: o.files["dists/one/main/binary-amd64/Packages.xz"], smallPath: repo.debs[smallDeb]} {
		r.want(path, 200, data)
	}
	if !strings.Contains(r.log.String(), "a set is lost") {
		t.Error("nothing was logged")
	}
}

// What appears while it is decided what is evicted, stays.
func TestEvictionSparesWhatAppears(t *testing.T) {
	_, _, r := simple(t, func(c *Config) { c.Budget = 1 })
	stop := r.store.watch()
	d, err := r.store.put(t.Context(), []byte("just now"))
	if err != nil {
		t.Fatal(err)
	}
	if !r.store.recent[d] {
		t.Error("what has appeared is not known")
	}
	stop()
	if _, err := r.store.put(t.Context(), []byte("later")); err != nil || r.store.recent != nil {
		t.Error(err, r.store.recent)
	}
	r.store.evicting.Lock()
	done := make(chan error)
	go func() {
		_, err := r.store.put(t.Context(), []byte("meanwhile"))
		done <- err
	}()
	select {
	case err := <-done:
		r.store.evicting.Unlock()
		t.Fatalf("a blob appears while others are removed: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	r.store.evicting.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFallsBackToAnotherURL(t *testing.T) {
	repo := newRepo(t)
	repo.build("small", "1.0-1", 100)
	files := repo.publish()
	o, dead := newOrigin(t, files), newOrigin(t, nil)
	dead.Close()
	up := debianAt(o, repo.keys())
	up.URLs = []string{dead.URL + "/debian", o.URL + "/debian"}
	r := newRig(t, up, nil)
	updated(r)
	r.want(smallPath, 200, repo.debs[smallDeb])
}
