package arch

import (
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/imagebuild"
)

func TestCertificateBundles(t *testing.T) {
	r := rule(t, "certificate-bundles")
	fits := func(path string) bool {
		return slices.ContainsFunc(r.Edit, func(p string) bool { return imagebuild.Match(p, path) })
	}
	if !fits("etc/ca-certificates/extracted/tls-ca-bundle.pem") || !fits("etc/ca-certificates/extracted/ca-bundle.trust.crt") || fits("etc/ca-certificates/trust-source/anchors/a.crt") {
		t.Error(r.Edit)
	}
	const (
		a = "# A\n-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"
		b = "# B\n-----BEGIN TRUSTED CERTIFICATE-----\nYg==\n-----END TRUSTED CERTIFICATE-----\n"
	)
	for in, want := range map[string]string{
		"": "", "words": "words", a: a, b + a: a + b, a + b: a + b, b + a + a: a + a + b, b + a + "end\n": a + b + "end\n", b + "\n" + a: a + "\n" + b,
		strings.TrimSuffix(b+a, "\n"): strings.TrimSuffix(b+a, "\n"),
	} {
		if got, err := r.Rewrite("", []byte(in), epoch); err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v; want %q", in, got, err, want)
		}
	}
}

// Sorting loses no line and does not depend on what was sorted before.
func FuzzSortBundle(f *testing.F) {
	f.Add("# b\n-----END b\n# a\n-----END a\nrest")
	f.Add("-----END \n\n-----END")
	lines := func(text string) []string {
		return slices.Sorted(strings.SplitSeq(text, "\n"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := sortBundle("", []byte(text), epoch)
		if err != nil || !slices.Equal(lines(string(once)), lines(text)) {
			t.Fatalf("%q becomes %q, %v", text, once, err)
		}
		if twice, err := sortBundle("", once, epoch); err != nil || string(twice) != string(once) {
			t.Errorf("%q becomes %q, then %q, %v", text, once, twice, err)
		}
	})
}
