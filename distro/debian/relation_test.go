package debian

import (
	"fmt"
	"strings"
	"testing"
)

func TestParseDependencies(t *testing.T) {
	for in, want := range map[string]string{
		"":  "[]",
		"a": "[[a]]",
		"a, b | c (>= 1:2.0-1~x),\n d:any (<< 3),": "[[a] [b c (>= 1:2.0-1~x)] [d:any (<< 3)]]",
		"a(>=1)":                                "[[a (>= 1)]]",
		"a (< 1), b (> 2), c (3)":               "[[a (<= 1)] [b (>= 2)] [c (= 3)]]",
		"a (>= 1) [amd64 any-arm64], b [!i386]": "[[a (>= 1) [amd64 any-arm64]] [b [!i386]]]",
		"a <!nocheck> <cross>, b:native":        "[[a] [b:native]]",
	} {
		got, err := ParseDependencies(in)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"a b", "a (>= 1", "a (=> 1)", "a (>=)", "|", "a | ", "a (1 2)", "(>= 1)", strings.Repeat("a,", 30_000), strings.Repeat(" ", 2<<20)} {
		if got, err := ParseDependencies(in); err == nil {
			t.Errorf("%.40q is read as %v", in, got)
		}
	}
}

func TestAccepts(t *testing.T) {
	for _, tt := range []struct {
		rel, version string
		want         bool
	}{
		{"a", "junk", true},
		{"a (>= 1.0)", "1.0", true},
		{"a (>= 1.0)", "1.0~rc1", false},
		{"a (<< 1:0)", "9", true},
		{"a (= 1.0)", "1.00", true},
		{"a (= 1.0)", "1.0-1", false},
		{"a (>> 1.0)", "1.0-1", true},
		{"a (<= 1.0)", "1.0-1", false},
		{"a (>= 1.0)", "junk", false},
	} {
		d, err := ParseDependencies(tt.rel)
		if err != nil {
			t.Fatal(err)
		}
		if got := d[0][0].Accepts(tt.version); got != tt.want {
			t.Errorf("%s accepts %s: %v", tt.rel, tt.version, got)
		}
	}
}

func TestApplies(t *testing.T) {
	for _, tt := range []struct {
		restrictions string
		want         bool
	}{
		{"", true}, {"amd64", true}, {"i386 amd64", true}, {"i386", false}, {"!amd64", false}, {"!i386", true},
		{"linux-any", true}, {"any-amd64", true}, {"hurd-any", false}, {"!linux-any", false}, {"kfreebsd-amd64", false},
	} {
		r := Relation{Name: "a", Restrictions: strings.Fields(tt.restrictions)}
		if got := r.Applies("amd64"); got != tt.want {
			t.Errorf("[%s] applies: %v", tt.restrictions, got)
		}
	}
}

func FuzzParseDependencies(f *testing.F) {
	f.Add("a, b | c (>= 1:2.0-1~x), d:any (<< 3) [amd64 !i386] <!nocheck>")
	f.Fuzz(func(t *testing.T, in string) {
		first, err := ParseDependencies(in)
		if err != nil {
			return
		}
		var parts []string
		for _, d := range first {
			var alts []string
			for _, r := range d {
				alts = append(alts, r.String())
			}
			parts = append(parts, strings.Join(alts, " | "))
		}
		second, err := ParseDependencies(strings.Join(parts, ", "))
		if err != nil || fmt.Sprint(first) != fmt.Sprint(second) {
			t.Fatalf("%v is not read back: %v, %v", first, second, err)
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add(paragraph("a", "1:2-3", "amd64", ok, "Depends: b") + paragraph("b", "1", "all", "deinstall ok config-files"))
	f.Fuzz(func(t *testing.T, in string) {
		all, err := readStatus(strings.NewReader(in), nil)
		if err != nil {
			return
		}
		for _, s := range all {
			if strings.ContainsAny(s.Package+s.Version+s.Arch, " /\n%") {
				t.Fatalf("an impossible package: %+v", s)
			}
		}
	})
}
