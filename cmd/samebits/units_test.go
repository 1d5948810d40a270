package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/fetch/web"
	"github.com/samebits/samebits/lockfile"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB",
		45_300_000: "45.3 MB", 1 << 62: "4.6 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 s", 3040 * time.Millisecond: "3.0 s", 28400 * time.Millisecond: "28 s", 59600 * time.Millisecond: "1 min 0 s", 3725 * time.Second: "62 min 5 s",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%s) = %s, want %s", d, got, want)
		}
	}
}

func TestParseAgeAndSize(t *testing.T) {
	for s, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "12h": 12 * time.Hour, "30d": 720 * time.Hour, "4w": 672 * time.Hour,
		"0d": 0, "": 0, "d": 0, "5": 0, "-1h": 0, "1.5h": 0, "5y": 0, "99999999999w": 0,
	} {
		if got, err := parseAge(s); got != want || (err == nil) != (want != 0) {
			t.Errorf("parseAge(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
	for s, want := range map[string]int64{
		"1": 1, "10B": 10, "500M": 500e6, "500mb": 500e6, "10G": 10e9, "2T": 2e12,
		"0": 0, "": 0, "G": 0, "1.5G": 0, "9X": 0, "99999999999T": 0, "-5M": 0,
	} {
		if got, err := parseSize(s); got != want || (err == nil) != (want != 0) {
			t.Errorf("parseSize(%q) = %v, %v, want %v", s, got, err, want)
		}
	}
}

func TestNetrc(t *testing.T) {
	got := parseNetrc("# comment\nmachine Mirror.Example login ann password s3 \n" +
		"machine b.example\n  login bob\n  account x\n  password p machine c.example login c\n" +
		"macdef init\nmachine evil.example login e password e\n\n" +
		"machine mirror.example login second password second\ndefault login anonymous password guest\n")
	want := netrcLogins{
		"mirror.example": {User: "ann", Password: "s3"},
		"b.example":      {User: "bob", Password: "p"},
		"c.example":      {User: "c"},
		"":               {User: "anonymous", Password: "guest"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if l, _ := got.find("MIRROR.example"); l.User != "ann" {
		t.Errorf("find does not fold case: %v", l)
	}
	if l, ok := (netrcLogins{"a": web.Login{}}).find("b"); ok {
		t.Errorf("found %v for another host", l)
	}
}

// TestNetrcOverLines has a host on the line after its keyword. The login must
// not become that of all hosts.
func TestNetrcOverLines(t *testing.T) {
	got := parseNetrc("machine\n  a.example\nlogin\n\tann password\ns3\nmachine b.example login bob")
	want := netrcLogins{"a.example": {User: "ann", Password: "s3"}, "b.example": {User: "bob"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	if l, ok := parseNetrc("machine").find("x.example"); ok {
		t.Errorf("found %v", l)
	}
}

func FuzzParseNetrc(f *testing.F) {
	f.Add("machine a login b password c\nmacdef x\n\ndefault login d")
	f.Fuzz(func(t *testing.T, text string) { parseNetrc(text) })
}

func TestFilePath(t *testing.T) {
	for u, want := range map[string]string{
		"file:///srv/a%20b":        "/srv/a b",
		"file:/srv/debs":           "/srv/debs",
		"file://localhost/srv":     "/srv",
		"http://mirror.example/":   "",
		"/srv/debs":                "",
		"copy:/srv/debs":           "",
		"file:///srv/debs/%zz/bad": "/srv/debs/%zz/bad",
	} {
		if got, ok := filePath(u); got != want || ok != (want != "") {
			t.Errorf("filePath(%s) = %q, %t", u, got, ok)
		}
	}
}

func TestMergePlaces(t *testing.T) {
	a, b := lockfile.Archive{Name: "A"}, lockfile.Archive{Name: "B"}
	of := func(archives ...lockfile.Archive) []lockfile.Archive { return archives }
	got := merge([]place{
		{url: "http://x/"}, {url: "http://y", archives: of(a)}, {url: "http://x", archives: of(a)},
		{url: "http://y/", archives: of(b)}, {url: "http://z", archives: of(b)}, {url: "http://z"},
	})
	want := []place{{url: "http://x"}, {url: "http://y", archives: of(a, b)}, {url: "http://z"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestNewerThan(t *testing.T) {
	family := families[0]
	old := &lockfile.Lock{
		Entries: []lockfile.Entry{{Path: "pool/main/h/hello/hello_2.10-3_amd64.deb"}, {Path: "pool/main/v/vim/vim_9.0_amd64.deb"}},
		Missing: []lockfile.Missing{{Name: "lost", Version: "1", Arch: "all"}},
	}
	packages := []distro.Package{
		{Name: "hello", Version: "2.10-3", Arch: "amd64"}, {Name: "hello", Version: "2.10-3", Arch: "i386"},
		{Name: "lost", Version: "1", Arch: "all"}, {Name: "lost", Version: "2", Arch: "all"},
		{Name: "vim", Version: "2:9.0", Arch: "amd64"}, {Name: "vim", Version: "2:9.1", Arch: "amd64"},
	}
	want := []distro.Package{packages[1], packages[3], packages[5]}
	if got := newerThan(old, packages, family); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestPrintable(t *testing.T) {
	if got := printable("a\x1b[31mb\nc\td\u009be\u202ef"); got != "a�[31mb\nc\td�e�f" {
		t.Errorf("%q", got)
	}
}

func TestInRoot(t *testing.T) {
	for _, c := range []struct{ root, in, want string }{
		{"/", "file:///srv/repo", "file:///srv/repo"},
		{"/mnt", "file:/srv/repo", "file:///mnt/srv/repo"},
		{"/mnt", "copy:/srv/a%20b", "file:///mnt/srv/a%20b"},
		{"/mnt", "file:///../../etc", "file:///mnt/etc"},
		{"/mnt", "http://mirror.example/debian", "http://mirror.example/debian"},
	} {
		got := inRoot(c.root, []distro.Mirror{{URL: c.in}})
		if got[0].URL != c.want {
			t.Errorf("%s in %s: %s, want %s", c.in, c.root, got[0].URL, c.want)
		}
	}
}
