package apk_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

func TestParseRepositories(t *testing.T) {
	got, err := apk.ParseRepositories("etc/apk/repositories", []byte(`# comment
https://dl-cdn.alpinelinux.org/alpine/v3.19/main
http://dl-cdn.alpinelinux.org/alpine/v3.19/community/

  #http://example.org/off
@edge   https://dl-cdn.alpinelinux.org/alpine/edge/main
/media/cdrom/apks
@local /srv/packages//
ftp://ftp.example.org/alpine
set -default mirror=https://example.org
set version=v3.23
set mirror=https://mirror.example.org
set -default mirror=https://late.example.org
v3 ${mirror}/${version} main community
v2 @old ${mirror}/${version:2}/main
ndx https://example.org/x/Index.adb
@n https://example.org/y/APKINDEX.tar.gz`))
	if err != nil {
		t.Fatal(err)
	}
	type short struct {
		Tag, Index, Dir string
		Line            int
	}
	var have []short
	for _, r := range got {
		if r.File != "etc/apk/repositories" || r.Line == "" {
			t.Errorf("%+v", r)
		}
		have = append(have, short{r.Tag, r.Index("x86_64"), r.Dir("x86_64"), r.LineNo})
	}
	if d := cmp.Diff([]short{
		{"", "https://dl-cdn.alpinelinux.org/alpine/v3.19/main/x86_64/APKINDEX.tar.gz", "https://dl-cdn.alpinelinux.org/alpine/v3.19/main/x86_64", 2},
		{"", "http://dl-cdn.alpinelinux.org/alpine/v3.19/community/x86_64/APKINDEX.tar.gz", "http://dl-cdn.alpinelinux.org/alpine/v3.19/community/x86_64", 3},
		{"@edge", "https://dl-cdn.alpinelinux.org/alpine/edge/main/x86_64/APKINDEX.tar.gz", "https://dl-cdn.alpinelinux.org/alpine/edge/main/x86_64", 6},
		{"", "/media/cdrom/apks/x86_64/APKINDEX.tar.gz", "/media/cdrom/apks/x86_64", 7},
		{"@local", "/srv/packages/x86_64/APKINDEX.tar.gz", "/srv/packages/x86_64", 8},
		{"", "ftp://ftp.example.org/alpine/x86_64/APKINDEX.tar.gz", "ftp://ftp.example.org/alpine/x86_64", 9},
		{"", "https://mirror.example.org/v3.23/main/x86_64/Packages.adb", "https://mirror.example.org/v3.23/main/x86_64", 14},
		{"", "https://mirror.example.org/v3.23/community/x86_64/Packages.adb", "https://mirror.example.org/v3.23/community/x86_64", 14},
		{"@old", "https://mirror.example.org/v3/main/x86_64/APKINDEX.tar.gz", "https://mirror.example.org/v3/main/x86_64", 15},
		{"", "https://example.org/x/Index.adb", "https://example.org/x", 16},
		{"@n", "https://example.org/y/APKINDEX.tar.gz", "https://example.org/y", 17},
	}, have); d != "" {
		t.Error(d)
	}
}

// TestSeveralFiles tells that later files use the variables of earlier ones.
func TestSeveralFiles(t *testing.T) {
	p := apk.NewRepositoryParser("riscv64")
	if got, err := p.Parse("00-vars.list", []byte("set m=https://example.org\n")); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
	got, err := p.Parse("10.list", []byte("set -default m=https://other.example.org\n${m}/${APK_ARCH}\n"))
	if err != nil || len(got) != 1 || got[0].Base != "https://example.org/riscv64" {
		t.Error(got, err)
	}
}

func TestBrokenRepositories(t *testing.T) {
	for text, want := range map[string]string{
		"\n\nexample.org/alpine":          `r:3: "example.org/alpine" is neither a URL nor an absolute path`,
		"@tag":                            "r:1: the line names no repository",
		"@ /x":                            "the tag is empty",
		"v3":                              "the line names no repository",
		"v4 https://example.org":          `"v4" is neither`,
		"/x/${y}":                         `the variable "y" is not defined`,
		"/x/${y":                          "is not closed",
		"set x":                           `"x" defines no variable`,
		"set":                             "defines no variable",
		"set APK_ARCH=x":                  "defines no variable",
		"set 1x=y":                        "defines no variable",
		"set x-y=z":                       "defines no variable",
		"set -often x=y":                  `"-often" is no option`,
		"set x=y\n/a/${x:z}":              `"z" is no length`,
		"ndx https://example.org/a b":     "an index file has no components",
		"ndx https://example.org":         "names no index file",
		"/x " + strings.Repeat("a ", 300): "300 components",
		"set a=" + strings.Repeat("x", 3000) + "\nset b=${a}${a}": "expands to more than 4096 bytes",
	} {
		_, err := apk.ParseRepositories("r", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRealRepositories(t *testing.T) {
	for _, version := range []string{"3.6.5", "3.19.4", "3.20.3"} {
		text := fromTar(t, data(t, "minirootfs/alpine-minirootfs-"+version+"-x86_64.tar.gz"), "./etc/apk/repositories")
		got, err := apk.ParseRepositories("repositories", text)
		if err != nil || len(got) != 2 || !strings.HasSuffix(got[0].Base, "/main") || !strings.HasSuffix(got[1].Base, "/community") {
			t.Error(got, err)
		}
	}
}
