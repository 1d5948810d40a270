package distro_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/lockfile"
)

func TestPackageOrder(t *testing.T) {
	ps := []distro.Package{{"b", "1", "all"}, {"a", "2", "i386"}, {"a", "2", "amd64"}, {"a", "1", "i386"}}
	slices.SortFunc(ps, distro.Package.Compare)
	var got []string
	for _, p := range ps {
		got = append(got, p.String())
	}
	if want := "a 2 amd64|a 1 i386|a 2 i386|b 1 all"; strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if m := ps[0].Missing(); m != (lockfile.Missing{Name: "a", Version: "2", Arch: "amd64"}) {
		t.Errorf("missing: %v", m)
	}
}

func TestEventsMayBeAbsent(t *testing.T) {
	var none *distro.Events
	none.Warning("x")
	none.Stepping("x")
	(&distro.Events{}).Warning("x")
	(&distro.Events{}).Stepping("x")
	var got []string
	e := &distro.Events{Warn: func(m string) { got = append(got, "warn "+m) }, Step: func(m string) { got = append(got, "step "+m) }}
	e.Warning("a")
	e.Stepping("b")
	if want := []string{"warn a", "step b"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestErrorsNameWhatMatters(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want []string
	}{
		{&distro.StateError{Root: "/r", Differences: []string{"one", "two"}}, []string{"/r", "\n  one\n  two"}},
		{&distro.MismatchError{Root: "/r", Lock: "debian 12 amd64", Have: "debian 13 amd64"}, []string{"/r", "debian 12 amd64", "debian 13 amd64"}},
	} {
		for _, w := range tt.want {
			if !strings.Contains(tt.err.Error(), w) {
				t.Errorf("%q does not name %q", tt.err, w)
			}
		}
	}
}

func TestCountPackages(t *testing.T) {
	for n, want := range map[int]string{0: "0 packages", 1: "1 package", 2: "2 packages"} {
		if got := distro.CountPackages(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
