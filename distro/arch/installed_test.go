package arch

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

func TestDescribe(t *testing.T) {
	for name, want := range map[string]string{
		"core/os/x86_64/lz4-1:1.8.0-1-x86_64.pkg.tar.xz":         "lz4 1:1.8.0-1 x86_64",
		"lz4-1%3A1.8.0-1-x86_64.pkg.tar.zst":                     "lz4 1:1.8.0-1 x86_64",
		"n/neofetch/neofetch-7.1.0-2-any.pkg.tar.zst":            "neofetch 7.1.0-2 any",
		"libsecret-0.18.5+14+g9980655-1-x86_64.pkg.tar.xz":       "libsecret 0.18.5+14+g9980655-1 x86_64",
		"gtk-update-icon-cache-1:4.12-1-x86_64_v3.pkg.tar":       "gtk-update-icon-cache 1:4.12-1 x86_64_v3",
		"n/neofetch/neofetch-7.1.0-2-any.pkg.tar.zst.sig":        "",
		"neofetch-7.1.0-any.pkg.tar.zst":                         "",
		"-a-1-1-any.pkg.tar.zst":                                 "",
		"a-1-1-a\u00e4.pkg.tar.zst":                              "",
		"a%00-1-1-any.pkg.tar.zst":                               "",
		strings.Repeat("a", 300) + "-1-1-any.pkg.tar.zst":        "",
		"core/os/x86_64/hello_1_amd64.deb":                       "",
		"https://x/a-1-1-any.pkg.tar.zst/b-2-1-any.pkg.tar.zst%": "",
	} {
		p, ok := Distro{}.Describe(name)
		if got := p.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%.60s: %q, %t, want %q", name, got, ok, want)
		}
	}
}

func TestHalfInstalled(t *testing.T) {
	for name, tt := range map[string]struct {
		file, text, want string
	}{
		"no description":    {"foo-1-1/files", "", "foo-1-1 (it has no description)"},
		"empty":             {"foo-1-1/desc", "", "foo-1-1 ("},
		"another":           {"foo-1-1/desc", pkg(t, "bar", "1-1").desc(true), "foo-1-1 (it describes bar 1-1)"},
		"twice":             {"ok-2-1/desc", pkg(t, "ok", "2-1").desc(true), "ok (as 1-1 and as 2-1)"},
		"impossible name":   {"f$o-1-1/desc", pkg(t, "f$o", "1-1").desc(true), "impossible name"},
		"not in a database": {"foo-1-1/desc", "garbage", "foo-1-1 ("},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.install(pkg(t, "ok", "1-1"))
			w.put("var/lib/pacman/local/"+tt.file, []byte(tt.text))
			_, err := w.open().Installed(t.Context())
			var broken *BrokenError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if _, err := w.open().Select(t.Context(), []string{"ok"}, true); !errors.As(err, &broken) {
				t.Errorf("select: %v", err)
			}
		})
	}
}

func TestOpen(t *testing.T) {
	if _, err := open("relative", nil); err == nil {
		t.Error("a relative root was opened")
	}
	if _, err := open(t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty root: %v", err)
	}
	w := newWorld(t)
	w.put("etc/pacman.conf", []byte("[options]\nSigLevel = Sometimes\n"))
	if _, err := open(w.root, nil); err == nil || !strings.Contains(err.Error(), "pacman.conf") {
		t.Errorf("a bad configuration: %v", err)
	}
	w.put("etc/pacman.conf", []byte("[options]\nDBPath = /srv/db\n"))
	if _, err := open(w.root, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database that is elsewhere and is not there: %v", err)
	}
	w.put("srv/db/local/foo-1-1/desc", []byte(pkg(t, "foo", "1-1").desc(true)))
	if ps, err := w.open().Installed(t.Context()); err != nil || len(ps) != 1 {
		t.Errorf("%v, %v", ps, err)
	}
	// The name of a derivative is kept, and a version where it has one.
	w.put("etc/os-release", []byte("ID=manjaro\nID_LIKE=arch\nVERSION_ID=25.0\n"))
	if id := w.open().ID(); id != (lockfile.System{Distro: "manjaro", Version: "25.0", Arch: "-"}) {
		t.Errorf("%v", id)
	}
}

func TestConfigIncludes(t *testing.T) {
	w := newWorld(t)
	w.put("etc/pacman.conf", []byte("[options]\nInclude = /etc/pacman.d/*.conf\nInclude = /none/*/x\n"))
	w.put("etc/pacman.d/b.conf", []byte("IgnorePkg = b\n[b]\nServer = http://b/\n"))
	w.put("etc/pacman.d/a.conf", []byte("IgnorePkg = a\n"))
	w.put("etc/pacman.d/.hidden.conf", []byte("IgnorePkg = hidden\n"))
	s := w.open()
	if want := []string{"a", "b"}; !slices.Equal(s.Config.IgnorePkg, want) || len(s.Config.Repositories) != 1 {
		t.Errorf("%+v", s.Config)
	}
	// A link that leads out of the root is none within it.
	outside := filepath.Join(t.TempDir(), "x.conf")
	writeTo(t, outside, []byte("IgnorePkg = outside\n"))
	if err := os.Symlink(outside, filepath.Join(w.root, "etc/pacman.d/c.conf")); err != nil {
		t.Fatal(err)
	}
	if s := w.open(); slices.Contains(s.Config.IgnorePkg, "outside") {
		t.Error("a file of the host was read")
	}
}

func TestArchitecture(t *testing.T) {
	elf := func(class, data byte, machine ...byte) string {
		head := make([]byte, 64)
		copy(head, "\x7fELF")
		head[4], head[5] = class, data
		copy(head[18:], machine)
		return string(head)
	}
	for name, tt := range map[string]struct {
		file, text, want string
	}{
		"configured":   {"etc/pacman.conf", "[options]\nArchitecture = auto x86_64 x86_64_v3\n", "x86_64"},
		"makepkg":      {"etc/makepkg.conf", "#CARCH=no\nCARCH=\"aarch64\"\n", "aarch64"},
		"program":      {"usr/bin/bash", elf(2, 1, 183, 0), "aarch64"},
		"big endian":   {"usr/bin/bash", elf(1, 2, 0, 3), "i686"},
		"riscv":        {"usr/bin/pacman", elf(2, 1, 243, 0), "riscv64"},
		"a script":     {"usr/bin/bash", "#!/bin/sh\n" + strings.Repeat(" ", 20), "x86_64"},
		"short":        {"usr/bin/bash", "\x7fELF", "x86_64"},
		"the packages": {"x", "", "x86_64"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put("etc/pacman.conf", []byte("[options]\nArchitecture = auto\n"))
			for i, arch := range []string{"any", "any", "any", "x86_64", "i686", "x86_64"} {
				m := pkg(t, "p"+string(rune('a'+i)), "1-1")
				m.arch = arch
				w.install(m)
			}
			w.put(tt.file, []byte(tt.text))
			if got := w.open().ID().Arch; got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	w := newWorld(t)
	w.install(
		pkg(t, "app", "1-1", "DEPENDS=libx.so=2-64", "DEPENDS=sh", "DEPENDS=gone>1"),
		pkg(t, "libx", "2-1", "PROVIDES=libx.so=2-64", "DEPENDS=app"),
		pkg(t, "libx1", "1-1", "PROVIDES=libx.so=1-64"),
		pkg(t, "bash", "5-1", "PROVIDES=sh"),
		pkg(t, "dash", "1-1", "PROVIDES=sh"),
		pkg(t, "other", "1-1", "DEPENDS=app"),
	)
	names := func(ps []distro.Package) string {
		var out []string
		for _, p := range ps {
			out = append(out, p.Name)
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"app": "app bash dash libx", "app:any": "app bash dash libx", "app:x86_64": "app bash dash libx", "bash dash": "bash dash",
	} {
		ps, err := w.open().Select(t.Context(), strings.Fields(query), true)
		if err != nil || names(ps) != want {
			t.Errorf("%s: %s, %v, want %s", query, names(ps), err, want)
		}
	}
	if _, err := w.open().Select(t.Context(), []string{"app", "zz", "app:i686"}, false); err == nil || !strings.HasSuffix(err.Error(), ": app:i686, zz") {
		t.Errorf("%v", err)
	}
}

func TestAccess(t *testing.T) {
	w := newWorld(t)
	w.put("etc/pacman.conf", []byte(`[options]
Architecture = x86_64
[core]
CacheServer = http://cache.example/archlinux/$repo/os/$arch
Server = http://user:word@Mirror.example/arch/$repo/os/$arch
Server = http://plain.example/x/core/os/x86_64/
Server = http://odd.example/$arch/$repo
[extra]
Server = http://user:word@Mirror.example/arch/$repo/os/$arch
[mine]
Server = file:///srv/repo
`))
	s := w.open()
	var got []string
	for _, m := range s.Access().Mirrors {
		got = append(got, m.Archive+" "+m.URL)
	}
	want := []string{
		"Arch-Linux http://cache.example/archlinux", "Arch-Linux http://user:word@mirror.example/arch", "Arch-Linux http://plain.example/x",
		"Arch-Linux http://user:word@odd.example/x86_64/core/{{.Basename}}", "mine file:///srv/repo",
	}
	want[3] = "Arch-Linux http://odd.example/x86_64/core/{{.Basename}}"
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestHomes(t *testing.T) {
	for name, tt := range map[string]struct {
		id, repo, server, want string
	}{
		"arch":          {"arch", "core", "http://m.example/$repo/os/$arch", "Arch-Linux core/os/x86_64"},
		"endeavouros":   {"endeavouros", "extra", "http://m.example/$repo/os/$arch", "Arch-Linux extra/os/x86_64"},
		"own repo":      {"endeavouros", "endeavouros", "http://m.example/repo/$repo/$arch", "endeavouros http://m.example/repo endeavouros/x86_64"},
		"arm":           {"archarm", "core", "http://m.example/$arch/$repo", "Arch-Linux-ARM x86_64/core"},
		"manjaro":       {"manjaro", "core", "https://m.example/stable/$repo/$arch", "Manjaro https://m.example/stable core/x86_64"},
		"flat":          {"arch", "mine", "http://u:p@M.example/here/", "mine http://m.example/here "},
		"false friend":  {"arch", "Arch-Linux", "http://m.example/$arch", "Arch-Linux- http://m.example x86_64"},
		"no server":     {"arch", "core", "", "Arch-Linux core/os/x86_64"},
		"unknown, none": {"arch", "mine", "", "mine "},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put("etc/os-release", []byte("ID="+tt.id+"\n"))
			server := ""
			if tt.server != "" {
				server = "Server = " + tt.server
			}
			w.put("etc/pacman.conf", []byte("[options]\nArchitecture = x86_64\n["+tt.repo+"]\n"+server+"\n"))
			s := w.open()
			h := s.homeOf(&s.Config.Repositories[0])
			if got := h.archive.String() + " " + h.folder; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzSplit(f *testing.F) {
	f.Add("http://u:p@m.example/a/$repo/os/$arch", "core")
	f.Add("file:///x", "..")
	f.Fuzz(func(t *testing.T, server, repo string) {
		s := &System{id: lockfile.System{Distro: "arch", Version: "-", Arch: "x86_64"}}
		base, folder := s.split(server, repo)
		if folder != "" && lockfile.CheckPath(folder) != nil {
			t.Errorf("%q of %q", folder, server)
		}
		if strings.HasSuffix(base, "/") {
			t.Errorf("%q of %q", base, server)
		}
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add("core/os/x86_64/lz4-1:1.8.0-1-x86_64.pkg.tar.xz")
	f.Add("a%3Ab-1-1-any.pkg.tar")
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := Distro{}.Describe(name)
		if !ok {
			return
		}
		if strings.ContainsAny(p.String(), "/\n\t") || strings.Count(p.String(), " ") != 2 {
			t.Errorf("%q is %v", name, p)
		}
		again := p.Name + "-" + p.Version + "-" + p.Arch + ".pkg.tar.zst"
		if q, ok := (Distro{}).Describe(again); !ok || q != p {
			t.Errorf("%q is %v, %q is %v", name, p, again, q)
		}
	})
}
