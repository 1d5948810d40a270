package pacman_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/arch/pacman"
)

// A disk is files by their paths.
type disk map[string]string

func (d disk) read(name string) ([]byte, error) {
	s, ok := d[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(s), nil
}

func (d disk) glob(pattern string) ([]string, error) {
	var out []string
	for name := range d {
		if ok, err := path.Match(pattern, name); err != nil {
			return nil, err
		} else if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func (d disk) parse() (*pacman.Config, error) {
	return pacman.ParseConfig(d.read, d.glob, "/pacman.conf")
}

const config = `# comment
[core]
Server = http://one.example.org/$repo/os/$arch
CacheServer = http://cache.example.org/
SigLevel = PackageRequired

[options]
 RootDir=/foo
Architecture = x86_64 x86_64_v3
Architecture = any2
SigLevel = Optional TrustAll
LocalFileSigLevel = Never
IgnorePkg = a b  c
IgnorePkg = d
IgnoreGroup = g
CheckSpace
Invented = 1
Include = /d/*.conf
Server = http://after.example.org
Include = /nothing/*.conf
[extra]
Usage = Sync Search
Include = /mirrorlist
`

func TestParseConfig(t *testing.T) {
	d := disk{
		"/pacman.conf": strings.ReplaceAll(config, "\n", "\r\n"),
		"/d/b.conf":    "HoldPkg = y\n",
		"/d/a.conf":    "HoldPkg = x\n[inner]\nServer = http://inner.example.org\n",
		"/mirrorlist":  "## Somewhere\n#Server = http://no.example.org\nServer = http://$arch.example.org/$repo\n",
	}
	got, err := d.parse()
	if err != nil {
		t.Fatal(err)
	}
	both := pacman.SigLevel{Package: pacman.Optional, Database: pacman.Optional, PackageTrustAll: true, DatabaseTrustAll: true}
	local, core := both, both
	local.Package, local.Database = pacman.Never, pacman.Never
	core.Package = pacman.Required
	want := &pacman.Config{
		Architectures: []string{"x86_64", "x86_64_v3", "any2"},
		RootDir:       "/foo", DBPath: "/foo/var/lib/pacman/", GPGDir: "/etc/pacman.d/gnupg/",
		CacheDirs: []string{"/var/cache/pacman/pkg/"}, IgnorePkg: []string{"a", "b", "c", "d"}, IgnoreGroup: []string{"g"},
		HoldPkg: []string{"x"}, SigLevel: both, LocalFileSigLevel: local, RemoteFileSigLevel: both,
		Repositories: []pacman.Repository{
			{Name: "core", Servers: []string{"http://one.example.org/$repo/os/$arch"}, CacheServers: []string{"http://cache.example.org/"}, SigLevel: core, Usage: pacman.UsageAll},
			{Name: "inner", Servers: []string{"http://inner.example.org", "http://after.example.org"}, SigLevel: both, Usage: pacman.UsageAll},
			{Name: "extra", Servers: []string{"http://$arch.example.org/$repo"}, SigLevel: both, Usage: pacman.UsageSync | pacman.UsageSearch},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := got.Repositories[0].Server("x86_64"); !slices.Equal(got, []string{"http://one.example.org/core/os/x86_64"}) {
		t.Error(got)
	}
	if got := got.Repositories[0].CacheServer("x86_64"); !slices.Equal(got, []string{"http://cache.example.org"}) {
		t.Error(got)
	}
}

func TestDefaults(t *testing.T) {
	got, err := disk{"/pacman.conf": ""}.parse()
	if err != nil {
		t.Fatal(err)
	}
	optional := pacman.SigLevel{Package: pacman.Optional, Database: pacman.Optional}
	want := &pacman.Config{
		RootDir: "/", DBPath: "/var/lib/pacman/", GPGDir: "/etc/pacman.d/gnupg/", CacheDirs: []string{"/var/cache/pacman/pkg/"},
		SigLevel: optional, LocalFileSigLevel: optional, RemoteFileSigLevel: optional,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBadConfigs(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
	}{
		{"no section", "# x\nCheckSpace\n", "/pacman.conf:2: it stands before the first section"},
		{"no name", "[]\n", "/pacman.conf:1: a section has no name"},
		{"a name that leads elsewhere", "[../x]\n", `/pacman.conf:1: "../x" is no name`},
		{"a name with a slash", "[x/y]\n", `is no name`},
		{"no server", "[core]\n\nServer =\n", "/pacman.conf:3: Server needs a URL"},
		{"no path", "[core]\nInclude\n", "/pacman.conf:2: no path follows Include"},
		{"a missing file", "[core]\nInclude = /gone\n", "/pacman.conf:2: open /gone: file does not exist"},
		{"a bad pattern", "[core]\nInclude = /[\n", "/pacman.conf:2: /[: syntax error in pattern"},
		{"a loop", "[options]\nInclude = /pacman.conf\n", "/pacman.conf:2: files include each other more than 10 deep"},
		{"a level", "[options]\nSigLevel = Sometimes\n", `/pacman.conf:2: "Sometimes" is not known to SigLevel`},
		{"a repository's level", "[core]\nSigLevel = PackageSometimes\n", `/pacman.conf:2: "PackageSometimes" is not known`},
		{"a usage", "[core]\nUsage = Eat\n", `/pacman.conf:2: "Eat" is not known to Usage`},
		{"within an included file", "[core]\nInclude = /inner\n", "/inner:2: Server needs a URL"},
		{"too long", "[options]\n" + strings.Repeat("#\n", 3<<20), "/pacman.conf is longer than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := disk{"/pacman.conf": c.text, "/inner": "\nServer\n"}.parse()
			if err == nil || !strings.Contains(err.Error(), c.want) || got != nil {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if strings.Count(fmt.Sprint(err), ".conf:")+strings.Count(fmt.Sprint(err), "/inner:") > 1 {
				t.Errorf("more than one place: %v", err)
			}
		})
	}
	_, err := disk{}.parse()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	many := disk{"/pacman.conf": "[options]\n" + strings.Repeat("Include = /one\n", 2000), "/one": ""}
	if _, err := many.parse(); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Error(err)
	}
}

// lines prints a configuration as pacman-conf does.
func lines(c *pacman.Config, arch string) []string {
	out := []string{"[options]", "RootDir = " + c.RootDir, "DBPath = " + c.DBPath, "GPGDir = " + c.GPGDir}
	add := func(key string, values []string) {
		for _, v := range values {
			out = append(out, key+" = "+v)
		}
	}
	add("CacheDir", c.CacheDirs)
	add("HoldPkg", c.HoldPkg)
	add("IgnorePkg", c.IgnorePkg)
	add("IgnoreGroup", c.IgnoreGroup)
	add("Architecture", c.Architectures)
	level := func(key string, l pacman.SigLevel) {
		for _, part := range []struct {
			name   string
			policy pacman.SigPolicy
			all    bool
		}{{"Package", l.Package, l.PackageTrustAll}, {"Database", l.Database, l.DatabaseTrustAll}} {
			out = append(out, fmt.Sprintf("%s = %s%s", key, part.name, part.policy))
			if part.policy != pacman.Never {
				trust := map[bool]string{false: "TrustedOnly", true: "TrustAll"}[part.all]
				out = append(out, fmt.Sprintf("%s = %s%s", key, part.name, trust))
			}
		}
	}
	level("SigLevel", c.SigLevel)
	for _, r := range c.Repositories {
		out = append(out, "["+r.Name+"]")
		level("SigLevel", r.SigLevel)
		replace := strings.NewReplacer("$repo", r.Name, "$arch", arch)
		for _, s := range r.Servers {
			out = append(out, "Server = "+replace.Replace(s))
		}
	}
	return out
}

// What pacman makes of a configuration is what this package makes of it.
func TestSameAsPacmanConf(t *testing.T) {
	tool, err := exec.LookPath("pacman-conf")
	if err != nil {
		t.Skipf("no pacman-conf here: %v", err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	list := write("mirrorlist", "# x\nServer = http://$arch.example.org/$repo/\n")
	inner := write("inner.conf", "HoldPkg = x\n[inner]\nSigLevel = Never\n")
	for name, text := range map[string]string{
		"plain":                     "[options]\nArchitecture = x86_64\n[core]\nInclude = " + list + "\n",
		"levels":                    "[one]\nSigLevel = PackageRequired\nInclude = " + list + "\n[options]\nArchitecture=i686\nSigLevel = Required DatabaseOptional TrustAll\n[two]\nSigLevel=TrustedOnly\nSigLevel = DatabaseNever\nServer=z\n",
		"root":                      "[options]\nRootDir = /foo\nArchitecture = i686 any\nCacheDir = /a/ /b/\nCacheDir = /c/\nIgnorePkg = a b\nIgnorePkg = c\n",
		"paths":                     "[options]\nRootDir = /foo/\nDBPath = /bar/\nGPGDir = /baz/\nGPGDir = /other/\nArchitecture = i686\nIgnoreGroup = x y\n",
		"sections go on":            "[options]\nArchitecture = x86_64\nInclude = " + inner + "\nServer = http://after.example.org\n[options]\nHoldPkg = y\n",
		"no comments behind values": "[options]\nArchitecture = x86_64\n[core]\nServer = http://one.example.org/ # two\n  # Server = no\n",
		"the shared state":          realConfig(t, dir),
	} {
		t.Run(name, func(t *testing.T) {
			if text == "" {
				t.Skip("the shared data is not here")
			}
			conf := filepath.Join(t.TempDir(), "pacman.conf")
			if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			said, err := exec.CommandContext(t.Context(), tool, "--config", conf).Output()
			if err != nil {
				t.Fatalf("pacman-conf: %v", err)
			}
			c, err := pacman.ParseConfig(os.ReadFile, filepath.Glob, conf)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			known := map[string]bool{}
			for _, k := range []string{"RootDir", "DBPath", "GPGDir", "CacheDir", "HoldPkg", "IgnorePkg", "IgnoreGroup", "Architecture", "SigLevel", "Server"} {
				known[k] = true
			}
			for line := range strings.Lines(string(said)) {
				line = strings.TrimSpace(line)
				key, _, _ := strings.Cut(line, " = ")
				if strings.HasPrefix(line, "[") || known[key] {
					want = append(want, line)
				}
			}
			want = inherit(want)
			got := lines(c, c.Architectures[0])
			if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
				t.Errorf("pacman-conf (-), here (+):\n%s", d)
			}
		})
	}
}

// inherit gives the repositories of which pacman-conf tells no level that of
// [options].
func inherit(lines []string) []string {
	var global, out []string
	for i, l := range lines {
		if strings.HasPrefix(l, "[") && i > 0 && len(out) > 0 && !hasLevel(out) {
			out = append(out, global...)
		}
		out = append(out, l)
		if strings.HasPrefix(l, "SigLevel") && !slices.ContainsFunc(out, func(s string) bool { return strings.HasPrefix(s, "[") && s != "[options]" }) {
			global = append(global, l)
		}
	}
	if !hasLevel(out) {
		out = append(out, global...)
	}
	return out
}

// hasLevel reports whether the last section has a level.
func hasLevel(lines []string) bool {
	for _, l := range slices.Backward(lines) {
		switch {
		case strings.HasPrefix(l, "SigLevel"):
			return true
		case strings.HasPrefix(l, "["):
			return false
		}
	}
	return false
}

// sorted orders the lines within each section, whose order is the tool's own.
func sorted(lines []string) []string {
	var out []string
	section, servers := "", 0
	for _, l := range lines {
		if strings.HasPrefix(l, "[") {
			section, servers = l, 0
		}
		if strings.HasPrefix(l, "Server") { // their order counts
			servers++
			l = fmt.Sprintf("Server %03d %s", servers, l)
		}
		out = append(out, section+" "+l)
	}
	slices.Sort(out)
	return out
}

// realConfig is the configuration of the state of 2026, "" where it is absent.
func realConfig(t *testing.T, dir string) string {
	root := dataDir("arch/local-2026-03-x86_64")
	conf, err := os.ReadFile(filepath.Join(root, "etc/pacman.conf"))
	if err != nil {
		return ""
	}
	list, err := os.ReadFile(filepath.Join(root, "etc/pacman.d/mirrorlist"))
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "real-mirrorlist")
	if err := os.WriteFile(copied, list, 0o644); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(conf), "/etc/pacman.d/mirrorlist", copied)
	return strings.Replace(text, "Architecture = auto", "Architecture = x86_64", 1)
}
