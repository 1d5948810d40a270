package debian_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// TestConformance runs the suite of all families on real states.
func TestConformance(t *testing.T) {
	data := os.Getenv("SAMEBITS_TEST_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := filepath.Abs(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]distrotest.Fixture{
		"own":    {Root: "/"},
		"ubuntu": {Root: filepath.Join(data, "ubuntu/24.04-amd64"), Want: lockfile.System{Distro: "ubuntu", Version: "24.04", Arch: "amd64"}},
		"sid":    {Root: filepath.Join(data, "debian-sid-riscv64-2021-11")},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := os.Stat(filepath.Join(f.Root, "var/lib/dpkg/status")); err != nil {
				t.Skip("no such system here: ", err)
			}
			f.Distro = debian.Distro{}
			f.Families = []distro.Distro{debian.Distro{}}
			if name == "own" {
				f.Others = []string{moved(t, f.Root)}
			}
			distrotest.Run(t, f)
		})
	}
}

// moved makes a root with the packages and indexes of another, whose sources
// name another mirror of each archive.
func moved(t *testing.T, from string) string {
	t.Helper()
	s, err := debian.Distro{}.Open(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := s.(*debian.System).Config
	root := t.TempDir()
	put := func(name string, data []byte) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keep := func(name string) {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Skip("the system cannot be copied: ", err)
		}
		put(name, data)
	}
	keep("var/lib/dpkg/status")
	keep("etc/os-release")
	lists, err := filepath.Glob(filepath.Join(from, config.ListsDir, "*_dists_*"))
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	for i, r := range config.Repositories {
		if r.Source || r.Flat() {
			continue
		}
		uri := fmt.Sprintf("http://mirror%d.example/a/b/", i)
		fmt.Fprintf(&sources, "deb [signed-by=/%s] %s %s %s\n", strings.Join(r.Trust.Keyrings, ",/"), uri, r.Suite, strings.Join(r.Components, " "))
		for _, k := range r.Trust.Keyrings {
			keep(k)
		}
		for _, l := range lists {
			rest, ok := strings.CutPrefix(filepath.Base(l), apt.ListsName(r.URI+"dists/"+r.Suite+"/"))
			if !ok {
				continue
			}
			data, err := os.ReadFile(l)
			if err != nil {
				t.Fatal(err)
			}
			put(filepath.Join("var/lib/apt/lists", apt.ListsName(uri+"dists/"+r.Suite+"/")+rest), data)
		}
	}
	put("etc/apt/sources.list", []byte(sources.String()))
	put("etc/apt/apt.conf", []byte("Acquire::Check-Valid-Until \"false\";\n"))
	return root
}
