package pacman_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/arch/pacman"
)

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.0-1", "1.0-1", 0},
		{"1.0-1", "1.0-2", -1},
		{"1.0", "1.0-2", 0},
		{"1:1.0-1", "2.0-1", 1},
		{"0:1.0-1", "1.0-1", 0},
		{"1.10-1", "1.9-1", 1},
		{"1.0rc1-1", "1.0-1", -1},
		{"1.0.rc1-1", "1.0-1", 1},
		{"1.0a-1", "1.0b-1", -1},
		{"1.001-1", "1.1-1", 0},
		{"2.12.r3.gabc-1", "2.12-1", 1},
		{"", "1", -1},
		{"1..0", "1.0", 1},
		{"1_0", "1.0", 0},
		{"99999999999999999999999-1", "99999999999999999999998-1", 1},
	} {
		if got := pacman.Compare(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := pacman.Compare(c.b, c.a); got != -c.want {
			t.Errorf("%q and %q: %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

// version makes versions, mostly of a few pieces, so that many are alike.
func version(r *rand.Rand) string {
	pieces := []string{"0", "1", "2", "10", "01", "001", "a", "b", "rc", "rc1", "beta", "alpha2", ".", "..", "_", "+", "~", "-", "-1", "-2", "1.0", "2.1", "g1a2b3c", "r12", ":", "1:", "A", "Z", "20171213"}
	var b strings.Builder
	for range 1 + r.IntN(6) {
		b.WriteString(pieces[r.IntN(len(pieces))])
	}
	return b.String()
}

// similar changes a little of a version.
func similar(r *rand.Rand, s string) string {
	switch i := r.IntN(len(s) + 1); r.IntN(3) {
	case 0:
		return s[:i] + string("019a.-_:bZ+~"[r.IntN(12)]) + s[i:]
	case 1:
		return s[:i]
	default:
		return s[i:]
	}
}

func TestSameAsVercmp(t *testing.T) {
	tool, err := exec.LookPath("vercmp")
	if err != nil {
		t.Skipf("no vercmp here: %v", err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	var pairs [][2]string
	for len(pairs) < 2500 {
		a, b := version(r), version(r)
		if len(pairs)%2 == 0 {
			b = similar(r, a)
		}
		// vercmp takes what begins with a dash for an option.
		if a != "" && b != "" && a[0] != '-' && b[0] != '-' {
			pairs = append(pairs, [2]string{a, b})
		}
	}
	var real []string
	for _, p := range append(localPackages(t), databasePackages(t)...) {
		real = append(real, p.Version)
	}
	for i := 0; i+1 < len(real) && i < 1000; i++ {
		pairs = append(pairs, [2]string{real[i], real[r.IntN(len(real))]})
	}
	counts := map[int]int{}
	for _, p := range pairs {
		out, err := exec.CommandContext(t.Context(), tool, p[0], p[1]).Output()
		if err != nil {
			t.Fatalf("vercmp %q: %v", p, err)
		}
		want, err := strconv.Atoi(strings.TrimSpace(string(out)))
		if err != nil {
			t.Fatal(err)
		}
		counts[want]++
		if got := pacman.Compare(p[0], p[1]); got != want {
			t.Errorf("%q and %q: %d, vercmp says %d", p[0], p[1], got, want)
		}
	}
	t.Logf("%d pairs: %v", len(pairs), counts)
}

func FuzzCompare(f *testing.F) {
	f.Add("1.0-1", "1:1.0rc1-2")
	f.Add("1..a", "1.~")
	f.Fuzz(func(t *testing.T, a, b string) {
		if x, y := pacman.Compare(a, b), pacman.Compare(b, a); x != -y && a != b {
			t.Fatalf("%d one way, %d the other", x, y)
		}
		if pacman.Compare(a, a) != 0 {
			t.Fatal("not equal to itself")
		}
	})
}

func TestDependencies(t *testing.T) {
	for _, c := range []struct {
		dep      string
		name     string
		version  string
		provides string
		want     bool
	}{
		{"bash", "bash", "5.0-1", "", true},
		{"bash", "dash", "5.0-1", "", false},
		{"bash>=5.0", "bash", "5.0-1", "", true},
		{"bash>5.0", "bash", "5.0-1", "", false},
		{"bash>5.0-1", "bash", "5.0-2", "", true},
		{"bash<5.0", "bash", "1:4.0-1", "", false},
		{"bash<=5.0", "bash", "5.0-7", "", true},
		{"bash<5", "bash", "4-1", "", true},
		{"bash=5.0", "bash", "5.0-7", "", true},
		{"bash=5.0-1", "bash", "5.0-7", "", false},
		{"sh", "bash", "5.0-1", "sh", true},
		{"sh", "bash", "5.0-1", "sh=1", true},
		{"sh>=1", "bash", "5.0-1", "sh", false},
		{"sh>=1", "bash", "5.0-1", "shell sh=1", true},
		{"sh>1", "bash", "5.0-1", "sh=1", false},
		{"libacl.so=1-64", "acl", "2.3.2-1", "xfsacl libacl.so=1-64", true},
		{"libacl.so=1-32", "acl", "2.3.2-1", "xfsacl libacl.so=1-64", false},
		{"sh>=1", "bash", "5.0-1", "sh>=2", false},
		{"bash>9", "bash", "5.0-1", "bash=10", true},
		{"python: for the tests", "python", "3-1", "", true},
		{"python>=3: for the tests", "python", "2-1", "", false},
		{"cron>=1:2", "cron", "2-1", "", false},
	} {
		d := pacman.ParseDependency(c.dep)
		p := pacman.Desc{Name: c.name, Version: c.version, Provides: strings.Fields(c.provides)}
		if got := p.Satisfies(d); got != c.want {
			t.Errorf("%s by %s %s with %q: %t", c.dep, c.name, c.version, c.provides, got)
		}
	}
}

func FuzzParseDependency(f *testing.F) {
	for _, s := range []string{"a", "a>=1", "a=1:2-3", "a<=", "libx.so=1-64", "a: why", "<", ">=", "a==1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := pacman.ParseDependency(s)
		if strings.ContainsAny(d.Name, "<>=") {
			t.Fatalf("a name %q", d.Name)
		}
		if again := pacman.ParseDependency(d.String()); again != d && !strings.Contains(s, " ") && fmt.Sprint(again) != fmt.Sprint(d) {
			t.Fatalf("%q becomes %q", d, again)
		}
	})
}
