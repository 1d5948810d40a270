package arch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// TestReasonsAndHints has why a package is missing, and what would help.
func TestReasonsAndHints(t *testing.T) {
	foo := pkg(t, "foo", "2-1")
	for name, tt := range map[string]struct {
		prepare      func(w *world, req *distro.LocateRequest)
		reason, hint string
	}{
		"other version": {func(w *world, req *distro.LocateRequest) { w.sync(pkg(t, "foo", "3-1")) },
			"the repositories offer other versions now: core offers 3-1", "run without --offline"},
		"no such name": {func(w *world, req *distro.LocateRequest) { w.sync(pkg(t, "bar", "3-1")) },
			"no configured repository has this name", "found in /var/cache/pacman/pkg"},
		"no database": {func(w *world, req *distro.LocateRequest) {},
			"no database of a repository could be read", "databases of repositories are absent"},
		"a damaged one": {func(w *world, req *distro.LocateRequest) { w.put("var/lib/pacman/sync/core.db", []byte("x")) },
			"no database of a repository could be read", "could not be used"},
		"one of two": {func(w *world, req *distro.LocateRequest) {
			w.config("SigLevel = Required DatabaseOptional", "[extra]", "Server = "+w.url)
			w.sync(pkg(t, "bar", "1-1"))
		}, "no database that could be read has this name", "databases of repositories are absent"},
		"no snapshots": {func(w *world, req *distro.LocateRequest) {
			w.sync(pkg(t, "foo", "3-1"))
			req.Fetcher = w.fetch
		}, "the repositories offer other versions now", "--no-snapshot"},
		"no keys": {func(w *world, req *distro.LocateRequest) {
			w.sync(pkg(t, "foo", "3-1"))
			req.Fetcher, req.Snapshots = w.fetch, true
			if err := os.RemoveAll(filepath.Join(w.root, "usr/share/pacman")); err != nil {
				t.Fatal(err)
			}
		}, "the repositories offer other versions now", "install archlinux-keyring"},
		"a record that names another file": {func(w *world, req *distro.LocateRequest) {
			odd := *foo
			odd.data = pkg(t, "foo", "2-1").data
			text := strings.Replace(odd.desc(false), foo.file(), "bar-2-1-any.pkg.tar.gz", 1)
			w.put("var/lib/pacman/sync/core.db", tarball(t, [][2]string{{"foo-2-1/", ""}, {"foo-2-1/desc", text}}))
		}, "no configured repository has this name", ""},
		"a record without a digest": {func(w *world, req *distro.LocateRequest) {
			text := strings.Replace(foo.desc(false), "SHA256SUM", "MD5SUM", 1)
			w.put("var/lib/pacman/sync/core.db", tarball(t, [][2]string{{"foo-2-1/", ""}, {"foo-2-1/desc", text}}))
		}, "no configured repository has this name", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install(foo)
			req := w.offline(foo)
			tt.prepare(w, &req)
			got := w.locate(req)
			if !strings.HasPrefix(state(got), "missing: "+tt.reason) {
				t.Errorf("%s, want %s", state(got), tt.reason)
			}
			if !slices.ContainsFunc(got.Hints, func(h string) bool { return strings.Contains(h, tt.hint) }) {
				t.Errorf("hints %q, want %q", got.Hints, tt.hint)
			}
		})
	}
}

// TestRepositoriesNotForInstalling has one that is only searched.
func TestRepositoriesNotForInstalling(t *testing.T) {
	w := newWorld(t)
	foo := pkg(t, "foo", "2-1")
	w.install(foo)
	w.config("SigLevel = Required DatabaseOptional", "Usage = Sync Search")
	w.sync(foo)
	if got := state(w.locate(w.online(foo))); !strings.HasPrefix(got, "missing") {
		t.Error(got)
	}
}

// TestBestOfSeveral has the same build in several repositories.
func TestBestOfSeveral(t *testing.T) {
	w := newWorld(t)
	foo := pkg(t, "foo", "2-1")
	w.install(foo)
	w.config("SigLevel = Required DatabaseOptional")
	w.put("etc/pacman.conf", []byte("[options]\nArchitecture = x86_64\nSigLevel = Required DatabaseOptional\n"+
		"[mine]\nServer = "+w.url+"\n[core]\nServer = "+w.url+"/$repo/os/$arch\n[extra]\nServer = "+w.url+"/$repo/os/$arch\n"))
	db := databaseOf(t, foo)
	for _, name := range []string{"mine", "core", "extra"} {
		w.put("var/lib/pacman/sync/"+name+".db", db)
	}
	if got := w.locate(w.offline(foo)).Lock.Entries[0]; got.Path != "core/os/x86_64/"+foo.file() {
		t.Errorf("not of the known archive that comes first: %+v", got)
	}
	w.put("var/lib/pacman/sync/mine.db.sig", packagerKey().sign(t, db))
	if got := w.locate(w.offline(foo)).Lock.Entries[0]; got.Path != foo.file() || got.Unsigned {
		t.Errorf("not of the signed database: %+v", got)
	}
}

// TestOwnKeyring has a keyring of pacman-key that is damaged: what the
// distribution ships does not stand in for it.
func TestOwnKeyring(t *testing.T) {
	w := newWorld(t)
	foo := pkg(t, "foo", "2-1")
	w.install(foo)
	w.sync(foo)
	w.put("etc/pacman.d/gnupg/pubring.gpg", []byte("damaged"))
	if got := state(w.locate(w.online(foo))); got != "unsigned" || !w.said("no keys to judge their signatures by") {
		t.Errorf("%s; %q", got, *w.warned)
	}
}
