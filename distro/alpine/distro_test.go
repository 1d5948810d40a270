package alpine

import (
	"path/filepath"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// TestConformance runs the suite of all families on real systems.
func TestConformance(t *testing.T) {
	for name, f := range map[string]struct {
		want      lockfile.System
		served    map[string]string // repositories by directories of the real data
		installed int
		located   int
	}{
		"3.6.5-x86_64":   {want: lockfile.System{Distro: "alpine", Version: "3.6.5", Arch: "x86_64"}, installed: 13},
		"3.19.4-x86_64":  {want: lockfile.System{Distro: "alpine", Version: "3.19.4", Arch: "x86_64"}, installed: 15},
		"3.20.3-x86_64":  {want: lockfile.System{Distro: "alpine", Version: "3.20.3", Arch: "x86_64"}, installed: 14},
		"3.19.4-aarch64": {want: lockfile.System{Distro: "alpine", Version: "3.19.4", Arch: "aarch64"}, installed: 15},
	} {
		t.Run(name, func(t *testing.T) {
			iso, branch := data(t, "iso-3.19.1"), data(t, "mirror/v3.19")
			root, other := minirootfs(t, name), minirootfs(t, name)
			for _, r := range []string{root, other} {
				url := mirror(t, map[string]string{"/iso": iso, "/alpine/v3.19": branch})
				atMirror(t, r, url+"/alpine/v3.19/main", url+"/alpine/v3.19/community")
			}
			fetcher := newFetcher(t)
			distrotest.Run(t, distrotest.Fixture{
				Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: root, Others: []string{other},
				Want: f.want, Fetcher: fetcher, Identifier: fetcher,
			})
			ps := installedAll(t, root)
			if len(ps) != f.installed {
				t.Errorf("%d packages are installed, not %d", len(ps), f.installed)
			}
			got, err := openRoot(t, root).Locate(t.Context(), distro.LocateRequest{Packages: ps, Fetcher: fetcher, Identifier: fetcher})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d located, %d missing, date %s", len(got.Lock.Entries), len(got.Lock.Missing), got.Lock.Date)
			for _, m := range got.Lock.Missing {
				t.Logf("%s: %s", m, got.Reasons[m])
			}
			t.Log(got.Hints)
			if _, err := filepath.Abs(root); err != nil {
				t.Fatal(err)
			}
		})
	}
}
