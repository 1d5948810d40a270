package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMirrorExampleIsRead(t *testing.T) {
	f, err := parseMirrorFile(mirrorExample)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Upstreams) != 1 || f.Upstreams[0].Prefix != "team" || f.Budget != 200e9 || len(f.Listen) != 1 || f.Limits.Connections != 2000 {
		t.Errorf("%+v", f)
	}
	// What stands in comments can be read too.
	var text strings.Builder
	for line := range strings.Lines(string(mirrorExample)) {
		if rest, ok := strings.CutPrefix(line, "# "); ok && (strings.HasPrefix(rest, "  ") || strings.Contains(rest, ": /") || strings.HasSuffix(rest, "s:\n") && !strings.Contains(rest, " ")) {
			line = rest
		}
		text.WriteString(line)
	}
	f, err = parseMirrorFile([]byte(text.String()))
	if err != nil || f.Cache == "" || len(f.Tokens.ReadFiles) == 0 {
		t.Errorf("%v\n%s", err, text.String())
	}
}

func TestBadMirrorFiles(t *testing.T) {
	for in, want := range map[string]string{
		"listn: x\n":                                    `1:1: unknown field "listn"`,
		"listen: [nowhere]\n":                           `1:10: "nowhere" is no address`,
		"listen: ['unix:x']\n":                          `1:10: "x" is not an absolute path of a socket`,
		"cache: x\n":                                    `1:8: "x" is not an absolute path`,
		"budget: lots\n":                                `1:9: "lots" is not a size such as`,
		"fresh: 5\n":                                    `1:8: "5" is not a time such as`,
		"limits:\n  connections: 0\n":                   `2:16: "0" is not a number from 1 on`,
		"limits:\n  conections: 1\n":                    `2:3: unknown field "conections"`,
		"offline: perhaps\n":                            "1:10: ",
		"tls: {certificate: /x}\n":                      "tls wants a certificate and a key",
		"tokens: {admin: a, admin-file: /a}\n":          "the admin token is given twice",
		"upstreams:\n  -\n":                             "number 1 of the upstreams is empty",
		"upstreams:\n  - format: debian\n":              "2:5: this upstream wants a prefix",
		"upstreams:\n  - prefix: /x\n":                  `2:13: "/x" cannot be the first part of a path`,
		"upstreams:\n  - prefix: ../x\n":                `2:13: "../x" cannot`,
		"upstreams:\n  - {prefix: x, format: z}":        `2:25: "z" is no format; there are debian`,
		"upstreams:\n  - {prefix: x, format: debian}\n": "2:6: this upstream wants urls",
		"upstreams:\n  - {prefix: x, format: debian, urls: [ftp://h/]}\n":                               "2:40: this is no URL of an archive",
		"upstreams:\n  - {prefix: api/x, format: debian, urls: ['http://h/']}\n":                        "the mirror itself uses /api/",
		"upstreams:\n  - {prefix: x, format: debian, urls: ['http://h/'], unsigned: true, keys: [/k]}":  "2:6: an upstream has keys or is unsigned",
		"upstreams:\n  - &a {prefix: x, format: debian, urls: ['http://h/'], unsigned: true}\n  - *a\n": `two upstreams have the prefix "x"`,
		"cache: /x\n---\ncache: /y\n": "it has more than one YAML document",
		"cache: [/x]\n":               "1:8: one value is due here",
	} {
		f, err := parseMirrorFile([]byte(in))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %+v, %v, want %s", in, f, err, want)
		}
	}
}

func FuzzParseMirrorFile(f *testing.F) {
	f.Add(string(mirrorExample))
	f.Add("upstreams: [{prefix: x}]")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		file, err := parseMirrorFile([]byte(text))
		if err != nil {
			return
		}
		for _, u := range file.Upstreams {
			if u.Prefix == "" || len(u.URLs) == 0 || findFormat(string(u.Format)) == nil {
				t.Errorf("%q: %+v", text, u)
			}
		}
	})
}

func TestReadToken(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	for text, want := range map[string]string{"abc\n": "abc", " abc": "abc", "": "", "a b": "", "a\nb\n": ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readToken(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if _, err := readToken(name + "x"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestPlanOfNoConfiguration(t *testing.T) {
	for _, prefix := range []string{"debian", "debian-security", "ubuntu"} {
		found := false
		for _, k := range knownArchives {
			found = found || k.prefix == prefix
			if findFormat(k.format) == nil {
				t.Errorf("%s has the format %q, which is none", k.prefix, k.format)
			}
		}
		if !found {
			t.Errorf("no archive has the prefix %s", prefix)
		}
	}
}
