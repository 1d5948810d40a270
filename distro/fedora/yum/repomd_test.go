package yum

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const exampleRepomd = `<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1635225121</revision>
  <tags><content>binary</content><distro cpeid="cpe:/o:fedoraproject:fedora:35">Fedora 35</distro></tags>
  <data type="primary">
    <checksum type="sha256">AA</checksum>
    <open-checksum type="sha256">bb</open-checksum>
    <header-checksum type="sha256">cc</header-checksum>
    <location href="repodata/aa-primary.xml.gz" xml:base="https://example.org/x/"/>
    <timestamp>1635225122.25</timestamp>
    <size>100</size>
    <open-size>1000</open-size>
  </data>
  <data type="group"><checksum type="sha">dd</checksum><location href="repodata/comps.xml"/><timestamp>1635225129</timestamp></data>
</repomd>
`

func TestRepomd(t *testing.T) {
	got, err := ParseRepomd(strings.NewReader(exampleRepomd))
	if err != nil {
		t.Fatal(err)
	}
	want := &Repomd{
		Revision: "1635225121", Content: []string{"binary"}, Distro: []string{"Fedora 35"}, DistroID: "cpe:/o:fedoraproject:fedora:35",
		Data: []DataFile{
			{
				Type: "primary", Checksum: Checksum{"sha256", "aa"}, OpenChecksum: Checksum{"sha256", "bb"},
				Location: "repodata/aa-primary.xml.gz", Base: "https://example.org/x/", Size: 100, OpenSize: 1000,
				Timestamp: time.Unix(1635225122, 0).UTC(),
			},
			{
				Type: "group", Checksum: Checksum{"sha", "dd"}, Location: "repodata/comps.xml", Size: -1, OpenSize: -1,
				Timestamp: time.Unix(1635225129, 0).UTC(),
			},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got.Newest().Unix() != 1635225129 {
		t.Error(got.Newest())
	}
	if _, ok := got.Find("modules"); ok {
		t.Error("there are modules")
	}
}

func TestRepomdsThatAreRefused(t *testing.T) {
	var many strings.Builder
	for i := range maxData + 1 {
		fmt.Fprintf(&many, `<data type="a%d"><location href="a"/></data>`, i)
	}
	data := func(location string) string { return `<repomd><data type="x">` + location + `</data></repomd>` }
	for name, text := range map[string]string{
		"nothing":         "",
		"another root":    "<metadata/>",
		"no location":     data(""),
		"a way out":       data(`<location href="../x"/>`),
		"an absolute way": data(`<location href="/x"/>`),
		"a base":          data(`<location href="x" base="ftp://example.org/"/>`),
		"a size":          data(`<location href="x"/><size>many</size>`),
		"a type":          `<repomd><data><location href="x"/></data></repomd>`,
		"many files":      "<repomd>" + many.String() + "</repomd>",
		"entities":        `<!DOCTYPE r [<!ENTITY a "b">]>` + exampleRepomd,
		"an entity":       data(`<location href="x"/><size>&size;</size>`),
		"deep nesting":    "<repomd>" + strings.Repeat("<x>", 200_000) + strings.Repeat("</x>", 200_000) + "</repomd>",
		"two roots":       exampleRepomd + exampleRepomd,
		"too long":        "<repomd a='" + strings.Repeat("x", maxSmall) + "'/>",
	} {
		if m, err := ParseRepomd(strings.NewReader(text)); err == nil {
			t.Errorf("%s: read as %+v", name, m)
		}
	}
}

func TestChecksums(t *testing.T) {
	sum := newChecksum("SHA-256", " E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\n")
	if !sum.Matches(nil) || sum.Matches([]byte("x")) || sum.IsZero() {
		t.Errorf("%s does not match nothing", sum)
	}
	if d, ok := sum.Digest(); !ok || d.String() != sum.Hex {
		t.Error(d, ok)
	}
	for _, c := range []Checksum{{}, {"sha256", ""}, {"sha256", "zz"}, {"sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709"}, {"md5", "d41d8cd98f00b204e9800998ecf8427e"}, {"sha512", sum.Hex}} {
		if _, err := c.New(); err == nil || c.Matches(nil) {
			t.Errorf("%s is relied on", c)
		}
		if _, ok := c.Digest(); ok {
			t.Errorf("%s is a SHA-256", c)
		}
	}
}

func FuzzParseRepomd(f *testing.F) {
	f.Add([]byte(exampleRepomd))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseRepomd(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, d := range m.Data {
			if checkLocation(d.Location, d.Base) != nil || d.Type == "" || d.Size < -1 {
				t.Errorf("%+v", d)
			}
			ReadData(d, bytes.NewReader(data), func(io.Reader) error { return nil })
		}
	})
}
