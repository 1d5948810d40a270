package debian

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/debian/archive"
	"github.com/samebits/samebits/distro/debian/snapshot"
	"github.com/samebits/samebits/distro/debian/snapshot/snapshottest"
	"github.com/samebits/samebits/distro/rootfs"
	fetchweb "github.com/samebits/samebits/fetch/web"
)

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 12, 0, 0, 0, time.UTC)
}

// A world is an archive with three states of bookworm, one of its
// proposed-updates and one of sid, and a root that has bookworm configured.
type world struct {
	server   *snapshottest.Server
	public   []byte // the key
	system   *System
	suites   []pastSuite
	warnings []string
	steps    []string
}

func debOf(name, version string) snapshottest.Deb {
	return snapshottest.Deb{Name: name, Version: version, Arch: "amd64"}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	// The key expired long ago, but had not when it signed.
	return newWorldOf(t, snapshottest.NewKey(t, day(2023, 1, 1), "2y"))
}

func newWorldOf(t *testing.T, key *snapshottest.Key) *world {
	t.Helper()
	w := &world{server: snapshottest.NewServer(t), public: key.Public}
	suite := snapshottest.Suite{Name: "bookworm", Origin: "Debian", Label: "Debian", Codename: "bookworm", Alias: "stable", Architectures: []string{"amd64", "i386"}}
	common := snapshottest.Deb{Name: "common", Version: "1", Arch: "all"}
	for i, at := range []time.Time{day(2023, 6, 10), day(2023, 10, 7), day(2024, 2, 10)} {
		dir := t.TempDir()
		key.Publish(t, dir, suite, at, debOf("foo", fmt.Sprintf("1:1.%d", i)), common,
			snapshottest.Deb{Name: "foo", Version: fmt.Sprintf("1:1.%d", i), Arch: "i386"})
		switch i {
		case 1: // between two point releases
			proposed := suite
			proposed.Name, proposed.Codename, proposed.Alias = "bookworm-proposed-updates", "bookworm-proposed-updates", "proposed-updates"
			key.Publish(t, dir, proposed, at.Add(time.Hour), debOf("soon", "2.0"))
		case 2:
			sid := suite
			sid.Name, sid.Codename, sid.Alias = "sid", "sid", "unstable"
			key.Publish(t, dir, sid, at.Add(time.Hour), debOf("new", "3.0"))
		}
		w.server.Add("debian", at.Add(3*time.Hour), dir) // the service comes by some hours later
	}
	keys, err := archive.ReadKeys(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	files, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	w.system = &System{Root: root, Files: files, Config: &apt.Config{Architectures: []string{"amd64", "i386"}}, events: &distro.Events{
		Warn: func(m string) { w.warnings = append(w.warnings, m) },
		Step: func(m string) { w.steps = append(w.steps, m) },
	}}
	w.suites = []pastSuite{{
		repo: apt.Repository{URI: "http://mirror.example/debian/", Suite: "stable", Components: []string{"main"}, Architectures: []string{"amd64"}},
		keys: keys,
		now:  &archive.Release{Origin: "Debian", Label: "Debian", Suite: "stable", Codename: "bookworm", Date: day(2024, 2, 10)},
	}}
	return w
}

func (w *world) search(t *testing.T, packages ...distro.Package) (map[distro.Package]pastRecord, map[distro.Package]string) {
	t.Helper()
	return w.system.searchPast(t.Context(), distro.LocateRequest{
		Fetcher: snapshottest.Fetcher{}, Snapshots: true,
		Keepers: []distro.Mirror{w.server.Mirror("Debian", "debian")},
	}, packages, w.suites)
}

// installed has dpkg's list of a package be written at a time.
func (w *world) installed(t *testing.T, name string, at time.Time) {
	t.Helper()
	list := filepath.Join(w.system.Root, "var/lib/dpkg/info", name+".list")
	if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(list, at, at); err != nil {
		t.Fatal(err)
	}
}

func packageOf(name, version, arch string) distro.Package {
	return distro.Package{Name: name, Version: version, Arch: arch}
}

func TestPastByInstallTime(t *testing.T) {
	w := newWorld(t)
	w.installed(t, "foo:amd64", day(2023, 11, 1))
	w.installed(t, "foo:i386", day(2023, 11, 1).Add(20*time.Minute))
	foo, foreign := packageOf("foo", "1:1.1", "amd64"), packageOf("foo", "1:1.1", "i386")
	found, reasons := w.search(t, foo, foreign)
	if len(found) != 2 || len(reasons) != 0 {
		t.Fatalf("found %v, reasons %v, warnings %q", found, reasons, w.warnings)
	}
	got := found[foo]
	want := debOf("foo", "1:1.1")
	if got.Path != want.Path() || got.Digest != want.Digest() || !got.release.Date.Equal(day(2023, 10, 7)) || got.archive.String() != "Debian" {
		t.Errorf("found %+v of %s", got.Record, got.release.Date)
	}
	if n := len(w.server.Requests()); n != 6 { // a Release and two indexes, each redirected
		t.Errorf("it took %d requests: %q", n, w.server.Requests())
	}
	if len(w.steps) != 1 || !strings.Contains(w.steps[0], "127.0.0.1") || !strings.Contains(w.steps[0], "mirror of one's own") {
		t.Errorf("told %q", w.steps)
	}
}

func TestPastADayLater(t *testing.T) {
	w := newWorld(t)
	w.suites[0].now.Date = day(2025, 1, 1)
	w.installed(t, "foo:amd64", day(2024, 2, 10).Add(time.Hour)) // the service came two hours later
	foo := packageOf("foo", "1:1.2", "amd64")
	found, reasons := w.search(t, foo)
	if r, ok := found[foo]; !ok || !r.release.Date.Equal(day(2024, 2, 10)) {
		t.Errorf("found %v, reasons %q", found, reasons)
	}
}

// TestLocateInPast goes the whole way: what the current index has is located
// there, what it dropped in the past, and the lock has the newer date.
func TestLocateInPast(t *testing.T) {
	w := newWorldOf(t, snapshottest.NewKey(t, day(2023, 1, 1), "0"))
	if err := os.WriteFile(filepath.Join(w.system.Root, "key.asc"), w.public, 0o644); err != nil {
		t.Fatal(err)
	}
	mirror := w.server.URL + "/archive/debian/20240210T150000Z/"
	w.system.Config.ListsDir, w.system.Config.ArchivesDir = "lists", "archives"
	w.system.Config.Repositories = []apt.Repository{{
		URI: mirror, Mirrors: []string{mirror}, Suite: "bookworm", Components: []string{"main"}, Architectures: []string{"amd64"},
		Trust: apt.Trust{Keyrings: []string{"key.asc"}},
	}}
	req := distro.LocateRequest{
		Packages: []distro.Package{packageOf("common", "1", "all"), packageOf("foo", "1:1.0", "amd64"), packageOf("foo", "1:1.0", "arm64")},
		Fetcher:  snapshottest.Fetcher{}, Snapshots: true, Keepers: []distro.Mirror{w.server.Mirror("Debian", "debian")},
	}
	got, err := w.system.Locate(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range got.Lock.Entries {
		paths = append(paths, e.Archive.String()+" "+e.Path)
	}
	want := "Debian pool/main/c/common/common_1_all.deb, Debian pool/main/f/foo/foo_1.0_amd64.deb"
	if strings.Join(paths, ", ") != want || !got.Lock.Date.Equal(day(2024, 2, 10)) {
		t.Errorf("located %q of %s; warnings %q", paths, got.Lock.Date, w.warnings)
	}
	if len(got.Lock.Missing) != 1 || !strings.Contains(got.Reasons[got.Lock.Missing[0]].String(), "does not know this version") {
		t.Errorf("missing %v, reasons %q", got.Lock.Missing, got.Reasons)
	}
	asked := len(w.server.Requests())
	req.Snapshots = false
	if got, err = w.system.Locate(t.Context(), req); err != nil || len(got.Lock.Missing) != 2 {
		t.Errorf("without snapshots: missing %v, %v", got.Lock.Missing, err)
	}
	for _, r := range w.server.Requests()[asked:] {
		if !strings.HasPrefix(r, "/archive/debian/20240210T150000Z/") {
			t.Errorf("without snapshots %s was asked for", r)
		}
	}
}

func TestPastByWalkingBack(t *testing.T) {
	w := newWorld(t)
	w.installed(t, "foo:amd64", day(1970, 1, 1)) // a clock that was not set
	found, reasons := w.search(t, packageOf("foo", "1:1.0", "amd64"), packageOf("common", "1", "all"), packageOf("foo", "0.9", "amd64"))
	if len(found) != 2 || !found[packageOf("foo", "1:1.0", "amd64")].release.Date.Equal(day(2023, 6, 10)) {
		t.Errorf("found %v", found)
	}
	if r := reasons[packageOf("foo", "0.9", "amd64")]; !strings.Contains(r, "does not know this version") {
		t.Errorf("the reason is %q", r)
	}
	if n := len(w.server.Requests()); n > 20 || w.server.Parallel() != 1 {
		t.Errorf("it took %d requests, up to %d at once: %q", n, w.server.Parallel(), w.server.Requests())
	}
}

func TestPastByInterface(t *testing.T) {
	w := newWorld(t)
	soon, fresh, ghost := debOf("soon", "2.0"), debOf("new", "3.0"), debOf("ghost", "1")
	for d, at := range map[*snapshottest.Deb]time.Time{&soon: day(2023, 10, 20), &fresh: day(2024, 3, 1), &ghost: day(2024, 3, 1)} {
		w.server.AddBinary(d.Name, d.Version, snapshottest.BinFiles("debian", at, *d))
	}
	w.server.AddBinary("garbage", "1", "<html>")
	found, reasons := w.search(t, packageOf("soon", "2.0", "amd64"), packageOf("new", "3.0", "amd64"), packageOf("ghost", "1", "amd64"),
		packageOf("garbage", "1", "amd64"), packageOf("unknown", "1", "amd64"))
	if len(found) != 2 || found[packageOf("soon", "2.0", "amd64")].Digest != soon.Digest() || found[packageOf("new", "3.0", "amd64")].release.Codename != "sid" {
		t.Errorf("found %v, reasons %q, warnings %q", found, reasons, w.warnings)
	}
	for name, want := range map[string]string{
		"ghost":   "has had pool/main/g/ghost/ghost_1_amd64.deb since 2024-03-01, but no signed index",
		"unknown": "does not know this version",
		"garbage": "no signed index of the past",
	} {
		if r := reasons[packageOf(name, "1", "amd64")]; !strings.Contains(r, want) {
			t.Errorf("%s: the reason is %q, want %q", name, r, want)
		}
	}
	if !strings.Contains(strings.Join(w.warnings, "\n"), "/mr/binary/garbage/1/binfiles") {
		t.Errorf("the garbage was not told: %q", w.warnings)
	}
}

func TestPastMoods(t *testing.T) {
	served := func(w http.ResponseWriter, text string) bool {
		_, _ = w.Write([]byte(text)) // the client may be gone
		return true
	}
	for name, c := range map[string]struct {
		mood    func(n int, w http.ResponseWriter, r *http.Request) bool
		found   bool
		warning string
		most    int // requests
	}{
		"busy at first": {func(n int, w http.ResponseWriter, _ *http.Request) bool {
			if n > 1 {
				return false
			}
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, true, "", 8},
		"down": {func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, false, "is not asked again", 9}, // three times three attempts
		"truncates": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, "Packages") && served(w, "half of it")
		}, false, "SHA-256", 20},
		"lies about the Release": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			return strings.HasSuffix(r.URL.Path, "InRelease") && served(w, "Origin: Debian\n")
		}, false, "dists/bookworm/: it is not a signed file", 20},
		"redirects for ever": {func(_ int, w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
			return true
		}, false, "redirects", 40},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.installed(t, "foo:amd64", day(2023, 11, 1))
			n := 0
			w.server.Mood = func(rw http.ResponseWriter, r *http.Request) bool {
				n++ // requests come one at a time
				return c.mood(n, rw, r)
			}
			foo := packageOf("foo", "1:1.1", "amd64")
			found, reasons := w.search(t, foo)
			if _, ok := found[foo]; ok != c.found || (reasons[foo] == "") != c.found {
				t.Errorf("found %v, reasons %q", found, reasons)
			}
			if all := strings.Join(w.warnings, "\n"); !strings.Contains(all, c.warning) || c.warning == "" && all != "" {
				t.Errorf("warned %q, want %q", w.warnings, c.warning)
			}
			if name == "down" && !strings.Contains(reasons[foo], "failed 3 times") {
				t.Errorf("the reason is %q", reasons[foo])
			}
			if n > c.most {
				t.Errorf("it took %d requests, more than %d", n, c.most)
			}
		})
	}
}

// A webFetcher asks for what has no digest as samebits itself does.
type webFetcher struct {
	snapshottest.Fetcher
	client *fetchweb.Client
}

func (f webFetcher) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	return f.client.Get(ctx, url)
}

func TestPastTellsWhatFailedOnce(t *testing.T) {
	unavailable := func(when string) func(w http.ResponseWriter, r *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, when) {
				return false
			}
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
	}
	for name, c := range map[string]struct {
		mood func(w http.ResponseWriter, r *http.Request) bool // nil where nobody listens
		want string                                            // {} is the server
	}{
		"503":              {unavailable(""), "a snapshot archive is of no help: {}/archive/debian/20231101T120000Z/dists/bookworm/InRelease: the server answers 503 Service Unavailable"},
		"503 for an index": {unavailable("Packages"), "a snapshot archive is of no help: {}/archive/debian/20231101T120000Z/dists/bookworm/main/binary-amd64/Packages"},
		"refused":          {nil, "a snapshot archive is of no help: {}/archive/debian/20231101T120000Z/dists/bookworm/InRelease: dial tcp "},
		"no answer of the interface": {func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/mr/") {
				_, err := w.Write([]byte("<html>"))
				return err == nil
			}
			return false
		}, "a snapshot archive is of no help: the answer of {}/mr/binary/gone/9/binfiles"},
		"no InRelease": {func(w http.ResponseWriter, _ *http.Request) bool {
			_, err := w.Write([]byte("Please log in.\n"))
			return err == nil
		}, "cannot use {}/archive/debian/20231101T120000Z/dists/bookworm/: it is not a signed file as OpenPGP describes it"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.installed(t, "gone:amd64", day(2023, 11, 1))
			keeper := w.server.Mirror("Debian", "debian")
			if w.server.Mood = c.mood; c.mood == nil {
				w.server.Close()
			}
			w.system.searchPast(t.Context(), distro.LocateRequest{
				Fetcher: webFetcher{client: fetchweb.NewClient(fetchweb.Config{Retries: -1})}, Snapshots: true, Keepers: []distro.Mirror{keeper},
			}, []distro.Package{packageOf("gone", "9", "amd64")}, w.suites)
			if len(w.warnings) == 0 || !strings.HasPrefix(w.warnings[0], strings.ReplaceAll(c.want, "{}", w.server.URL)) {
				t.Errorf("warned %q, want %q", w.warnings, c.want)
			}
			for _, said := range w.warnings {
				if strings.Count(said, w.server.URL) != 1 {
					t.Errorf("it does not tell one URL: %s", said)
				}
			}
		})
	}
}

func TestPastWantsTheRightKey(t *testing.T) {
	w := newWorld(t)
	other, err := archive.ReadKeys(snapshottest.NewKey(t, day(2023, 1, 1), "0").Public)
	if err != nil {
		t.Fatal(err)
	}
	w.suites[0].keys = other
	found, _ := w.search(t, packageOf("foo", "1:1.1", "amd64"))
	if len(found) != 0 || !strings.Contains(strings.Join(w.warnings, "\n"), archive.ErrUnknownKey.Error()) {
		t.Errorf("found %v with another key; warnings %q", found, w.warnings)
	}
}

func TestPastReadsAnIndexOnce(t *testing.T) {
	key := snapshottest.NewKey(t, day(2023, 1, 1), "0")
	w := newWorldOf(t, key)
	w.server = snapshottest.NewServer(t)
	for i := range 3 { // published anew with nothing changed
		dir, at := t.TempDir(), day(2023, 3, 1+i)
		key.Publish(t, dir, snapshottest.Suite{Name: "bookworm", Origin: "Debian", Label: "Debian", Architectures: []string{"amd64"}}, at, debOf("foo", "1"))
		w.server.Add("debian", at, dir)
	}
	if found, _ := w.search(t, packageOf("foo", "0", "amd64")); len(found) != 0 {
		t.Errorf("found %v", found)
	}
	releases, indexes := 0, 0
	for _, r := range w.server.Requests() {
		if strings.HasPrefix(r, "/archive/debian/2023030") && strings.Contains(r, "T120000Z") { // not the redirects
			releases += strings.Count(r, "InRelease")
			indexes += strings.Count(r, "Packages")
		}
	}
	if releases != 3 || indexes != 1 {
		t.Errorf("%d states and %d indexes were read, want 3 and 1: %q", releases, indexes, w.server.Requests())
	}
}

func TestPastLimit(t *testing.T) {
	w := newWorld(t)
	foo := packageOf("foo", "1:1.0", "amd64")
	h := newHunt(w.system.events, snapshot.NewClient(snapshottest.Fetcher{}, 3), "amd64", []distro.Package{foo})
	h.watch([]distro.Mirror{w.server.Mirror("Debian", "debian")}, w.suites)
	h.run(t.Context(), nil)
	if r := h.reasons[foo]; len(h.found) != 0 || !strings.Contains(r, "bound on requests") {
		t.Errorf("found %v, reason %q", h.found, r)
	}
}

func TestPastWithoutService(t *testing.T) {
	w := newWorld(t)
	w.suites[0].now = nil
	w.suites[0].repo.URI = "http://vendor.example/apt/"
	found, reasons := w.search(t, packageOf("foo", "1:1.0", "amd64"))
	if len(found) != 0 || len(reasons) != 1 || len(w.server.Requests()) != 0 || len(w.steps) != 0 {
		t.Errorf("found %v, reasons %q, requests %q", found, reasons, w.server.Requests())
	}
}

func TestSuiteOfThen(t *testing.T) {
	for _, c := range []struct{ suite, codename, want string }{
		{"stable", "bookworm", "bookworm"},
		{"oldstable-updates", "bookworm-updates", "bookworm-updates"},
		{"stable/updates", "buster", "buster/updates"},
		{"testing-security", "trixie-security", "trixie-security"},
		{"noble-updates", "noble", "noble-updates"},
		{"bookworm", "bookworm", "bookworm"},
		{"stable", "", "stable"},
	} {
		if got := suiteOfThen(c.suite, &archive.Release{Codename: c.codename}); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.suite, c.codename, got, c.want)
		}
	}
}
