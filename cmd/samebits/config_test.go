package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte("sources:\n  - /x\n  - {url: http://h/, archive: Debian/Debian-Security, keeper: true}\n\n  - \"oci://h/r\"\noffline: true\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []configSource{{URL: "/x", line: 2}, {"http://h/", "Debian/Debian-Security", true, 3}, {URL: "oci://h/r", line: 5}}
	if len(c.Sources) != len(want) {
		t.Fatalf("%+v", c)
	}
	for i := range want {
		if c.Sources[i] != want[i] {
			t.Errorf("%+v, want %+v", c.Sources[i], want[i])
		}
	}
	if c.Offline == nil || !*c.Offline || c.NoSnapshot != nil || c.Cache != "" {
		t.Errorf("%+v", c)
	}
	for _, empty := range []string{"", "# nothing\n", "sources:\n", "sources: []\n", "cache:\n"} {
		if c, err := parseConfig([]byte(empty)); err != nil || len(c.Sources) > 0 {
			t.Errorf("%q: %+v, %v", empty, c, err)
		}
	}
}

func TestParseBadConfig(t *testing.T) {
	for in, want := range map[string]string{
		"sorces: x\n":                                    `1:1: unknown field "sorces"`,
		"sources:\n  - url: /x\n    arch: y\n":           `3:5: unknown field "arch"`,
		"sources: /x\n":                                  "1:10: ",
		"sources:\n  - [/x]\n":                           "2:5: ",
		"sources:\n  - 5\n":                              "2:5: ",
		"sources:\n  -\n":                                "number 1 of the sources is empty",
		"sources:\n  - url:\n":                           "2:8: a source wants a url",
		"sources:\n  - ''\n":                             "2:5: a source wants a url",
		"sources:\n  - x\n":                              `2:5: the directory "x" is neither`,
		"sources:\n  - /x\n  - ftp://h/\n":               "3:5: ftp:// is not the scheme of a source",
		"sources:\n  - {url: oci://h/r, keeper: true}\n": "2:5: keeper is for HTTP",
		"sources:\n  - {url: /x, keeper: true}\n":        "2:5: keeper is for HTTP",
		"cache: [/x]\n":                                  "1:8: ",
		"cache: x\n":                                     `the cache "x" is not an absolute path`,
		"cache: /x\ncache: /y\n":                         "2:1: ",
		"cache: /x\n---\ncache: /y\n":                    "it has more than one YAML document",
		"offline: maybe\n":                               "1:10: ",
		"cache: [x\n":                                    "1:8: ",
		"- /x\n":                                         "1:1: ",
		"cache: /x\n\toffline: true\n":                   "2:",
	} {
		c, err := parseConfig([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %s", in, c, err, want)
			continue
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: an error of several lines: %v", in, err)
		}
	}
}

func TestReadConfig(t *testing.T) {
	name := filepath.Join(t.TempDir(), "config.yaml")
	if c, err := readConfig(name); c != nil || err != nil {
		t.Errorf("none: %v, %v", c, err)
	}
	if _, err := readConfig(filepath.Dir(name)); err == nil {
		t.Error("a directory was read")
	}
	for text, want := range map[string]string{
		"cache: /x\nfoo: bar\n":          name + `:2:1: unknown field "foo"`,
		"cache: x\n":                     name + ": the cache",
		strings.Repeat("#", maxConfig+1): "sane size",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readConfig(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func TestUserConfig(t *testing.T) {
	for _, c := range []struct{ xdg, home, want string }{
		{"/x", "/h", "/x/samebits/config.yaml"},
		{"", "/h", "/h/.config/samebits/config.yaml"},
		{"relative", "/h", "/h/.config/samebits/config.yaml"},
		{"", "", ""},
	} {
		s := &session{program: &program{getenv: func(name string) string {
			return map[string]string{"XDG_CONFIG_HOME": c.xdg, "HOME": c.home}[name]
		}}}
		if got := s.userConfig(); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte("sources:\n  - /x\n  - {url: http://h/, archive: A, keeper: true}\ncache: /x\noffline: false\nno-snapshot: true\n"))
	f.Add([]byte("sources: &a [*a]\n"))
	f.Add([]byte("sources:\n  -\n  - url:\n---\n"))
	f.Add([]byte("sources:\n  !!0 00"))
	f.Add([]byte("? !!binary x\n: |\n  y\n<<: {cache: z}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data)
		var at *positionError
		switch {
		case errors.As(err, &at):
			if at.line < 1 || at.message == "" {
				t.Errorf("%q: %v", data, err)
			}
		case err == nil:
			for _, s := range c.Sources {
				if s.URL == "" || s.line < 1 || backendOf(s.URL) == nil {
					t.Errorf("%q: %+v", data, s)
				}
			}
		}
	})
}

// BenchmarkNoConfig is what a verb pays on a machine without configuration.
func BenchmarkNoConfig(b *testing.B) {
	name := filepath.Join(b.TempDir(), "config.yaml")
	for b.Loop() {
		if c, err := readConfig(name); c != nil || err != nil {
			b.Fatal(c, err)
		}
	}
}
