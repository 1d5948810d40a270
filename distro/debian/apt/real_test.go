package apt_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/apt"
	"github.com/samebits/samebits/distro/rootfs"
)

// rootWith makes a root of the given files and the directories that apt wants.
func rootWith(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for _, d := range []string{"etc/apt/apt.conf.d", "etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/trusted.gpg.d", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial", "var/lib/dpkg", "usr/share/keyrings"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// load reads a configuration and returns its warnings too.
func load(t testing.TB, root string) (*apt.Config, []string, error) {
	t.Helper()
	r, err := rootfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	var warnings []string
	c, err := apt.Load(r, &distro.Events{Warn: func(m string) { warnings = append(warnings, m) }})
	return c, warnings, err
}

// runApt runs one of apt's tools on the configuration below root alone.
func runApt(t *testing.T, root string, tool string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skip(tool + " is not installed")
	}
	conf := filepath.Join(t.TempDir(), "apt.conf")
	// The parts are read before APT_CONFIG, so the host's must be kept out by
	// their directory, which only the first configuration file can change.
	text := fmt.Sprintf("Dir %q;\nDir::Etc::parts %q;\nDir::State::status %q;\nDir::Etc::main %q;\nDir::Bin::dpkg \"/bin/false\";\n",
		root+"/", filepath.Join(root, "etc/apt/apt.conf.d"), filepath.Join(root, "var/lib/dpkg/status"), filepath.Join(root, "etc/apt/apt.conf"))
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+conf, "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if e, ok := err.(*exec.ExitError); ok {
			stderr = e.Stderr
		}
		t.Fatalf("%s %q: %v\n%s", tool, args, err, stderr)
	}
	return string(out)
}

// aptTargets cuts apt's answer into sorted lines, without the indexes of
// architecture "all", which few archives have.
func aptTargets(out string) []string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(out+"\n", ".lz4\n", "\n")), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "binary-all") })
	slices.Sort(lines)
	return lines
}

// packagesTargets has what apt would say of our reading of its sources.
func packagesTargets(c *apt.Config, root string) []string {
	var out []string
	for _, r := range c.Repositories {
		if r.Source {
			continue
		}
		base := r.URI + "dists/" + r.Suite + "/"
		if r.Flat() {
			base = r.URI + strings.TrimPrefix(r.Suite, "/")
			out = append(out, filepath.Join(root, c.ListsDir, apt.ListsName(base+"Packages")))
			continue
		}
		for _, comp := range r.Components {
			for _, arch := range r.Architectures {
				key := comp + "/binary-" + arch + "/Packages"
				out = append(out, filepath.Join(root, c.ListsDir, apt.ListsName(base+key)))
			}
		}
	}
	slices.Sort(out)
	return out
}

var realSources = map[string]string{
	"etc/apt/apt.conf":                     "APT::Architecture \"amd64\";\nAPT::Architectures { \"amd64\"; \"i386\"; };\n",
	"var/lib/dpkg/status":                  "",
	"etc/apt/sources.list":                 "# comment\ndeb http://archive.example.org/debian stable main contrib # trailing\ndeb [arch=amd64 trusted=yes] http://user:pa%40ss@archive.example.org:8080/a~b_c+d//  testing main\ndeb-src http://archive.example.org/debian stable main\ndeb [ arch-=i386 ] file:///srv/local repo main\n\ndeb \"http://[2001:db8::1]/x y\" stable main\n",
	"etc/apt/mirrors.list":                 "http://two.example.org/debian\tpriority:2\nhttp://one.example.org/debian\tpriority:1\n",
	"etc/apt/sources.list.d/a.list":        "deb mirror+file:/etc/apt/mirrors.list unstable main\ndeb copy:/srv/copied $(ARCH)-suite main\ndeb http://flat.example.org/$(ARCH) ./\ndeb http://flat.example.org/x sub/$(ARCH)/\ndeb file:///srv/three /\n",
	"etc/apt/sources.list.d/ignored.list~": "nonsense\n",
	"etc/apt/sources.list.d/ignored.txt":   "nonsense\n",
	"etc/apt/sources.list.d/igno red.list": "nonsense\n",
	"etc/apt/sources.list.d/.hidden.list":  "nonsense\n",
	"etc/apt/sources.list.d/b.sources":     "Types: deb deb-src\nURIs: https://b.example.org/one\n https://b.example.org/two/\nSuites: x x-updates\nComponents: main\n# why\nArchitectures: i386\n\nEnabled: no\nTypes: deb\nURIs: https://off.example.org\nSuites: x\nComponents: main\n\nTypes: deb\nURIs: https://b.example.org/plus\nSuites: y/z\nComponents: main non-free-firmware\nArchitectures-Add: arm64\nArchitectures-Remove: i386\n",
}

func TestSourcesAsAptReadsThem(t *testing.T) {
	root := rootWith(t, realSources)
	c, warnings, err := load(t, root)
	if err != nil {
		t.Fatal(err)
	}
	out := runApt(t, root, "apt-get", "indextargets", "--no-release-info", "--format", "$(FILENAME)", "Created-By: Packages")
	want := aptTargets(out)
	got := packagesTargets(c, root)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\nwarnings: %q", strings.Join(got, "\n"), strings.Join(want, "\n"), warnings)
	}
}

func TestOwnSourcesAsAptReadsThem(t *testing.T) {
	path, err := exec.LookPath("apt-get")
	if err != nil {
		t.Skip("apt-get is not installed")
	}
	out, err := exec.Command(path, "indextargets", "--no-release-info", "--format", "$(FILENAME)", "Created-By: Packages").Output()
	if err != nil {
		t.Skip(err)
	}
	c, _, err := load(t, "/")
	if err != nil {
		t.Fatal(err)
	}
	want := aptTargets(string(out))
	if got := packagesTargets(c, "/"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

const realConf = `// comment
APT::Install-Recommends "false"; # trailing
Acquire::http::Proxy "http://proxy.example.org:3142/";
Acquire { http { Proxy { direct.example.org "DIRECT"; }; Timeout "10" }; /* in
  between */ Retries 3; };
Dir::State::lists "other//lists";
Dir::Cache { archives "/srv/debs/"; };
DPkg::Post-Invoke { "echo a; b // not a comment"; "two"; };
List:: "x"; list:: y;
Gone::one "1"; Gone::two "2";
#clear Gone;
`

func TestOptionsAsAptReadsThem(t *testing.T) {
	root := rootWith(t, map[string]string{
		"etc/apt/apt.conf":            realConf,
		"etc/apt/apt.conf.d/10first":  "Order \"first\"; APT::Architecture \"amd64\";\n",
		"etc/apt/apt.conf.d/20.conf":  "Order \"second\";",
		"etc/apt/apt.conf.d/30.other": "Order \"not read\";",
		"var/lib/dpkg/status":         "",
	})
	c, _, err := load(t, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"APT::Install-Recommends", "Acquire::http::Proxy", "acquire::HTTP::proxy::direct.example.org", "Acquire::http::Timeout", "Acquire::Retries", "Gone::one", "Order", "Dir::State::lists"} {
		want := strings.TrimSuffix(runApt(t, root, "apt-config", "shell", "V", name), "\n")
		got := ""
		if v := c.Options.Find(name); v != "" {
			got = "V='" + v + "'"
		}
		if got != want {
			t.Errorf("%s: %s, apt says %s", name, got, want)
		}
	}
	dump := runApt(t, root, "apt-config", "dump")
	for _, list := range []string{"DPkg::Post-Invoke", "List"} {
		var want []string
		for line := range strings.Lines(dump) {
			if v, ok := strings.CutPrefix(line, list+":: "); ok {
				want = append(want, strings.Trim(strings.TrimSpace(v), `";`))
			}
		}
		if got := c.Options.List(list); !slices.Equal(got, want) {
			t.Errorf("%s: %q, apt says %q", list, got, want)
		}
	}
	if c.ListsDir != "var/lib/apt/other/lists" || c.ArchivesDir != "srv/debs" {
		t.Errorf("directories %q, %q", c.ListsDir, c.ArchivesDir)
	}
	if proxy, ok := c.Proxy(&url.URL{Scheme: "https", Host: "x.example.org"}); !ok || proxy.Host != "proxy.example.org:3142" {
		t.Errorf("https goes by %v", proxy)
	}
	if proxy, ok := c.Proxy(&url.URL{Scheme: "http", Host: "direct.example.org:80"}); !ok || proxy != nil {
		t.Errorf("direct.example.org goes by %v, %v", proxy, ok)
	}
}
