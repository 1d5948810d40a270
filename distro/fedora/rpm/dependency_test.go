package rpm

import (
	"strings"
	"testing"
)

// dep reads "name op version".
func dep(t *testing.T, s string) Dependency {
	t.Helper()
	if strings.HasPrefix(s, "(") {
		return Dependency{Name: s}
	}
	words := strings.Fields(s)
	d := Dependency{Name: words[0]}
	if len(words) == 3 {
		var err error
		if d.Flags, err = ParseFlags(words[1]); err != nil {
			t.Fatal(err)
		}
		d.EVR = words[2]
	}
	return d
}

func TestWhatMeetsADependency(t *testing.T) {
	for _, c := range []struct {
		required, provided string
		want               bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"a", "a = 1", true}, {"a = 1", "a", true},
		{"a = 1", "a = 1", true}, {"a = 1", "a = 2", false}, {"a = 1", "a = 1-5", true}, {"a = 1-5", "a = 1", true},
		{"a = 1-5", "a = 1-6", false}, {"a = 1", "a = 0:1-5", true}, {"a = 1", "a = 1:1-5", false}, {"a = 1:1", "a = 1", false},
		{"a >= 1", "a = 1", true}, {"a >= 1", "a = 1:0", true}, {"a >= 1", "a = 0.9-9", false}, {"a > 1", "a = 1", false},
		{"a > 1", "a = 1-1", false}, {"a > 1", "a = 1.1", true}, {"a <= 1", "a = 1-7", true}, {"a <= 1-6", "a = 1-7", false},
		{"a < 1", "a = 1~rc", true}, {"a < 1", "a = 1", false}, {"a < 1", "a = 1-0", false}, {"a >= 1-2", "a = 1", true},
		{"a > 5", "a < 6", true}, {"a > 5", "a < 5", false}, {"a >= 5", "a <= 5", true}, {"a > 5", "a > 9", true}, {"a < 5", "a < 9", true},
		{"a < 5", "a > 5", false}, {"a = 5", "a > 4", true}, {"a = 5", "a > 5", false}, {"a = 5", "a >= 5", true},
		{"(a or b)", "(a or b)", false}, {"/bin/sh", "/bin/sh", true},
	} {
		required, provided := dep(t, c.required), dep(t, c.provided)
		if got := required.Meets(provided); got != c.want {
			t.Errorf("%s meets %s: %t", provided, required, got)
		}
	}
}

func TestKindsOfDependencies(t *testing.T) {
	for s, want := range map[string][3]bool{
		"a": {}, "/bin/sh": {false, false, true}, "(a or b)": {false, true, false}, "rpmlib(X) <= 1": {true, false, false}, "config(a) = 1": {},
	} {
		d := dep(t, s)
		if got := [3]bool{d.IsRpmlib(), d.IsRich(), d.IsFile()}; got != want {
			t.Errorf("%s: %v", s, got)
		}
		if d.String() != s {
			t.Errorf("%s is written %s", s, d)
		}
	}
	if d := (Dependency{"x", Rpmlib | Less | Equal, "1"}); !d.IsRpmlib() || d.String() != "x <= 1" {
		t.Error(d)
	}
	for _, s := range []string{"!=", "<>", "=>=", "eq", " "} {
		if f, err := ParseFlags(s); err == nil {
			t.Errorf("%q is %d", s, f)
		}
	}
}
