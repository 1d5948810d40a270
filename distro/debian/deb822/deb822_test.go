package deb822_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/debian/deb822"
)

func scan(r io.Reader, fields ...string) ([]string, error) {
	var out []string
	err := deb822.Scan(r, fields, func(values [][]byte) error {
		var row []string
		for _, v := range values {
			if v == nil {
				row = append(row, "-")
			} else {
				row = append(row, fmt.Sprintf("%q", v))
			}
		}
		out = append(out, strings.Join(row, " "))
		return nil
	})
	return out, err
}

func TestScan(t *testing.T) {
	tests := []struct {
		name, in string
		want     []string
	}{
		{"empty", "", nil},
		{"blank lines only", "\n\n\r\n", nil},
		{"one", "Package: a\nVersion: 1\n", []string{`"a" "1" -`}},
		{"no end of line", "Package: a\nVersion: 1", []string{`"a" "1" -`}},
		{"any case", "pAcKaGe:a\nVERSION:\t1 \n", []string{`"a" "1" -`}},
		{"two", "Package: a\n\n\nPackage: b\n", []string{`"a" - -`, `"b" - -`}},
		{"carriage returns", "Package: a\r\n\r\nPackage: b\r\n", []string{`"a" - -`, `"b" - -`}},
		{"first counts", "Package: a\nPackage: b\n", []string{`"a" - -`}},
		{"empty value", "Package:\nVersion: 1\n", []string{`"" "1" -`}},
		{"goes on", "Package: a\nDescription: x\n y\n .\n\tz\nVersion: 1\n", []string{`"a" "1" "x\n y\n .\n\tz"`}},
		{"goes on, unwanted", "Foo: x\n Package: no\nPackage: a\n", []string{`"a" - -`}},
		{"no wanted field", "Foo: x\n", []string{`- - -`}},
		{"prefix of a name", "Pack: x\nPackage-List: y\n", []string{`- - -`}},
		{"blank line goes on", "Description: x\n \n y\n", []string{`- - "x\n \n y"`}},
	}
	for _, tt := range tests {
		for name, r := range map[string]io.Reader{
			"whole":   strings.NewReader(tt.in),
			"by byte": iotest.OneByteReader(strings.NewReader(tt.in)),
			"early":   iotest.DataErrReader(strings.NewReader(tt.in)),
		} {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				got, err := scan(r, "Package", "Version", "Description")
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(tt.want, got); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestScanMovesItsBuffer(t *testing.T) {
	var in strings.Builder
	var want []string
	for i := range 5000 {
		fmt.Fprintf(&in, "Package: p%d\nPad: %s\nVersion: %d\n\n", i, strings.Repeat("x", i%997), i)
		want = append(want, fmt.Sprintf(`"p%d" "%d"`, i, i))
	}
	big := strings.Repeat(" line\n", 200_000)
	in.WriteString("Package: big\nSHA256:\n" + big + "Version: 9\n")
	want = append(want, `"big" "9"`)
	got, err := scan(strings.NewReader(in.String()), "Package", "Version")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestScanErrors(t *testing.T) {
	tests := []struct {
		name, in string
		line     int
		want     string
	}{
		{"stray text", "Package: a\n\nnonsense\n", 3, "neither a field"},
		{"no name", ": a\n", 1, "neither a field"},
		{"nothing to go on from", "\n a\n", 2, "continuation"},
		{"comment", "Package: a\n# no\n", 2, "neither a field"},
		{"long line", "A: b\nPackage: " + strings.Repeat("x", 2<<20), 2, "longer than"},
		{"long paragraph", "A: b\n" + strings.Repeat(" xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", 400_000), 0, "paragraph is longer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := scan(strings.NewReader(tt.in), "Package")
			var e *deb822.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an Error with %q", err, tt.want)
			}
			if tt.line != 0 && e.Line != tt.line {
				t.Errorf("line %d, want %d", e.Line, tt.line)
			}
		})
	}
	broken := errors.New("broken")
	if _, err := scan(iotest.ErrReader(broken), "Package"); !errors.Is(err, broken) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	stop := errors.New("stop")
	err := deb822.Scan(strings.NewReader("A: b\n"), nil, func([][]byte) error { return stop })
	if err != stop {
		t.Errorf("the callback's error is lost: %v", err)
	}
}

func TestRead(t *testing.T) {
	got, err := deb822.Read(strings.NewReader("# head\n\n \nTypes: deb\n# why\nURIs: a\n# not this\n  b\n\n# only a comment\n\nTypes: deb-src\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []deb822.Paragraph{
		{Line: 4, Fields: []deb822.Field{{Name: "Types", Value: "deb", Line: 4}, {Name: "URIs", Value: "a\n  b", Line: 6}}},
		{Line: 12, Fields: []deb822.Field{{Name: "Types", Value: "deb-src", Line: 12}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if v := got[0].Get("uris"); v != "a\n  b" {
		t.Errorf("Get in another case gives %q", v)
	}
	if _, ok := got[0].Lookup("Suites"); ok {
		t.Error("Lookup finds what is not there")
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("Package: a\nVersion: 1\n\nPackage: b\nDescription: x\n y\n"))
	f.Add([]byte("Package: a\r\n\r\n# c\nX:\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := scan(bytes.NewReader(in), "Package", "Description")
		bits, err2 := scan(iotest.HalfReader(bytes.NewReader(in)), "Package", "Description")
		if fmt.Sprint(err) != fmt.Sprint(err2) || !cmp.Equal(whole, bits) {
			t.Fatalf("the cut of the input matters: %v %v %q %q", err, err2, whole, bits)
		}
		ps, err3 := deb822.Read(bytes.NewReader(in))
		if err3 == nil && err == nil && !bytes.Contains(in, []byte("#")) && len(ps) != len(whole) {
			t.Fatalf("Read has %d paragraphs, Scan %d", len(ps), len(whole))
		}
	})
}

func BenchmarkScan(b *testing.B) {
	stanza := "Package: hello\nSource: hello-traditional\nVersion: 2.10-3\nInstalled-Size: 277\nMaintainer: Someone <someone@example.org>\nArchitecture: amd64\nDepends: libc6 (>= 2.34)\n" +
		strings.Repeat("Tag: implemented-in::c, interface::commandline, role::program\n", 7) +
		"Description: example\nFilename: pool/main/h/hello/hello_2.10-3_amd64.deb\nSize: 53080\nSHA256: 35b1508eeee9c1dfba798c4c04304ef0f266990f936a51f165571edf53325cbc\n\n"
	data := strings.Repeat(stanza, 63_000)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		n := 0
		err := deb822.Scan(strings.NewReader(data), []string{"Package", "Version", "Architecture", "Filename", "Size", "SHA256"}, func(v [][]byte) error {
			n++
			return nil
		})
		if err != nil || n != 63_000 {
			b.Fatal(n, err)
		}
	}
}
