package apt_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/debian/apt"
)

const (
	finger = "4D64FEC119C2029067D6E791F8D2585B8783D481"
	key    = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF\n =abcd\n -----END PGP PUBLIC KEY BLOCK-----"
)

func TestTrust(t *testing.T) {
	base := map[string]string{
		"etc/apt/trusted.gpg":                "x",
		"etc/apt/trusted.gpg.d/b.asc":        "x",
		"etc/apt/trusted.gpg.d/a.gpg":        "x",
		"etc/apt/trusted.gpg.d/c.gpg~":       "x",
		"usr/share/keyrings/unnamed.gpg":     "x",
		"etc/apt/sources.list.d/x.sources":   "",
		"etc/apt/trusted.gpg.d/directory/no": "x",
	}
	all := []string{"etc/apt/trusted.gpg", "etc/apt/trusted.gpg.d/a.gpg", "etc/apt/trusted.gpg.d/b.asc"}
	for name, tt := range map[string]struct {
		fields string
		want   apt.Trust
	}{
		"none":         {"", apt.Trust{Keyrings: all}},
		"path":         {"Signed-By: /usr/share/keyrings/x.gpg", apt.Trust{Keyrings: []string{"usr/share/keyrings/x.gpg"}}},
		"two paths":    {"Signed-By: /a.gpg, /b.asc", apt.Trust{Keyrings: []string{"a.gpg", "b.asc"}}},
		"climbing":     {"Signed-By: /../../x.gpg", apt.Trust{Keyrings: []string{"x.gpg"}}},
		"fingerprint":  {"Signed-By: " + strings.ToLower(finger), apt.Trust{Keyrings: all, Fingerprints: []apt.Fingerprint{{Hex: finger}}}},
		"exact":        {"Signed-By:\n " + finger + "!\n /x.gpg", apt.Trust{Keyrings: []string{"x.gpg"}, Fingerprints: []apt.Fingerprint{{Hex: finger, Exact: true}}}},
		"inline":       {"Signed-By:\n " + key, apt.Trust{Inline: []string{"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBF\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"}}},
		"trusted":      {"Trusted: yes", apt.Trust{Keyrings: all, Always: true}},
		"not trusted":  {"Trusted: no", apt.Trust{Keyrings: all, Never: true}},
		"insecure":     {"Allow-Insecure: yes", apt.Trust{Keyrings: all, AllowInsecure: true}},
		"unknown word": {"Future-Option: yes", apt.Trust{Keyrings: all}},
	} {
		t.Run(name, func(t *testing.T) {
			root := rootWith(t, base)
			text := "Types: deb\nURIs: http://example.org\nSuites: x\nComponents: main\n" + tt.fields + "\n"
			if err := os.WriteFile(filepath.Join(root, "etc/apt/sources.list.d/x.sources"), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			c, _, err := load(t, root)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, c.Repositories[0].Trust); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestListOptions(t *testing.T) {
	root := rootWith(t, map[string]string{
		"etc/apt/apt.conf":     "APT::Architecture \"amd64\"; APT::Architectures \"amd64,i386\";",
		"etc/apt/sources.list": "deb [signed-by=/k.gpg,/l.gpg by-hash=no check-valid-until=no snapshot=20250101T000000Z arch+=armhf allow-insecure=yes lang=none] http://example.org x main\ndeb http://example.org y main\ndeb http://example.org y main contrib\n",
	})
	c, warnings, err := load(t, root)
	if err != nil {
		t.Fatal(err)
	}
	no := false
	want := []apt.Repository{
		{
			URI: "http://example.org/", Mirrors: []string{"http://example.org/"}, Suite: "x", Components: []string{"main"},
			Architectures: []string{"amd64", "i386", "armhf"}, ByHash: &no, Snapshot: "20250101T000000Z",
			Trust: apt.Trust{Keyrings: []string{"k.gpg", "l.gpg"}, AllowInsecure: true},
			File:  filepath.Join(root, "etc/apt/sources.list"), Line: 1,
		},
		{
			URI: "http://example.org/", Mirrors: []string{"http://example.org/"}, Suite: "y", Components: []string{"main", "contrib"},
			Architectures: []string{"amd64", "i386"}, CheckValidUntil: true,
			File: filepath.Join(root, "etc/apt/sources.list"), Line: 2,
		},
	}
	if d := cmp.Diff(want, c.Repositories); d != "" {
		t.Error(d)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "configured twice") {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestBadSources(t *testing.T) {
	for in, want := range map[string]string{
		"deb http://example.org\n":                         ":1: the entry wants",
		"\nrpm http://example.org x main\n":                ":2: unknown type",
		"deb example.org x main\n":                         "not a URI",
		"deb http://example.org x\n":                       "wants components",
		"deb http://example.org x/ main\n":                 "may not have components",
		"deb [arch=amd64 http://example.org x main\n":      "closing bracket",
		"deb [arch] http://example.org x main\n":           "name=value",
		"deb http://example.org ../../x main\n":            "neither a suite",
		"deb [signed-by=relative.gpg] http://e.org x main": "neither an absolute path",
		"deb [trusted=yes] http://example.org x main\ndeb [trusted=no] http://example.org x contrib\n":    ":2: http://example.org/ x has another value of Trusted",
		"deb [signed-by=/a] http://u:secret@example.org x main\ndeb http://u:secret@example.org x main\n": "Signed-By",
	} {
		root := rootWith(t, map[string]string{"etc/apt/sources.list": in})
		_, _, err := load(t, root)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestMirrors(t *testing.T) {
	root := rootWith(t, map[string]string{
		"etc/apt/sources.list": "deb mirror+file:/etc/apt/m x main\ndeb mirror+https://example.org/list x main\ndeb cdrom:[Debian]/ x main\ndeb gopher://example.org x main\n",
		"etc/apt/m":            "# comment\nhttp://c.example.org\nhttp://b.example.org\tpriority:2\thttps\nhttp://a.example.org/ priority:1\nhttp://a.example.org/\n\nnonsense\n",
	})
	c, warnings, err := load(t, root)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Repositories) != 2 || len(warnings) != 2 {
		t.Fatalf("%d repositories, warnings %q", len(c.Repositories), warnings)
	}
	want := []string{"http://a.example.org/", "http://b.example.org/", "http://c.example.org/"}
	if d := cmp.Diff(want, c.Repositories[0].Mirrors); d != "" {
		t.Error(d)
	}
	if r := c.Repositories[1]; len(r.Mirrors) != 0 {
		t.Errorf("a list that is not there yet has %q", r.Mirrors)
	} else if list, ok := apt.MirrorList(r.URI); !ok || list != "https://example.org/list" {
		t.Errorf("the list is at %q", list)
	}
}

func TestLogin(t *testing.T) {
	root := rootWith(t, map[string]string{
		"etc/apt/auth.conf":            "machine one.example.org login u1 password p1\nmachine http://plain.example.org\n login u2\n password p2\n",
		"etc/apt/auth.conf.d/x.conf":   "machine one.example.org login late password late\nmachine path.example.org/deb/ login u3 password p3\nmachine port.example.org:8443 login u4 password p4",
		"etc/apt/auth.conf.d/no.other": "machine no.example.org login x password x",
	})
	c, _, err := load(t, root)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"https://one.example.org/x":            "u1:p1",
		"https://one.example.org:444/x":        "u1:p1",
		"http://one.example.org/x":             "",
		"http://plain.example.org/":            "u2:p2",
		"https://plain.example.org/":           "",
		"https://path.example.org/deb/x":       "u3:p3",
		"https://path.example.org/other":       "",
		"https://port.example.org:8443/":       "u4:p4",
		"https://port.example.org/":            "",
		"https://no.example.org/":              "",
		"https://xone.example.org/":            "",
		"https://one.example.org.evil.invalid": "",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		login, ok := c.Login(u)
		got := ""
		if ok {
			got = login.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

func TestBadOptions(t *testing.T) {
	for in, want := range map[string]string{
		"A::B \"c\"":                      "apt.conf:1: text at the end",
		"\n{ a; }":                        "apt.conf:2: a block without a name",
		"A \"b\" c;":                      "extra text",
		"A { #clear B; };":                "top level",
		"A \"b;\n":                        "at the end",
		"#include \"/etc/apt/apt.conf\";": "nested includes",
	} {
		root := rootWith(t, map[string]string{"etc/apt/apt.conf": in})
		if _, _, err := load(t, root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", in, err, want)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("deb [arch=amd64] http://example.org x main\n", realConf, "Types: deb\nURIs: x:y\nSuites: a\nComponents: b\nSigned-By:\n "+key+"\n", "Package: a*\nPin: release o=[x,a=/y/\nPin-Priority: 5\n", "machine a login b password c", "http://a priority:1")
	root := rootWith(f, nil)
	f.Fuzz(func(t *testing.T, list, conf, sources, preferences, auth, mirrors string) {
		for name, text := range map[string]string{
			"etc/apt/sources.list": list, "etc/apt/apt.conf.d/x": conf, "etc/apt/sources.list.d/x.sources": sources,
			"etc/apt/preferences": preferences, "etc/apt/auth.conf": auth,
		} {
			if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		apt.ParseMirrorList([]byte(mirrors))
		if strings.ContainsAny(apt.ListsName(list), "/\x00\n ") {
			t.Fatalf("the name of a list has what names may not: %q", apt.ListsName(list))
		}
		c, _, err := load(t, root)
		if err != nil {
			return
		}
		c.Priority(apt.Candidate{Package: "a", Releases: []apt.Release{{Origin: "x"}}})
		c.Login(&url.URL{Scheme: "https", Host: "a"})
		c.Proxy(&url.URL{Scheme: "https", Host: "a"})
		for _, p := range []string{c.ListsDir, c.ArchivesDir} {
			if strings.HasPrefix(p, "/") || strings.HasPrefix(p, "..") {
				t.Fatalf("a path that leaves the root: %q", p)
			}
		}
	})
}
