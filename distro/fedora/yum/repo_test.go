package yum

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fedoraRepo = `# Fedora's
[fedora]
name=Fedora $releasever - $basearch
#baseurl=http://download.example.org/pub/fedora/linux/releases/$releasever/Everything/$basearch/os/
metalink=https://mirrors.fedoraproject.org/metalink?repo=fedora-$releasever&arch=$basearch
enabled=1
countme=1
metadata_expire=7d
repo_gpgcheck=0
type=rpm
gpgcheck=1
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-$releasever-$basearch
skip_if_unavailable=False

[fedora-debuginfo]
name = Fedora $releasever - $basearch - Debug
baseurl = https://a.example.org/${releasever}/$basearch/debug/
          https://b.example.org/$unknown/${unknown}/debug/, http://c.example.org/
  # a comment between
	file:///srv/mirror
mirrorlist="https://example.org/list?v=${stream:-9}&w=${releasever:+x$arch}"
enabled=no
priority = 10
cost=5
exclude=kernel* *-debug
includepkgs=a, b
module_hotfixes=true
gpgkey=https://example.org/one
  https://example.org/two
`

func TestRepos(t *testing.T) {
	vars := NewVars("i686", "40")
	got, err := Main{GPGCheck: true}.ParseRepos("fedora.repo", []byte(fedoraRepo), vars)
	if err != nil {
		t.Fatal(err)
	}
	want := []Repo{
		{
			ID: "fedora", Name: "Fedora 40 - i386", Metalink: "https://mirrors.fedoraproject.org/metalink?repo=fedora-40&arch=i386",
			Enabled: true, GPGCheck: true, GPGKeys: []string{"file:///etc/pki/rpm-gpg/RPM-GPG-KEY-fedora-40-i386"},
			Cost: 1000, Priority: 99, File: "fedora.repo", Line: 2,
		},
		{
			ID: "fedora-debuginfo", Name: "Fedora 40 - i386 - Debug",
			BaseURLs:   []string{"https://a.example.org/40/i386/debug/", "https://b.example.org/$unknown/${unknown}/debug/", "http://c.example.org/", "file:///srv/mirror"},
			MirrorList: "https://example.org/list?v=9&w=xi686", GPGCheck: true,
			GPGKeys: []string{"https://example.org/one", "https://example.org/two"},
			Cost:    5, Priority: 10, Excludes: []string{"kernel*", "*-debug"}, Includes: []string{"a", "b"}, ModuleHotfixes: true,
			File: "fedora.repo", Line: 15,
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, c := range []struct {
		name, arch string
		want       bool
	}{{"a", "noarch", false}, {"b", "i686", false}, {"c", "i686", true}, {"kernel-core", "i686", true}, {"a-debug", "i686", true}} {
		if got[1].Excluded(c.name, "1", "2", c.arch) != c.want {
			t.Errorf("%s.%s excluded: %t", c.name, c.arch, !c.want)
		}
	}
	if got[0].Excluded("kernel", "1", "2", "i686") {
		t.Error("a repository without patterns excludes")
	}
	if r := (Repo{Excludes: []string{"x-1.?-2.noarch", "y.src"}}); !r.Excluded("x", "1.5", "2", "noarch") || r.Excluded("x", "1.5", "2", "i686") || !r.Excluded("y", "1", "1", "src") {
		t.Error("patterns of whole names do not count")
	}
}

func TestMainSection(t *testing.T) {
	m, err := ParseMain("dnf.conf", []byte("[main]\ngpgcheck=1\nbest=True\nskip_if_unavailable=on\nexclude=a b\nreposdir=/etc/repos\nvarsdir=/v /w\ncachedir=/c/$releasever\nmodule_platform_id=platform:el8\nrepo_gpgcheck=yes\n[extra]\nname=x\n"), NewVars("x86_64", "8.10"))
	if err != nil {
		t.Fatal(err)
	}
	want := Main{
		GPGCheck: true, RepoGPGCheck: true, SkipIfUnavailable: true, Best: true, Excludes: []string{"a", "b"}, ReposDirs: []string{"/etc/repos"},
		VarsDirs: []string{"/v", "/w"}, CacheDir: "/c/8.10", ModulePlatformID: "platform:el8",
	}
	if d := cmp.Diff(want, m); d != "" {
		t.Error(d)
	}
	// What [main] sets holds for repositories that do not say.
	repos, err := m.ParseRepos("dnf.conf", []byte("[main]\nx=1\n[a]\ngpgcheck=0\nrepo_gpgcheck=0\n[b]\n"), nil)
	if err != nil || len(repos) != 2 {
		t.Fatal(repos, err)
	}
	if repos[0].GPGCheck || repos[0].RepoGPGCheck || !repos[1].GPGCheck || !repos[1].RepoGPGCheck || !repos[1].SkipIfUnavailable || repos[1].Name != "b" {
		t.Errorf("%+v", repos)
	}
	if repos, err = ParseRepos("x", []byte("[a]\n"), nil); err != nil || repos[0].GPGCheck || !repos[0].Enabled {
		t.Errorf("%+v, %v", repos, err)
	}
}

func TestConfigurationThatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"name=x\n":                     "f:1: ",
		"[a]\nname\n":                  "f:2: ",
		"\n[a\n":                       "f:2: ",
		"[]\n":                         "f:1: ",
		"[a] b\n":                      "f:1: ",
		"[a/b]\n":                      "f:1: ",
		"[..]\n":                       "f:1: ",
		"[a]\n=x\n":                    "f:2: ",
		"[a]\n\nenabled=perhaps\n":     `f:3: [a] "perhaps"`,
		"[a]\ncost=1\ncost=cheap\n":    `f:3: [a] "cheap"`,
		"[a]\npriority=99999999999\n":  "f:2: [a]",
		"[a]\ngpgcheck=2\n[b]\nname\n": "f:4: ",
		strings.Repeat("[a]\n", 2<<20): "f: longer",
	} {
		got, err := ParseRepos("f", []byte(text), nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v, %v", text, got, err)
		}
	}
}

func TestVariables(t *testing.T) {
	v := NewVars("aarch64", "9.4")
	if err := v.Set("stream", []byte("9-stream \nsecond line\n")); err != nil {
		t.Fatal(err)
	}
	if err := v.Set("empty", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "a-b", "a/b", "ä"} {
		if v.Set(name, []byte("x")) == nil {
			t.Errorf("%q is the name of a variable", name)
		}
	}
	if v.Set("long", make([]byte, maxVar+1)) == nil {
		t.Error("a value of any length is taken")
	}
	for text, want := range map[string]string{
		"": "", "$": "$", "$$": "$$", "a$": "a$", "$stream/x": "9-stream/x", "$streams": "$streams", "${stream}s": "9-streams",
		"$releasever_major.$releasever_minor": "9.4", "${releasever": "${releasever", "${}": "${}", "$basearch$arch": "aarch64aarch64",
		"${none:-a}": "a", "${none:+a}": "", "${empty:-$arch}": "aarch64", "${empty:+a}": "", "${arch:+<${stream:-x}>}": "<9-stream>",
		"${none:-${none:-${none:-deep}}}": "deep", "${arch:?x}": "${arch:?x}", `\$arch`: "$arch", `a\`: `a\`, "${none:-a}}": "a}",
	} {
		if got := v.Expand(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	deep := strings.Repeat("${none:-", 10_000) + strings.Repeat("}", 10_000)
	if got := v.Expand(deep); len(got) > len(deep) {
		t.Errorf("%d bytes came of %d", len(got), len(deep))
	}
	for arch, want := range map[string]string{"x86_64": "x86_64", "i586": "i386", "armv7hl": "armhfp", "riscv64": "riscv64", "amd64": "x86_64"} {
		if got := BaseArch(arch); got != want {
			t.Errorf("the base of %s is %s", arch, got)
		}
	}
}

func FuzzParseRepos(f *testing.F) {
	f.Add([]byte(fedoraRepo))
	f.Add([]byte("\xef\xbb\xbf[a]\r\nname='x'\r\n\ty\r\n;\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		repos, err := ParseRepos("f", data, NewVars("x86_64", "40"))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Errorf("an error without its place: %v", err)
			}
			return
		}
		for _, r := range repos {
			if r.ID == "" || r.ID == "main" || strings.ContainsAny(r.ID, "/\n ") || r.Line == 0 {
				t.Errorf("%+v", r)
			}
		}
	})
}
