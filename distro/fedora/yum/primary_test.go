package yum

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

const primaryHead = `<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
`

// examplePackage is a <package> as createrepo_c writes it.
func examplePackage(name string, i int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<package type="rpm">
  <name>%[1]s</name>
  <arch>x86_64</arch>
  <version epoch="%[3]d" ver="1.%[2]d" rel="3.fc40"/>
  <checksum type="sha256" pkgid="YES">%064[2]x</checksum>
  <summary>A library of %[1]s &amp; what it needs</summary>
  <description>It does what it says &lt;well&gt;, and this is what it says: that it does it.
And so on for several lines, as descriptions do, since nobody stops them.</description>
  <packager>Fedora Project</packager>
  <url>https://example.org/%[1]s/</url>
  <time file="1700000000" build="1690000000"/>
  <size package="%[2]d" installed="123456" archive="234567"/>
  <location href="Packages/%[1]s-1.%[2]d-3.fc40.x86_64.rpm"/>
  <format>
    <rpm:license>MIT AND "GPL"</rpm:license>
    <rpm:vendor>Fedora Project</rpm:vendor>
    <rpm:group>Unspecified</rpm:group>
    <rpm:buildhost>build.example.org</rpm:buildhost>
    <rpm:sourcerpm>%[1]s-1.%[2]d-3.fc40.src.rpm</rpm:sourcerpm>
    <rpm:header-range start="4504" end="9189"/>
    <rpm:provides>
      <rpm:entry name="%[1]s" flags="EQ" epoch="0" ver="1.%[2]d" rel="3.fc40"/>
      <rpm:entry name="%[1]s(x86-64)" flags="EQ" epoch="0" ver="1.%[2]d" rel="3.fc40"/>
`, name, i, i%3)
	for j := range 8 {
		fmt.Fprintf(&b, "      <rpm:entry name=\"lib%s.so.%d()(64bit)\"/>\n", name, j)
	}
	b.WriteString("    </rpm:provides>\n    <rpm:requires>\n")
	for j := range 20 {
		fmt.Fprintf(&b, "      <rpm:entry name=\"libneeded%d.so.%d(GLIBC_2.%d)(64bit)\"/>\n", (i+j)%997, j, j)
	}
	b.WriteString(`      <rpm:entry name="rpmlib(CompressedFileNames)" flags="LE" epoch="0" ver="3.0.4" rel="1" pre="1"/>
      <rpm:entry name="(a &gt;= 1 or b)"/>
    </rpm:requires>
    <file>/usr/bin/` + name + `</file>
    <file type="dir">/etc/` + name + `</file>
  </format>
</package>
`)
	return b.String()
}

func all(string) bool { return true }

func only(names ...string) func(string) bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return func(n string) bool { return set[n] }
}

// bigPrimary is as large as that of a whole Fedora.
func bigPrimary(packages int) []byte {
	var b bytes.Buffer
	b.WriteString(primaryHead)
	for i := range packages {
		b.WriteString(examplePackage(fmt.Sprintf("package-%d", i), i))
	}
	b.WriteString("</metadata>\n")
	return b.Bytes()
}

func BenchmarkReadPrimary(b *testing.B) {
	data := bigPrimary(60_000)
	for _, c := range []struct {
		name  string
		every int
	}{{"200 of 60000", 300}, {"2000 of 60000", 30}, {"all of 60000", 1}} {
		b.Run(c.name, func(b *testing.B) {
			wanted := map[string]bool{}
			for i := 0; i < 60_000; i += c.every {
				wanted[fmt.Sprintf("package-%d", i)] = true
			}
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				records, err := ReadPrimary(bytes.NewReader(data), func(n string) bool { return wanted[n] })
				if err != nil || len(records) != len(wanted) {
					b.Fatal(len(records), err)
				}
			}
		})
	}
}

// readSlowly reads an index as encoding/xml understands it.
func readSlowly(data []byte) ([]Record, error) {
	type entries struct {
		Entries []struct {
			Name  string `xml:"name,attr"`
			Flags string `xml:"flags,attr"`
			Epoch string `xml:"epoch,attr"`
			Ver   string `xml:"ver,attr"`
			Rel   string `xml:"rel,attr"`
		} `xml:"entry"`
	}
	var doc struct {
		XMLName  xml.Name `xml:"metadata"`
		Packages []struct {
			Name    string `xml:"name"`
			Arch    string `xml:"arch"`
			Version struct {
				Epoch string `xml:"epoch,attr"`
				Ver   string `xml:"ver,attr"`
				Rel   string `xml:"rel,attr"`
			} `xml:"version"`
			Checksum checksumXML `xml:"checksum"`
			Time     struct {
				File  int64 `xml:"file,attr"`
				Build int64 `xml:"build,attr"`
			} `xml:"time"`
			Size struct {
				Package   int64 `xml:"package,attr"`
				Installed int64 `xml:"installed,attr"`
			} `xml:"size"`
			Location struct {
				Href string `xml:"href,attr"`
				Base string `xml:"base,attr"`
			} `xml:"location"`
			Format struct {
				Vendor    string   `xml:"vendor"`
				SourceRPM string   `xml:"sourcerpm"`
				Requires  entries  `xml:"requires"`
				Provides  entries  `xml:"provides"`
				Conflicts entries  `xml:"conflicts"`
				Obsoletes entries  `xml:"obsoletes"`
				Files     []string `xml:"file"`
			} `xml:"format"`
		} `xml:"package"`
	}
	if err := xml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	dependencies := func(e entries) []rpm.Dependency {
		var out []rpm.Dependency
		for _, x := range e.Entries {
			d := rpm.Dependency{Name: x.Name}
			if d.Flags, _ = rpm.ParseFlags(x.Flags); d.Flags != 0 {
				d.EVR = x.Ver
				if x.Rel != "" {
					d.EVR += "-" + x.Rel
				}
				if x.Epoch != "" && x.Epoch != "0" {
					d.EVR = x.Epoch + ":" + d.EVR
				}
			}
			out = append(out, d)
		}
		return out
	}
	var out []Record
	for _, p := range doc.Packages {
		r := Record{
			NEVRA:    rpm.NEVRA{Name: strings.TrimSpace(p.Name), Epoch: rpm.NoEpoch, Version: p.Version.Ver, Release: p.Version.Rel, Arch: strings.TrimSpace(p.Arch)},
			Checksum: newChecksum(p.Checksum.Type, p.Checksum.Hex), Location: p.Location.Href, Base: p.Location.Base,
			Size: p.Size.Package, InstalledSize: p.Size.Installed, SourceRPM: p.Format.SourceRPM, Vendor: p.Format.Vendor,
			FileTime: time.Unix(p.Time.File, 0).UTC(), BuildTime: time.Unix(p.Time.Build, 0).UTC(),
			Requires: dependencies(p.Format.Requires), Provides: dependencies(p.Format.Provides),
			Conflicts: dependencies(p.Format.Conflicts), Obsoletes: dependencies(p.Format.Obsoletes), Files: p.Format.Files,
		}
		if p.Version.Epoch != "" && p.Version.Epoch != "0" {
			fmt.Sscan(p.Version.Epoch, &r.Epoch)
		}
		out = append(out, r)
	}
	return out, nil
}

func TestRecordsAreAsEncodingXMLReadsThem(t *testing.T) {
	data := bigPrimary(50)
	want, err := readSlowly(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(data), "byte by byte": iotest.OneByteReader(bytes.NewReader(data)),
		"by halves": iotest.HalfReader(bytes.NewReader(data)), "with the error beside the last": iotest.DataErrReader(bytes.NewReader(data)),
	} {
		got, err := ReadPrimary(r, all)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	got, err := ReadPrimary(bytes.NewReader(data), only("package-7", "package-49", "nothing"))
	if err != nil || len(got) != 2 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if d := cmp.Diff([]Record{want[7], want[49]}, got); d != "" {
		t.Error(d)
	}
	if want[7].String() != "package-7-1:1.7-3.fc40.x86_64" {
		t.Errorf("the record is that of %s", want[7])
	}
}

// oddRecords are packages a in forms that XML allows and createrepo_c does not
// write, each with what surrounds it. A package b follows them.
var oddRecords = map[string]string{
	"another order":     `<package type="rpm"><format><rpm:sourcerpm>s</rpm:sourcerpm></format><location href="a.rpm"/><checksum type="sha256">00</checksum><version rel="1" ver="2" epoch="0"/><arch>noarch</arch><name>a</name></package>`,
	"single quotes":     `<package type='rpm'><name>a</name><arch>noarch</arch><version epoch='0' ver='2' rel='1'/><location href='a.rpm'/></package>`,
	"spaces in tags":    "<package\n type = 'rpm' ><name >a</name ><arch>noarch</arch><version ver = '2'\n\trel='1' /><location href='a.rpm'></location></package\n>",
	"comments":          `<!-- <package><name>c</name> --><package><!-- </package> --><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package><!-- -->`,
	"a comment in text": `<package><name><!-- x -->a</name><arch>no<!-- -->arch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"CDATA":             `<package><name><![CDATA[a]]></name><arch>noarch</arch><description><![CDATA[</package><name>b</name>]]></description><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"references":        `<package><name>&#97;</name><arch>no&#x61;rch</arch><version ver="&#50;" rel="1"/><location href="a.rpm"/></package>`,
	"> in a value":      `<package note="/>"><name x=">">a</name><arch>noarch</arch><version note="a > b" ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"an instruction":    `<?note </package> ?><package><?note </package> ?><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"a name elsewhere":  `<package><format><name>b</name><x><arch>b</arch></x></format><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"similar names":     `<package><packages><packager/></packages><names>b</names><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"white space":       "<package>\r\n<name> a\n</name><arch>\tnoarch</arch><version ver='2' rel='1'/><location href='a.rpm'/></package>",
	"unknown elements":  `<package><other><package2/><name2/></other><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="./a.rpm"/></package>`,
	"an empty package":  `<package/><package note=">"/><package><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"other letters":     `<package><name>a</name><summary>Größe 日本</summary><größe/><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
	"records without use": `<package><name>a</name></package><package><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="../a.rpm"/></package>` +
		`<package><name>a</name><arch>no/arch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package><package><name>a</name><arch>noarch</arch><version epoch="x" ver="2" rel="1"/><location href="a.rpm"/></package>` +
		`<package><name>a</name><arch>noarch</arch><version ver="2" rel="1"/><location href="a.rpm"/></package>`,
}

const plainB = `<package><name>b</name><arch>noarch</arch><version ver="2" rel="1"/><location href="b.rpm"/></package>`

func TestOddRecords(t *testing.T) {
	for name, odd := range oddRecords {
		for _, big := range []string{"", strings.Repeat(" ", windowSize-20)} {
			data := primaryHead + big + odd + plainB + "</metadata>"
			for _, want := range [][]string{{"a"}, {"b"}, {"a", "b"}, {"c"}} {
				got, err := ReadPrimary(strings.NewReader(data), only(want...))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				var found []string
				for _, r := range got {
					if r.NEVRA != (rpm.NEVRA{Name: r.Name, Epoch: rpm.NoEpoch, Version: "2", Release: "1", Arch: "noarch"}) || r.Location != r.Name+".rpm" {
						t.Errorf("%s: %+v", name, r)
					}
					found = append(found, r.Name)
				}
				if want[0] == "c" {
					want = nil
				}
				if d := cmp.Diff(want, found); d != "" {
					t.Errorf("%s: %s", name, d)
				}
			}
		}
	}
}

func TestIndexesThatAreRefused(t *testing.T) {
	whole := func(s string) string { return primaryHead + s + "</metadata>" }
	bomb := `<!DOCTYPE metadata [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>`
	for name, data := range map[string]string{
		"nothing":               "",
		"no XML":                "PK\x03\x04",
		"another root":          `<filelists></filelists>`,
		"no end":                primaryHead,
		"half a package":        primaryHead + plainB[:50],
		"half a root":           "<metadata a='",
		"a second root":         whole(plainB) + "<metadata/>",
		"text after the end":    whole(plainB) + "x",
		"text between":          whole("x" + plainB),
		"another element":       whole("<pkg></pkg>"),
		"packages in packages":  whole("<package><name>a</name>" + plainB + "</package>"),
		"entities":              bomb + whole(`<package><name>&b;</name></package>`),
		"a doctype in the root": whole(bomb + plainB),
		"a doctype in a record": whole(`<package>` + bomb + `<name>b</name></package>`),
		"an unknown reference":  whole(`<package><name>&nbsp;</name></package>`),
		"a reference to NUL":    whole(`<package><name>&#0;</name></package>`),
		"not UTF-8":             whole("<package><name>b\xff</name></package>"),
		"deep nesting":          whole("<package><name>b</name>" + strings.Repeat("<x>", 1000) + strings.Repeat("</x>", 1000) + "</package>"),
		"crossed tags":          whole("<package><name>b</name><x><y></x></y></package>"),
		"many attributes":       whole("<package><name>b</name><x " + strings.Repeat("a='' ", 100) + "/></package>"),
		"one attribute twice":   whole("<package><name>b</name><version ver='1' ver='2'/></package>"),
		"a < in a value":        whole("<package><name>b</name><version ver='<'/></package>"),
		"an element too long":   whole("<package><name>b</name>" + strings.Repeat(" ", maxElement) + "</package>"),
		"a tag too long":        primaryHead + "<package a='" + strings.Repeat(" ", maxElement),
	} {
		if got, err := ReadPrimary(strings.NewReader(data), all); err == nil {
			t.Errorf("%s: read as %d records", name, len(got))
		}
	}
	failing := io.MultiReader(strings.NewReader(primaryHead), iotest.ErrReader(io.ErrNoProgress))
	if _, err := ReadPrimary(failing, all); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("the source's error: %v", err)
	}
}

// What this package reads, encoding/xml reads the same way, however the bytes
// arrive and whatever else is wanted.
func FuzzReadPrimary(f *testing.F) {
	f.Add([]byte(primaryHead + examplePackage("example", 5) + "</metadata>"))
	for _, odd := range oddRecords {
		f.Add([]byte(primaryHead + odd + plainB + "</metadata>"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := ReadPrimary(bytes.NewReader(data), all)
		slow, slowErr := ReadPrimary(iotest.OneByteReader(bytes.NewReader(data)), all)
		if (err == nil) != (slowErr == nil) || !cmp.Equal(got, slow) {
			t.Fatalf("byte by byte it is %v (%v), not %v (%v)", slow, slowErr, got, err)
		}
		if err != nil {
			return
		}
		for _, r := range got {
			some, err := ReadPrimary(bytes.NewReader(data), only(r.Name))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(some, func(s Record) bool { return cmp.Equal(r, s) }) {
				t.Fatalf("%s is not among those of its name", r)
			}
		}
		want, err := readSlowly(data)
		if err != nil {
			return // encoding/xml also checks what is not looked at here
		}
		for _, r := range got {
			if !slices.ContainsFunc(want, func(w Record) bool { return w.Name == r.Name && w.Version == r.Version && w.Release == r.Release }) {
				t.Fatalf("%+v is not in %+v", r, want)
			}
		}
	})
}
