package fedora

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// A lock is installed into an empty directory, by the rpm of this machine.
func TestCreate(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	cache := &distrotest.Fetcher{Dir: t.TempDir()}
	for _, version := range []string{"35", "42"} {
		testCreate(t, w, pool, cache, lockfile.System{Distro: "fedora", Version: version, Arch: "x86_64"})
	}
}

func testCreate(t *testing.T, w *workshop, pool string, cache *distrotest.Fetcher, id lockfile.System) {
	t.Helper()
	lock := keep(t, cache, id, w.build(t, pool, spec{name: "lib", version: "2.0", release: "1.fc35", arch: "x86_64"}))
	root := t.TempDir()
	var creator distro.Creator = Distro{}
	made, err := creator.Create(root, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := made.(*System)
	if s.ID() != id {
		t.Errorf("the system is %s", s.ID())
	}
	if err := install(t, s, lock, cache); err != nil {
		t.Fatal(err)
	}
	if got := installedNames(t, s); got != "lib 2.0-1.fc35 x86_64" {
		t.Errorf("installed: %s", got)
	}
	// A system's own packages would have brought its name.
	put(t, filepath.Join(root, "etc/os-release"), "ID=fedora\nVERSION_ID="+id.Version+"\n")
	again, _ := openSystem(t, root)
	if pending, err := again.Pending(t.Context(), lock, nil); err != nil || len(pending) > 0 {
		t.Errorf("pending: %v, %v", pending, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{"relative", full, filepath.Join(full, "absent")} {
		if _, err := (Distro{}).Create(root, lockfile.System{}, nil); err == nil {
			t.Errorf("%s was taken for an empty directory", root)
		}
	}
}
