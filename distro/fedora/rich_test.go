package fedora

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/fedora/rpm"
)

func TestRich(t *testing.T) {
	for _, c := range []struct {
		text, needs string
		with        string // what is there
		want        bool
	}{
		{"(a or b)", "a b", "b", true},
		{"(a or b)", "a b", "", false},
		{"(a and b >= 2)", "a b >= 2", "a", false},
		{"(a and b >= 2)", "a b >= 2", "a b", true},
		{"(a if b)", "a", "", true},
		{"(a if b)", "a", "b", false},
		{"(a if b)", "a", "a b", true},
		{"(a if b else c)", "a c", "c", true},
		{"(a if b else c)", "a c", "", false},
		{"(a unless b)", "a", "b", true},
		{"(a unless b)", "a", "", false},
		{"(a without b)", "a", "a b", false},
		{"((a and b) or (c with d = 1:2-3))", "a b c d = 1:2-3", "c d", true},
		{"(glibc-gconv-extra(x86-64) = 2.34 if redhat-rpm-config)", "glibc-gconv-extra(x86-64) = 2.34", "", true},
		{"(libc.so.6(GLIBC_2.3)(64bit) or a)", "libc.so.6(GLIBC_2.3)(64bit) a", "libc.so.6(GLIBC_2.3)(64bit)", true},
		{"(((", "", "", true},
		{strings.Repeat("(", 1000) + "a", "", "", true},
		{"(a", "a", "a", true},
	} {
		r := parseRich(c.text)
		var needs []string
		for _, d := range r.needs(nil) {
			needs = append(needs, d.String())
		}
		if got := strings.Join(needs, " "); got != c.needs {
			t.Errorf("%s needs %q, want %q", c.text, got, c.needs)
		}
		there := strings.Fields(c.with)
		if got := r.holds(func(d rpm.Dependency) bool { return slices.Contains(there, d.Name) }); got != c.want {
			t.Errorf("%s with %q: %t", c.text, c.with, got)
		}
	}
}

func FuzzRich(f *testing.F) {
	for _, s := range []string{"(a if b else c)", "((a >= 1 and b) or c(d))", "(", ")", "a", "(a and or)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := parseRich(text)
		r.holds(func(rpm.Dependency) bool { return false })
		for _, d := range r.needs(nil) {
			if d.Name == "" {
				t.Errorf("%q needs a thing without a name", text)
			}
		}
	})
}
