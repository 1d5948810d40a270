package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// TestDropped has a version that no repository offers any more.
func TestDropped(t *testing.T) {
	foo := pkg(t, "foo", "1:2-1")
	const kept = "packages/f/foo/"
	for name, tt := range map[string]struct {
		prepare func(w *world, req *distro.LocateRequest)
		want    string
	}{
		"nowhere": {func(w *world, req *distro.LocateRequest) {}, "missing: the repositories offer other versions now"},
		"root's cache, signed": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
			w.put("var/cache/pacman/pkg/"+foo.file()+".sig", foo.sig)
		}, "signed"},
		"root's cache, unsigned": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
		}, "unsigned"},
		"root's cache, by a stranger": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), foo.data)
			w.put("var/cache/pacman/pkg/"+foo.file()+".sig", strangerKey().sign(t, foo.data))
		}, "missing"},
		"root's cache, another package": {func(w *world, req *distro.LocateRequest) {
			w.put("var/cache/pacman/pkg/"+foo.file(), pkg(t, "foo", "1:1-1").data)
		}, "missing"},
		"given directory": {func(w *world, req *distro.LocateRequest) {
			dir := t.TempDir()
			writeTo(t, filepath.Join(dir, foo.file()), foo.data)
			writeTo(t, filepath.Join(dir, foo.file()+".sig"), foo.sig)
			req.Directories = []string{dir}
		}, "signed"},
		"keeper": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), foo.data)
			w.serve(kept+foo.file()+".sig", foo.sig)
		}, "signed"},
		"keeper by template": {func(w *world, req *distro.LocateRequest) {
			w.serve("all/"+foo.file(), foo.data)
			w.serve("all/"+foo.file()+".sig", foo.sig)
			req.Keepers = []distro.Mirror{{URL: w.url + "/{{.SHA256}}", Keeper: true}, {URL: w.url + "/all/{{.Basename}}", Keeper: true}}
		}, "signed"},
		"keeper, without a signature": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), foo.data)
		}, "missing: the repositories offer other versions now; the archives of old packages do not have it"},
		"keeper that lies": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), pkg(t, "foo", "1:2-1", "GROUPS=evil").data)
			w.serve(kept+foo.file()+".sig", foo.sig)
		}, "missing: the repositories offer other versions now; the archives of old packages could not give it"},
		"keeper with an older one": {func(w *world, req *distro.LocateRequest) {
			old := pkg(t, "foo", "1:1-1")
			w.serve(kept+foo.file(), old.data)
			w.serve(kept+foo.file()+".sig", old.sig)
		}, "missing"},
		"keeper, forbidden": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), foo.data)
			w.serve(kept+foo.file()+".sig", foo.sig)
			req.Snapshots = false
		}, "missing"},
		"keeper, by a stranger": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), foo.data)
			w.serve(kept+foo.file()+".sig", strangerKey().sign(t, foo.data))
		}, "missing"},
		"keeper, no keyring": {func(w *world, req *distro.LocateRequest) {
			w.serve(kept+foo.file(), foo.data)
			w.serve(kept+foo.file()+".sig", foo.sig)
			if err := os.RemoveAll(filepath.Join(w.root, "usr/share/pacman")); err != nil {
				t.Fatal(err)
			}
		}, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install(foo)
			w.sync(pkg(t, "foo", "1:3-1"))
			req := w.online(foo)
			req.Snapshots = true
			req.Keepers = []distro.Mirror{{URL: w.url, Keeper: true}}
			tt.prepare(w, &req)
			got := w.locate(req)
			if !strings.HasPrefix(state(got), tt.want) {
				t.Errorf("%s, want %s; %q", state(got), tt.want, *w.warned)
			}
			if strings.HasPrefix(tt.want, "missing") != (len(got.Hints) > 0) {
				t.Errorf("hints: %q", got.Hints)
			}
			// What was fetched once need not be again.
			req.Fetcher = nil
			if tt.want == "signed" && !strings.HasPrefix(name, "keeper") && state(w.locate(req)) != tt.want {
				t.Errorf("offline: %s", state(w.locate(req)))
			}
		})
	}
}

func TestKeeperURLs(t *testing.T) {
	const file = "lz4-1:1.8.0+a-1-x86_64.pkg.tar.xz"
	for url, want := range map[string]string{
		"https://archive.example/":                         "https://archive.example/packages/l/lz4/lz4-1%3A1.8.0+a-1-x86_64.pkg.tar.xz",
		"https://archive.example/.all/{{.Basename}}":       "https://archive.example/.all/lz4-1%3A1.8.0+a-1-x86_64.pkg.tar.xz",
		"https://archive.example/x/{{.Path}}":              "https://archive.example/x/packages/l/lz4/lz4-1%3A1.8.0+a-1-x86_64.pkg.tar.xz",
		"https://archive.example/{{.Timestamp}}/{{.Path}}": "",
	} {
		if got := strings.Join(keeperURLs(distro.Mirror{URL: url}, "lz4", file), " "); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	if all := keepers(distro.LocateRequest{}); len(all) != 1 || !all[0].Keeper {
		t.Errorf("the family's own keepers: %v", all)
	}
}
