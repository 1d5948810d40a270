package yum

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/lockfile"
)

func exampleMetalink(now, before string) string {
	hashes := func(s string) string {
		return fmt.Sprintf(`<mm0:timestamp>%d</mm0:timestamp><size>%d</size>
     <verification><hash type="md5">x</hash><hash type="sha1">y</hash><hash type="sha256">%s</hash></verification>`, 1700000000+len(s), len(s), lockfile.DigestOf([]byte(s)))
	}
	return `<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/" type="dynamic" pubdate="Fri, 17 Nov 2023 00:00:00 GMT" generator="mirrormanager" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="repomd.xml">
   ` + hashes(now) + `
   <mm0:alternates><mm0:alternate>` + hashes(before) + `</mm0:alternate></mm0:alternates>
   <resources maxconnections="1">
    <url protocol="rsync" type="rsync" location="US" preference="100">rsync://a.example.org/repodata/repomd.xml</url>
    <url protocol="http" type="http" location="DE" preference="97">http://b.example.org/fedora/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="US" preference="99" >https://c.example.org/fedora/repodata/repomd.xml</url>
    <url protocol="https" type="https" location="US" preference="97">https://d.example.org/elsewhere.xml</url>
   </resources>
  </file>
 </files>
</metalink>`
}

func TestMetalink(t *testing.T) {
	m, err := ParseMetalink(strings.NewReader(exampleMetalink("the newest", "before")))
	if err != nil {
		t.Fatal(err)
	}
	want := []Mirror{
		{"https://c.example.org/fedora/repodata/repomd.xml", "https://c.example.org/fedora/", "https", "US", 99},
		{"http://b.example.org/fedora/repodata/repomd.xml", "http://b.example.org/fedora/", "http", "DE", 97},
	}
	if d := cmp.Diff(want, m.Mirrors); d != "" {
		t.Error(d)
	}
	if f, err := m.Check([]byte("the newest")); err != nil || !f.Timestamp.Equal(time.Unix(1700000010, 0)) {
		t.Errorf("the newest: %+v, %v", f, err)
	}
	if f, err := m.Check([]byte("before")); err != nil || f.Size != 6 {
		t.Errorf("the one before: %+v, %v", f, err)
	}
	var sum *ChecksumError
	if _, err := m.Check([]byte("the worst!")); !errors.As(err, &sum) || sum.Size != 10 {
		t.Errorf("another: %v", err)
	}
}

func TestMetalinksThatAreRefused(t *testing.T) {
	good := exampleMetalink("now", "before")
	deep := strings.Repeat("<x>", 500) + strings.Repeat("</x>", 500)
	for name, data := range map[string]string{
		"nothing":        "",
		"another file":   strings.ReplaceAll(good, `name="repomd.xml"`, `name="other.xml"`),
		"cut short":      good[:len(good)-20],
		"entities":       `<!DOCTYPE m [<!ENTITY a "b">]>` + good,
		"deep nesting":   strings.Replace(good, "<resources", deep+"<resources", 1),
		"something more": good + good,
		"a bad size":     strings.ReplaceAll(good, "<size>3", "<size>-3"),
		"too long":       good + strings.Repeat(" ", maxSmall),
		"two files":      strings.Replace(good, "</files>", `<file name="repomd.xml"/></files>`, 1),
	} {
		if m, err := ParseMetalink(strings.NewReader(data)); err == nil {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
	weak, err := ParseMetalink(strings.NewReader(strings.ReplaceAll(good, "sha256", "sha1")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := weak.Check([]byte("now")); err == nil {
		t.Error("a metalink of weak checksums vouches for a file")
	}
	two := MetalinkFile{Size: -1, Checksums: []Checksum{{"sha256", lockfile.DigestOf([]byte("a")).String()}, {"sha512", strings.Repeat("0", 128)}}}
	if two.matches([]byte("a")) {
		t.Error("one of two checksums is enough")
	}
}

func TestMirrorList(t *testing.T) {
	got, err := ParseMirrorList(strings.NewReader("# repo = x\nhttp://a.example.org/x/\r\n\n  https://b.example.org/y\nftp://c.example.org/\nnonsense\nfile:///srv\nhttp://\n"))
	if d := cmp.Diff([]string{"http://a.example.org/x/", "https://b.example.org/y", "file:///srv"}, got); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
	for name, text := range map[string]string{
		"an error page": "<html>not found</html>", "nothing": "", "a long line": strings.Repeat("x", 1<<20),
		"too long": strings.Repeat("# x\n", maxSmall/4+1), "too many": strings.Repeat("http://a.example.org/\n", maxMirrors+1),
	} {
		if got, err := ParseMirrorList(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %d mirrors", name, len(got))
		}
	}
}

func FuzzParseMetalink(f *testing.F) {
	f.Add([]byte(exampleMetalink("now", "before")))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetalink(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, x := range m.Mirrors {
			if x.URL != x.Base+repomdPath || checkURL(x.URL) != nil {
				t.Errorf("%+v", x)
			}
		}
		m.Check(data)
		if l, err := ParseMirrorList(strings.NewReader(string(data))); err == nil && len(l) == 0 {
			t.Error("an empty list is no error")
		}
	})
}
