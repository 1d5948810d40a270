package main

import (
	"flag"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
	"github.com/urfave/cli/v2"
)

const sourcesPage = "../../docs/sources.md"

func readSourcesPage(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(sourcesPage)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDocumentedConfig(t *testing.T) {
	_, rest, _ := strings.Cut(readSourcesPage(t), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```\n")
	if !ok {
		t.Fatalf("%s has no example of a configuration", sourcesPage)
	}
	c, err := parseConfig([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Sources) != 4 || c.Sources[2].Archive != "Debian" || !c.Sources[3].Keeper || c.Cache == "" || c.Offline == nil || c.NoSnapshot == nil {
		t.Errorf("the example is not complete: %+v", c)
	}
}

func TestDocumentedSources(t *testing.T) {
	page := readSourcesPage(t)
	for _, b := range backends[1:] {
		if !strings.Contains(page, "`"+b.scheme+"://") {
			t.Errorf("%s does not tell of %s://", sourcesPage, b.scheme)
		}
	}
	p, _, _ := testProgram()
	commands := regexp.MustCompile(`(?m)^(?:\$ )?(samebits .*)$`).FindAllStringSubmatch(page, -1)
	if len(commands) < 8 {
		t.Errorf("only %d commands", len(commands))
	}
	for _, c := range commands {
		words, err := shellWords(c[1])
		if err == nil {
			_, err = arrange(p.app(), words)
		}
		if err != nil {
			t.Errorf("%s: %v", c[1], err)
		}
	}
}

func TestBackendOf(t *testing.T) {
	for in, want := range map[string]string{
		"/mnt/debs": "", "debs": "", "./a:b": "", "C:debs": "",
		"file:/mnt": "file", "file:///mnt": "file",
		"HTTP://h/": "http", "https://h/{{.Path}}": "https",
		"oci://h/r:t": "oci", "oci+http://h/r": "oci+http",
		"ipfs://": "ipfs", "ipfs+https://h": "ipfs+https", "ipfs+gateway://h": "ipfs+gateway",
		"s3://b": "s3", "s3+http://b": "s3+http",
	} {
		if b := backendOf(in); b == nil || b.scheme != want {
			t.Errorf("%s: %+v, want %q", in, b, want)
		}
	}
	for _, in := range []string{"ftp://h/", "docker://h/r", "s3x://b"} {
		if b := backendOf(in); b != nil {
			t.Errorf("%s: %+v", in, b)
		}
	}
}

func TestWithoutLogin(t *testing.T) {
	for in, want := range map[string]string{
		"http://h/p":                 "http://h/p",
		"http://u:p@h:1/p":           "http://h:1/p",
		"http://u:p@s@h/p":           "http://h/p",
		"http://u:p@h":               "http://h",
		"http://u:p@h?q=secret":      "http://h?…",
		"http://h/a@b?token=secret":  "http://h/a@b?…",
		"https://h/{{.Path}}?k=v":    "https://h/{{.Path}}?…",
		"oci://h/r:t@sha256:12":      "oci://h/r:t@sha256:12",
		"ipfs://u:p@h/c":             "ipfs://h/c",
		"s3://b?endpoint=e&lock=web": "s3://b?…",
		"/dir/a@b?c":                 "/dir/a@b?c",
	} {
		if got := withoutLogin(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestNamed(t *testing.T) {
	s := &session{
		program: withEnv(map[string]string{"SAMEBITS_SOURCES": " /a\n/b "}),
		Context: cli.NewContext(nil, flag.NewFlagSet("", 0), nil),
		configs: []*config{
			{file: "own", Sources: []configSource{{URL: "http://slow.example/", Archive: "A", Keeper: true, line: 3}}},
			{file: "all", Sources: []configSource{{URL: "/c", line: 1}, {URL: "http://old.example/{{.Timestamp}}/{{.Path}}", line: 2}}},
		},
	}
	want := []place{
		{url: "/a", asked: true, why: "SAMEBITS_SOURCES"},
		{url: "/b", asked: true, why: "SAMEBITS_SOURCES"},
		{url: "http://slow.example/", archives: []lockfile.Archive{{Name: "A"}}, keeper: true, asked: true, why: "own:3"},
		{url: "/c", asked: true, why: "all:1"},
		{url: "http://old.example/{{.Timestamp}}/{{.Path}}", keeper: true, asked: true, why: "all:2"},
	}
	if got := s.named(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestArchivesOf(t *testing.T) {
	a, b := lockfile.Archive{Name: "A"}, lockfile.Archive{Name: "A", URL: "http://a.example/"}
	l := &lockfile.Lock{Entries: []lockfile.Entry{
		{Path: "1", Archive: a}, {Path: "2", Archive: b}, {Path: "3", Archive: a},
	}}
	list := archivesOf(l)
	if len(list) != 2 || list[0].Files != 2 || list[0].Sample != "1" || list[1].Files != 1 || list[1].request.Entry.Path != "2" {
		t.Errorf("%+v", list)
	}
}

func TestChooseLock(t *testing.T) {
	lock := func(arch string) pulledLock {
		return pulledLock{Lock: &lockfile.Lock{System: lockfile.System{Distro: "debian", Version: "12", Arch: arch}}}
	}
	several := []pulledLock{lock("amd64"), lock("arm64"), lock("i386")}
	for _, c := range []struct {
		arch  string
		locks []pulledLock
		want  string // of the lock, or words of the error
	}{
		{"", several[:1], "amd64"},
		{"", []pulledLock{lock("riscv64")}, "riscv64"},
		{"amd64", several, "amd64"},
		{"x86_64", several, "amd64"},
		{"aarch64", several, "arm64"},
		{"386", several, "i386"},
		{"i686", several, "i386"},
		{"arm64", []pulledLock{lock("aarch64")}, "aarch64"},
		{"s390x", several, "none of the locks is for s390x: they are for debian 12 amd64, debian 12 arm64, debian 12 i386"},
		{"arm64", several[:1], "none of the locks is for arm64: they are for debian 12 amd64"},
		{"arm64", append(several, lock("aarch64")), "several of the locks are for arm64"},
		{"", []pulledLock{lock("riscv64"), lock("s390x")}, "choose with --arch"},
	} {
		got, err := chooseLock(c.locks, c.arch)
		switch {
		case err != nil && !strings.Contains(err.Error(), c.want):
			t.Errorf("--arch %q: %v, want %q", c.arch, err, c.want)
		case err == nil && got.System.Arch != c.want:
			t.Errorf("--arch %q: %s, want %s", c.arch, got.System.Arch, c.want)
		}
	}
}

func TestMachineNames(t *testing.T) {
	got := machineNames("aarch64")
	if !slices.Equal(got, []string{"aarch64", "arm64"}) {
		t.Errorf("%v", got)
	}
}
