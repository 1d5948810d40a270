package arch

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

func TestConformanceOfMadeSystem(t *testing.T) {
	w := newWorld(t)
	foo, bar := pkg(t, "foo", "1:2-1", "DEPENDS=virtual=3"), pkg(t, "bar", "1-1", "PROVIDES=virtual=3")
	w.install(foo, bar)
	w.sync(foo, bar)
	other := t.TempDir()
	if err := os.CopyFS(other, os.DirFS(w.root)); err != nil {
		t.Fatal(err)
	}
	text := "[options]\nArchitecture = x86_64\n[core]\nCacheServer = http://127.0.0.1:1/$arch\nServer = " + w.url + "/core/os/x86_64\nServer = http://127.0.0.1:1/$repo\n"
	writeTo(t, filepath.Join(other, "etc/pacman.conf"), []byte(text))
	distrotest.Run(t, distrotest.Fixture{
		Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: w.root, Others: []string{other},
		Want:    lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"},
		Fetcher: w.fetch, Identifier: w.fetch, Blobs: w.fetch,
	})
}

// TestSignedOnlyOverBytes has the rule of docs/decisions/0008: a digest of a
// database that no one signed counts as signed only once the package's
// signature was verified over bytes of that digest, wherever they are.
func TestSignedOnlyOverBytes(t *testing.T) {
	foo := pkg(t, "foo", "1:2-1")
	for name, tt := range map[string]struct {
		prepare func(w *world, req *distro.LocateRequest)
		want    string
	}{
		"no bytes": {func(w *world, req *distro.LocateRequest) {}, "unsigned"},
		"no identifier": {func(w *world, req *distro.LocateRequest) {
			req.Identifier = nil
		}, "unsigned"},
		"root's cache": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
		}, "signed"},
		"a repository in the root": {func(w *world, req *distro.LocateRequest) {
			w.config("SigLevel = Required DatabaseOptional", "Server = file:///srv/$repo")
			w.put("srv/core/"+foo.file(), foo.data)
		}, "signed"},
		"given directory": {func(w *world, req *distro.LocateRequest) {
			dir := t.TempDir()
			writeTo(t, filepath.Join(dir, "deep/down", strings.ReplaceAll(foo.file(), ":", "%3A")), foo.data)
			req.Directories = []string{dir}
		}, "signed"},
		"network": {func(w *world, req *distro.LocateRequest) { req.Fetcher = w.fetch }, "signed"},
		"network, then none": {func(w *world, req *distro.LocateRequest) {
			if got := state(w.locate(w.online(foo))); got != "signed" {
				t.Errorf("first: %s", got)
			}
		}, "signed"},
		"other bytes in the cache": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), pkg(t, "foo", "1:2-1", "GROUPS=repacked").data)
		}, "unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install(foo)
			w.sync(foo)
			req := w.offline(foo)
			tt.prepare(w, &req)
			got := w.locate(req)
			if state(got) != tt.want {
				t.Errorf("%s, want %s; %q", state(got), tt.want, *w.warned)
			}
			if e := got.Lock.Entries[0]; e.Digest != lockfile.DigestOf(foo.data) || e.Path != "core/os/x86_64/"+foo.file() || e.Archive.String() != archLinux {
				t.Errorf("%+v", e)
			}
			if want := time.Unix(foo.built, 0).UTC(); !got.Lock.Date.Equal(want) {
				t.Errorf("the date is %v, want %v", got.Lock.Date, want)
			}
			if marked := w.said("locked as unsigned"); marked != (tt.want == "unsigned") {
				t.Errorf("warned: %q", *w.warned)
			}
			if other := w.said("is not the file that core names"); other != strings.HasPrefix(name, "other") {
				t.Errorf("warned: %q", *w.warned)
			}
		})
	}
}

// TestTrust has what the root trusts, and what it does not.
func TestTrust(t *testing.T) {
	sync := func(change func(*made)) func(w *world, foo *made) {
		return func(w *world, foo *made) {
			m := *foo
			change(&m)
			w.sync(&m)
		}
	}
	evil := pkg(t, "foo", "2-1", "GROUPS=evil")
	old := pkg(t, "foo", "1-1")
	for name, tt := range map[string]struct {
		prepare func(w *world, foo *made)
		online  string // what becomes of foo; "" for the same as offline
		offline string
	}{
		"good":            {sync(func(*made) {}), "signed", "unsigned"},
		"by a stranger":   {sync(func(m *made) { m.sig = strangerKey().sign(t, m.data) }), "", "missing: its signature is refused: its key is not in the keyring"},
		"garbage":         {sync(func(m *made) { m.sig = []byte("garbage") }), "", "missing: its signature is refused"},
		"of other bytes":  {sync(func(m *made) { m.sig = packagerKey().sign(t, []byte("x")) }), "missing: its signature is refused: it does not match", "unsigned"},
		"digest replaced": {sync(func(m *made) { m.data = evil.data }), "missing: its signature is refused: it does not match", "unsigned"},
		"digest replaced, the right file at hand": {func(w *world, foo *made) {
			m := *foo
			m.data = evil.data
			w.sync(&m)
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
		}, "", "signed"},
		"by a stranger, at hand": {func(w *world, foo *made) {
			m := *foo
			m.sig = strangerKey().sign(t, m.data)
			w.sync(&m)
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
		}, "", "missing: its signature is refused: its key is not in the keyring"},
		"an old one under a new name": {sync(func(m *made) { m.data, m.sig = old.data, old.sig }),
			"missing: its signature is refused: the package in it is foo 1-1 any", "unsigned"},
		"none, required": {sync(func(m *made) { m.sig = nil }), "missing: it has no signature, which SigLevel", "unsigned"},
		"none, beside": {func(w *world, foo *made) {
			m := *foo
			m.sig = nil
			w.sync(&m)
			w.serve("core/os/x86_64/"+foo.file()+".sig", foo.sig)
		}, "signed", "unsigned"},
		"none, optional": {func(w *world, foo *made) {
			w.config("SigLevel = Optional")
			m := *foo
			m.sig = nil
			w.sync(&m)
		}, "unsigned", "unsigned"},
		"never": {func(w *world, foo *made) {
			w.config("SigLevel = Never")
			w.sync(foo)
		}, "unsigned", "unsigned"},
		"trust all": {func(w *world, foo *made) {
			w.config("SigLevel = Required TrustAll")
			w.put("usr/share/pacman/keyrings/test-trusted", nil)
			w.config("SigLevel = PackageRequired DatabaseNever TrustAll")
			w.sync(foo)
		}, "unsigned", "unsigned"},
		"not trusted": {func(w *world, foo *made) {
			w.put("usr/share/pacman/keyrings/test-trusted", nil)
			w.sync(foo)
		}, "", "missing: its signature is refused: its key is not trusted"},
		"revoked": {func(w *world, foo *made) {
			w.put("usr/share/pacman/keyrings/test-revoked", fmt.Appendf(nil, "%X\n", packagerKey().PrimaryKey.Fingerprint))
			w.sync(foo)
		}, "", "missing: its signature is refused: its key is revoked"},
		"no keyring": {func(w *world, foo *made) {
			if err := os.RemoveAll(filepath.Join(w.root, "usr/share/pacman")); err != nil {
				t.Fatal(err)
			}
			w.sync(foo)
		}, "unsigned", "unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			foo := pkg(t, "foo", "2-1")
			w.install(foo)
			tt.prepare(w, foo)
			if got := state(w.locate(w.offline(foo))); !strings.HasPrefix(got, tt.offline) {
				t.Errorf("offline: %s, want %s", got, tt.offline)
			}
			want := tt.online
			if want == "" {
				want = tt.offline
			}
			if got := state(w.locate(w.online(foo))); !strings.HasPrefix(got, want) {
				t.Errorf("online: %s, want %s", got, want)
			}
			if name == "no keyring" && !w.said("has no keyring") {
				t.Errorf("not said: %q", *w.warned)
			}
		})
	}
}

func TestSignedDatabase(t *testing.T) {
	foo := pkg(t, "foo", "2-1")
	foo.sig = nil
	db := databaseOf(t, foo)
	flipped := bytes.Clone(packagerKey().sign(t, db))
	flipped[len(flipped)-1] ^= 1
	for name, tt := range map[string]struct {
		level string
		sig   []byte
		want  string
	}{
		"trusted":            {"Required", packagerKey().sign(t, db), "signed"},
		"trusted, optional":  {"PackageRequired DatabaseOptional", packagerKey().sign(t, db), "signed"},
		"stranger, required": {"Required", strangerKey().sign(t, db), "missing: no database"},
		"stranger, optional": {"Required DatabaseOptional", strangerKey().sign(t, db), "missing: no database"},
		"flipped":            {"Required DatabaseOptional", flipped, "missing: no database"},
		"none, required":     {"Required", nil, "missing: no database"},
		"trust all":          {"DatabaseRequired DatabaseTrustAll PackageOptional", strangerKey().sign(t, db), "unsigned"},
		"not looked at":      {"DatabaseNever PackageOptional", strangerKey().sign(t, db), "unsigned"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.config("SigLevel = " + tt.level)
			if name == "trust all" {
				w.put("usr/share/pacman/keyrings/more.gpg", strangerKey().public(t))
			}
			w.install(foo)
			w.put("var/lib/pacman/sync/core.db", db)
			if tt.sig != nil {
				w.put("var/lib/pacman/sync/core.db.sig", tt.sig)
			}
			req := w.online(foo)
			if got := state(w.locate(req)); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if refused := w.said("the database of core is not used"); refused != strings.HasPrefix(tt.want, "missing") {
				t.Errorf("warned: %q", *w.warned)
			}
			// The same from the network.
			w.serve("core/os/x86_64/core.db", db)
			if tt.sig != nil {
				w.serve("core/os/x86_64/core.db.sig", tt.sig)
			}
			if err := os.RemoveAll(filepath.Join(w.root, "var/lib/pacman/sync")); err != nil {
				t.Fatal(err)
			}
			if got := state(w.locate(req)); !strings.HasPrefix(got, tt.want) {
				t.Errorf("fetched: %s, want %s", got, tt.want)
			}
		})
	}
}

func TestFresh(t *testing.T) {
	w := newWorld(t)
	foo := pkg(t, "foo", "2-1")
	w.install(foo)
	w.sync(pkg(t, "foo", "1-1"))
	w.serve("core/os/x86_64/core.db", databaseOf(t, foo))
	w.serve("core/os/x86_64/"+foo.file(), foo.data)
	req := w.online(foo)
	if got := state(w.locate(req)); got != "missing: the repositories offer other versions now: core offers 1-1" {
		t.Error(got)
	}
	req.Fresh = true
	if got := state(w.locate(req)); got != "signed" {
		t.Error(got)
	}
	w.broken = func(path string) bool { return strings.HasSuffix(path, ".db") }
	if got := state(w.locate(req)); !strings.HasPrefix(got, "missing") || !w.said("no fresh one could be had") {
		t.Errorf("%s; %q", got, *w.warned)
	}
}

// TestOtherBuild has a version that was built again: what is installed is not
// what the repository has.
func TestOtherBuild(t *testing.T) {
	w := newWorld(t)
	foo := pkg(t, "foo", "2-1")
	mine := *foo
	mine.built++
	w.install(&mine)
	w.sync(foo)
	if got := state(w.locate(w.online(foo))); !strings.HasPrefix(got, "missing: the repositories have another build of this version") {
		t.Error(got)
	}
	w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
	if got := state(w.locate(w.online(foo))); !strings.HasPrefix(got, "missing") {
		t.Errorf("that build is in the cache: %s", got)
	}
}

// TestDeadNetwork has servers that are ill: they are not asked for each of
// many packages.
func TestDeadNetwork(t *testing.T) {
	w := newWorld(t)
	w.broken = func(path string) bool { return true }
	// The well-known mirrors are not to be reached from tests.
	w.config("SigLevel = Required DatabaseOptional", "[mine]", "Server = "+w.url+"/$repo/os/$arch")
	var all []*made
	for i := range 100 {
		all = append(all, pkg(t, fmt.Sprintf("foo%d", i), "1-1"))
	}
	w.install(all...)
	w.put("var/lib/pacman/sync/mine.db", databaseOf(t, all...))
	w.put("var/lib/pacman/sync/core.db", databaseOf(t))
	got := w.locate(w.online(all...))
	if !w.said("could not be had (foo") || !w.said("500") {
		t.Errorf("warned: %q", *w.warned)
	}
	if n := len(w.fetch.Asked()); n > 2*(maxParallel+maxFailures) {
		t.Errorf("%d questions to a dead network", n)
	}
	if len(got.Lock.Entries) != 100 || !got.Lock.Entries[99].Unsigned {
		t.Errorf("%d entries", len(got.Lock.Entries))
	}
	if e := got.Lock.Entries[0]; e.Archive.String() != "mine "+w.url || e.Path != "mine/os/x86_64/foo0-1-1-any.pkg.tar.gz" {
		t.Errorf("%+v", e)
	}
}
