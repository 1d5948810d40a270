package alpine

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

func TestDescribe(t *testing.T) {
	for path, want := range map[string]string{
		"v3.19/main/x86_64/musl-1.2.4_git20230717-r4.apk":    "musl 1.2.4_git20230717-r4 x86_64",
		"edge/community/aarch64/py3-pyserial-pyc-3.5-r6.apk": "py3-pyserial-pyc 3.5-r6 aarch64",
		"x86_64/libstdc++-13.2.1_git20231014-r0.apk":         "libstdc++ 13.2.1_git20231014-r0 x86_64",
		"noarch/gtk4.0-1-r0.apk":                             "gtk4.0 1-r0 noarch",
		"tzdata-2023d-r0.apk":                                "tzdata 2023d-r0",
		"var/cache/apk/brotli-libs-1.1.0-r1.c8f156a7.apk":    "brotli-libs 1.1.0-r1",
		"packages/a-1-r0.apk":                                "a 1-r0",
		"a-b-c.apk":                                          "",
		"musl-r4.apk":                                        "",
		"-1.2-r4.apk":                                        "",
		"musl-x-r4.apk":                                      "",
		"musl-1.2-r4.apk.asc":                                "",
		"a b-1-r0.apk":                                       "",
		"pool/main/h/hello/hello_2.10-3_amd64.deb":           "",
		strings.Repeat("a", 300) + "-1-r0.apk":               "",
	} {
		p, ok := Distro{}.Describe(path)
		if got := strings.TrimSpace(p.String()); ok != (want != "") || got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, ok, want)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	for _, s := range []string{"v3.19/main/x86_64/musl-1.2.4-r4.apk", "a-1-r0.01234567.apk", "-r.apk", "a--r.apk"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		p, ok := Distro{}.Describe(path)
		if !ok {
			return
		}
		if p.Name == "" || p.Version == "" || strings.ContainsAny(p.String(), "/\t\n\x00") {
			t.Errorf("%q is said to be %q", path, p)
		}
		again, ok := Distro{}.Describe("x86_64/" + p.Name + "-" + p.Version + ".apk")
		if !ok || again.Name != p.Name || again.Version != p.Version {
			t.Errorf("%q is %q, whose file is of %q", path, p, again)
		}
	})
}

func TestOpen(t *testing.T) {
	if _, err := open(t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty root: %v", err)
	}
	if _, err := open("relative", nil); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a relative root: %v", err)
	}
	for name, tt := range map[string]struct {
		files map[string]string
		want  lockfile.System
		err   string
	}{
		"as Alpine is": {map[string]string{installedFile: record("musl", "1-r0", "x86_64"), "etc/apk/arch": "aarch64\n", "etc/os-release": "ID=alpine\nVERSION_ID=3.19.4\n"},
			lockfile.System{Distro: "alpine", Version: "3.19.4", Arch: "aarch64"}, ""},
		"below usr": {map[string]string{usrInstalledFile: record("musl", "1-r0", "noarch") + record("zlib", "1-r0", "armv7"), "usr/lib/os-release": "ID=wolfi\n"},
			lockfile.System{Distro: "wolfi", Version: "-", Arch: "armv7"}, ""},
		"no names":     {map[string]string{installedFile: record("musl", "1-r0", "x86")}, lockfile.System{Distro: "alpine", Version: "-", Arch: "x86"}, ""},
		"odd names":    {map[string]string{installedFile: "", "etc/apk/arch": "x86_64 x86", "etc/os-release": "ID=\"my own\""}, lockfile.System{Distro: "myown", Version: "-", Arch: "x86_64"}, ""},
		"odd arch":     {map[string]string{installedFile: "", "etc/apk/arch": "a/b"}, lockfile.System{}, "impossible architecture"},
		"repositories": {map[string]string{installedFile: "", "etc/apk/arch": "x86", "etc/apk/repositories": "# x\nnonsense\n"}, lockfile.System{}, "repositories:2"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open(rootWith(t, tt.files), nil)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil || s.ID() != tt.want {
				t.Errorf("got %v, %v; want %v", s, err, tt.want)
			}
		})
	}
}

func TestRepositories(t *testing.T) {
	s := openRoot(t, rootWith(t, map[string]string{
		installedFile: "", "etc/apk/arch": "x86_64",
		"etc/apk/repositories": "#comment\nhttps://mirror.example/pub/alpine/v3.19/main/\n@edge http://mirror.example/pub/alpine/edge/testing\n/media/cdrom/apks\nhttps://user:secret@own.example/x\n" +
			"https://mirror.example/pub/alpine/v3.19/main\n",
		"etc/apk/repositories.d/b.list":   "http://second.example/alpine/v3.19/community\n",
		"etc/apk/repositories.d/a.list":   "http://first.example/repo\n",
		"etc/apk/repositories.d/a.hidden": "http://not.example/repo\n",
	}))
	var got []string
	for _, r := range s.Repositories {
		got = append(got, describe(r))
	}
	if g, want := strings.Join(got, "|"), "https://mirror.example/pub/alpine/v3.19/main|@edge http://mirror.example/pub/alpine/edge/testing|/media/cdrom/apks|"+
		"https://own.example/x|http://first.example/repo|http://second.example/alpine/v3.19/community"; g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
	got = nil
	for _, m := range s.Access().Mirrors {
		got = append(got, m.Archive+" "+m.URL)
	}
	if g, want := strings.Join(got, "|"), "Alpine https://mirror.example/pub/alpine|Alpine http://mirror.example/pub/alpine| file:///media/cdrom/apks|"+
		" https://user:secret@own.example/x| http://first.example/repo|Alpine http://second.example/alpine"; g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestInstalled(t *testing.T) {
	s := openRoot(t, rootWith(t, map[string]string{"etc/apk/arch": "x86_64", installedFile: record("zlib", "1.3.1-r0", "x86_64") +
		"C:Q1QVQxw4v/TtHIdnRhuIp624g/4zU=\n" + record(".build-deps", "20240101.000000", "noarch", "D:zlib") + record("tzdata", "2024a-r0", "noarch", "F:usr", "R:x")}))
	got, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Whether apk noted "noarch" depends only on where it took the file from.
	if g, want := joined(got), "tzdata 2024a-r0 x86_64|zlib 1.3.1-r0 x86_64"; g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

func TestBadDatabases(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"broken":      {record("a", "1-r0", "x86_64") + record("sick", "1-r0", "x86_64", "f:f"), "sick 1-r0"},
		"twice":       {record("a", "1-r0", "x86_64") + record("a", "2-r0", "x86_64"), "twice"},
		"odd version": {record("a", "1/../2", "x86_64"), "no version of a package"},
		"odd name":    {record("a/b", "1-r0", "x86_64"), "no name of a package"},
		"no stanza":   {"what is this\n", "installed"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := open(rootWith(t, map[string]string{installedFile: tt.in, "etc/apk/arch": "x86_64"}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Installed(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	s := openRoot(t, rootWith(t, map[string]string{installedFile: record("sick", "1-r0", "x86_64", "f:s")}))
	var broken *BrokenError
	if _, err := s.Installed(t.Context()); !errors.As(err, &broken) || !strings.Contains(err.Error(), "apk fix") {
		t.Errorf("got %v", err)
	}
}

func TestSelect(t *testing.T) {
	s := openRoot(t, rootWith(t, map[string]string{"etc/apk/arch": "x86_64", installedFile: record("app", "1-r0", "x86_64", "D:so:libz.so.1 cmd:tool>=2 !other app-data=1-r0") +
		record("zlib", "1.3.1-r0", "x86_64", "p:so:libz.so.1=1.3.1") + record("tools", "2-r0", "x86_64", "p:cmd:tool=2-r0", "D:pc:absent") +
		record("oldtools", "1-r0", "x86_64", "p:cmd:tool=1-r0") + record("app-data", "1-r0", "noarch", "D:app") +
		record("app-doc", "1-r0", "noarch", "i:app docs") + record("other", "1-r0", "x86_64") + "C:Q1QVQxw4v/TtHIdnRhuIp624g/4zU=\n" + record(".deps", "1", "noarch", "D:oldtools")}))
	for names, want := range map[string]string{
		"app":        "app app-data tools zlib",
		"zlib":       "zlib",
		"app:x86_64": "app app-data tools zlib",
		".deps":      "oldtools",
		"other app":  "app app-data other tools zlib",
	} {
		ps, err := s.Select(t.Context(), strings.Fields(names), true)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range ps {
			got = append(got, p.Name)
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%s: got %s, want %s", names, g, want)
		}
	}
	if ps, err := s.Select(t.Context(), []string{"app"}, false); err != nil || joined(ps) != "app 1-r0 x86_64" {
		t.Errorf("alone: %v %v", ps, err)
	}
	if _, err := s.Select(t.Context(), []string{"app:armv7", "nothing"}, false); err == nil || !strings.Contains(err.Error(), "app:armv7, nothing") {
		t.Errorf("not installed: %v", err)
	}
}

func TestArchiveNames(t *testing.T) {
	for base, want := range map[string]string{
		"https://packages.example.org/Alpine/v3": "packages.example.org/Alpine/v3",
		"http://OWN.example/":                    "own.example/repository",
		"file:///media/cdrom/apks":               "media/cdrom/apks",
		"file:///Alpine":                         "Alpine/repository",
		"http://own.example/a%20b":               "own.example/a%20b",
	} {
		if got := ownName(base); got != want {
			t.Errorf("%s is named %s, want %s", base, got, want)
		}
	}
	for url, want := range map[string]string{
		"http://m.example/alpine/v3.19/main":             "http://m.example/alpine v3.19 main",
		"https://m.example/a/b/edge/testing":             "https://m.example/a/b edge testing",
		"https://m.example/alpine/latest-stable/main":    "https://m.example/alpine latest-stable main",
		"https://m.example/alpine/v3.19":                 "",
		"https://m.example/alpine/v3.19/main/x":          "",
		"https://edge/testing":                           "",
		"https://packages.wolfi.example/os":              "",
		"https://m.example/alpine/v3.19.1/main":          "",
		"https://m.example/postmarketos/v24.06/packages": "https://m.example/postmarketos v24.06 packages",
	} {
		mirror, branch, name, ok := place(url)
		if got := strings.TrimSpace(mirror + " " + branch + " " + name); ok != (want != "") || got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
