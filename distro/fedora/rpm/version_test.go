package rpm

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rpmCompares asks the real rpm to compare pairs.
func rpmCompares(t *testing.T, pairs [][2]string) []int {
	t.Helper()
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skipf("no rpm here: %v", err)
	}
	dir := t.TempDir()
	file, answer := filepath.Join(dir, "compare.lua"), filepath.Join(dir, "answer")
	var script strings.Builder
	fmt.Fprintf(&script, "local f = io.open(%q, \"w\")\n", answer)
	for _, p := range pairs {
		fmt.Fprintf(&script, "f:write(rpm.vercmp(%q, %q), \"\\n\")\n", p[0], p[1])
	}
	script.WriteString("f:close()\n")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, "", "rpm", "--eval", "%{lua: dofile(\""+file+"\")}")
	data, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(string(data))
	if len(words) != len(pairs) {
		t.Fatalf("%d answers to %d questions", len(words), len(pairs))
	}
	out := make([]int, len(words))
	for i, w := range words {
		if _, err := fmt.Sscan(w, &out[i]); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestVersionsCompareAsRPMDoes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 33))
	parts := []string{"0", "1", "2", "10", "01", "001", "a", "b", "A", "rc", "beta", ".", "..", "_", "+", "~", "~~", "^", "^^", "git", "20210304", "fc35", "é", "-", ":", "3:", "-1", "~-", "18446744073709551617"}
	make1 := func() string {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			b.WriteString(parts[random.IntN(len(parts))])
		}
		return b.String()
	}
	var real []string
	if t.Run("real versions", func(t *testing.T) {
		real = strings.Fields(string(command(t, "", "rpm", "--dbpath", realDatabase(t), "-qa", "--qf", "%{evr}\n")))
	}); len(real) == 0 {
		t.Log("without those of a real system")
	}
	var pairs [][2]string
	for range 3000 {
		a, b := make1(), make1()
		if random.IntN(2) == 0 { // near to each other
			b = a + parts[random.IntN(len(parts))]
		}
		pairs = append(pairs, [2]string{a, b})
	}
	for i := range real {
		for range 20 {
			pairs = append(pairs, [2]string{real[i], real[random.IntN(len(real))]})
		}
	}
	answers := rpmCompares(t, pairs)
	wrong := 0
	for i, p := range pairs {
		if got := CompareEVR(p[0], p[1]); got != answers[i] {
			if wrong++; wrong < 20 {
				t.Errorf("%q against %q: %d, rpm says %d", p[0], p[1], got, answers[i])
			}
		}
		if a, b := CompareEVR(p[0], p[1]), CompareEVR(p[1], p[0]); a != -b {
			t.Errorf("%q against %q: %d, and the other way %d", p[0], p[1], a, b)
		}
	}
	t.Logf("%d pairs compared", len(pairs))
}

func TestOrderOfVersions(t *testing.T) {
	sorted := []string{
		"1.0~~", "1.0~rc1", "1.0~rc1^git1", "1.0~rc2", "1.0", "1.0-1", "1.0-1.fc40", "1.0-2", "1.0^git1~x", "1.0^git1", "1.0^git2", "1.0a", "1.0.1", "1.1", "1.10", "2", "0:3", "1:0.1",
	}
	shuffled := slices.Clone(sorted)
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	slices.SortFunc(shuffled, CompareEVR)
	if !slices.Equal(sorted, shuffled) {
		t.Errorf("sorted: %q", shuffled)
	}
	for _, a := range sorted {
		for _, b := range sorted {
			x, err1 := ParseEVR(a)
			y, err2 := ParseEVR(b)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if x.Compare(y) != CompareEVR(a, b) {
				t.Errorf("%s against %s: %d parsed, %d as text", a, b, x.Compare(y), CompareEVR(a, b))
			}
		}
	}
}

func TestParseEVR(t *testing.T) {
	for s, want := range map[string]EVR{
		"1.0":        {NoEpoch, "1.0", ""},
		"1.0-3.fc40": {NoEpoch, "1.0", "3.fc40"},
		"2:1-3":      {2, "1", "3"},
		"0:1~rc^1":   {0, "1~rc^1", ""},
	} {
		if got, err := ParseEVR(s); err != nil || got != want || got.String() != s {
			t.Errorf("%q is %+v, as text %q: %v", s, got, got, err)
		}
	}
	for _, s := range []string{"", ":1", "1:", "1-", "-1", "a:1", "1:2:3", "2147483648:1", "1 0", "1/2", "1-2-3", "-1:1", "1\x00"} {
		if got, err := ParseEVR(s); err == nil {
			t.Errorf("%q is taken for %+v", s, got)
		}
	}
}

func FuzzCompareEVR(f *testing.F) {
	f.Add("1:2.0~rc1-3", "1:2.0^git-3")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := CompareEVR(a, b), CompareEVR(b, a)
		if x != -y || x < -1 || x > 1 || CompareEVR(a, a) != 0 {
			t.Errorf("%q against %q: %d and %d", a, b, x, y)
		}
		if v, err := ParseEVR(a); err == nil && v.String() != a && !strings.Contains(a, ":") {
			t.Errorf("%q is printed %q", a, v)
		}
	})
}
