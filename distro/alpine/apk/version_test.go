package apk_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// odd are versions at the borders of what is one, for every pair of which the
// real apk is asked.
var odd = []string{
	"1", "1.0", "1.00", "1.000", "1.01", "1.010", "1.09", "1.1", "1.10", "1.9", "01", "010", "0", "0.0",
	"1a", "1b", "1.0a", "1.0b", "1.0a2", "1.0a.2", "1.0ab", "1.0A", "1.0-r0", "1.0-r1", "1.0-r10", "1.0-r01", "1.0-r", "1.0-rx",
	"1.0_alpha", "1.0_alpha1", "1.0_beta2", "1.0_pre", "1.0_pre3", "1.0_rc1", "1.0_rc2", "1.0_p", "1.0_p1", "1.0_p01",
	"1.0_cvs", "1.0_svn3", "1.0_git20230717", "1.0_hg1", "1.0_p1_p2", "1.0_p_p", "1.0_rc1_p2", "1.0_foo", "1.0_", "1.0_pfoo",
	"1.0_alpha1-r2", "1.0_p1-r2", "1.0.", "1..0", "1.a", "1-1", "1.0-r1-r2", "1.0-r1_p1", "1.0-r1.1", "", "a", "_p", "-r1", ".1",
	"12345678901234567", "123456789012345678", "1.12345678901234567", "1.123456789012345678", "1.0_p123456789012345678",
	"20230506", "2.0.0.20230506", "1.2.4_git20230717-r4", "1.2.4_git20230717-r5", "9.6_p1-r0", "9.6_p2-r0", "9.6-r0", "1.0 ", "1.0+1", "v1.0",
}

// TestCompareReal asks the real apk 2.14.
func TestCompareReal(t *testing.T) {
	real := newRealApk(t, "3.20.3")
	pairs := realPairs(t, 1000)
	random := rand.New(rand.NewPCG(1, 2))
	for _, a := range odd {
		for range 15 {
			pairs = append(pairs, [2]string{a, odd[random.IntN(len(odd))]})
		}
	}
	for _, p := range pairs {
		out, err := real.run("version", "-t", "--", p[0], p[1])
		if err != nil {
			t.Fatalf("%q %q: %v\n%s", p[0], p[1], err, out)
		}
		if got := sign(apk.Compare(p[0], p[1])); got != out {
			t.Errorf("%q %s %q, but apk says %s", p[0], got, p[1], out)
		}
	}
	t.Logf("%d pairs", len(pairs))
}

// realPairs returns pairs of versions of the real indexes: half of them next to
// each other in order, half at random.
func realPairs(t *testing.T, n int) (pairs [][2]string) {
	var versions []string
	for _, x := range realIndexes {
		index, err := apk.ReadIndex(bytes.NewReader(read(t, data(t, x.dir, "APKINDEX.tar.gz"))), realKeys(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range index.Records {
			versions = append(versions, r.Version)
		}
	}
	slices.SortFunc(versions, func(a, b string) int {
		if c := apk.Compare(a, b); c != 0 {
			return c
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	versions = slices.Compact(versions)
	random := rand.New(rand.NewPCG(3, 4))
	for range n / 2 {
		i := random.IntN(len(versions) - 1)
		pairs = append(pairs, [2]string{versions[i], versions[i+1]},
			[2]string{versions[random.IntN(len(versions))], versions[random.IntN(len(versions))]})
	}
	return pairs
}

func sign(c int) string { return []string{"<", "=", ">"}[c+1] }
