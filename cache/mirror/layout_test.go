package mirror

import (
	"fmt"
	"strings"
	"testing"

	"github.com/samebits/samebits/lockfile"
)

// A flat repository that nobody signs, with its sources, a directory of diffs
// and names that want care in a URL.
func TestFlatRepositoryWithSourcesAndDiffs(t *testing.T) {
	deb, dsc, patch := []byte("a deb"), []byte("a dsc"), []byte("a patch")
	sum := func(b []byte) string { return fmt.Sprintf("%s %d", lockfile.DigestOf(b), len(b)) }
	packages := fmt.Sprintf("Package: a\nVersion: 1:1+b~1\nArchitecture: all\nFilename: ./a_1+b~1%%3a_all.deb\nSize: %d\nSHA256: %s\n", len(deb), lockfile.DigestOf(deb))
	sources := "Package: a\nVersion: 1\nDirectory: .\nChecksums-Sha256:\n " + sum(dsc) + " a_1.dsc\n"
	diffs := "SHA256-Download:\n " + sum(patch) + " T-1.gz\n"
	release := "Origin: Flat\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nSHA256:\n " + sum([]byte(packages)) + " Packages\n " + sum([]byte(sources)) + " Sources\n " + sum([]byte(diffs)) + " Packages.diff/Index\n"
	o := newOrigin(t, map[string][]byte{"x/Release": []byte(release), "x/Packages": []byte(packages), "x/Sources": []byte(sources), "x/Packages.diff/Index": []byte(diffs),
		"a_1+b~1%3a_all.deb": deb, "a_1.dsc": dsc, "x/Packages.diff/T-1.gz": patch})
	r := newRig(t, debianAt(o, nil), nil)
	for range 2 {
		r.want("/debian/x/InRelease", 404, nil)
		r.want("/debian/x/Release.gpg", 404, nil)
		r.want("/debian/x/Release", 200, []byte(release))
		r.want("/debian/x/Packages", 200, []byte(packages))
		r.want("/debian/x/Sources", 200, []byte(sources))
		r.want("/debian/x/Packages.diff/Index", 200, []byte(diffs))
		r.want("/debian/a_1.dsc", 200, dsc)
		r.want("/debian/x/Packages.diff/T-1.gz", 200, patch)
		r.want("/debian/a_1%2bb~1%253a_all.deb", 200, deb)
	}
	for path, n := range o.asked {
		if n != 1 && !strings.HasSuffix(path, "InRelease") {
			t.Errorf("%s was asked of upstream %d times", path, n)
		}
	}
	if m := r.Metrics(); m.Passed != 0 {
		t.Errorf("%d files passed unchecked", m.Passed)
	}
	if len(r.History("a", "", "")) != 0 {
		t.Error("what nobody signed is in the history")
	}
	if s := r.Status().Upstreams[0].Roots; len(s) != 1 || s[0].Signed || s[0].Archive != "Flat" {
		t.Errorf("%+v", s)
	}
}
