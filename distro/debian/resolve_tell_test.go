package debian

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// tells notes the steps that a resolution tells.
func (r *resolution) tells() *[]string {
	var steps []string
	r.req.Events.Step = func(m string) { steps = append(steps, m) }
	return &steps
}

// Whatever may take long is told before it begins: a request to a mirror, an
// index that is large, laying out apt, and its answer.
func TestResolveTellsWhatTakesLong(t *testing.T) {
	r := newResolution(t, "hello")
	steps := r.tells()
	large := field(record("large", "1", "amd64", "large"), "Description: large"+strings.Repeat("\n and a line", 6000))
	r.publish(t, mainURL, "trixie", "Codename: trixie\n", tools("amd64"), tools("arm64")+record("hello", "1:2.10", "arm64", "hello")+strings.Repeat(large, slowIndex/len(large)+1))
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	const main, security = "http://ftp.debian.org/debian/", "http://security.debian.org/debian-security/"
	want := []string{
		"fetching the Release file of " + main + " trixie",
		"fetching the index main/binary-arm64/Packages of " + main + " trixie",
		"reading the index main/binary-arm64/Packages of " + main + " trixie",
		"fetching the Release file of " + main + " trixie-updates",
		"fetching the index main/binary-arm64/Packages of " + main + " trixie-updates",
		"fetching the Release file of " + security + " trixie-security",
		"fetching the index main/binary-arm64/Packages of " + security + " trixie-security",
		"fetching the Release file of " + main + " trixie",
		"fetching the index main/binary-amd64/Packages of " + main + " trixie",
		"fetching the Release file of " + main + " trixie-updates",
		"fetching the index main/binary-amd64/Packages of " + main + " trixie-updates",
		"fetching the Release file of " + security + " trixie-security",
		"fetching the index main/binary-amd64/Packages of " + security + " trixie-security",
		"laying out apt of trixie, trixie-updates, trixie-security for amd64, 5 packages",
		"having apt resolve 1 package and the base",
	}
	if !slices.Equal(*steps, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(*steps, "\n"), strings.Join(want, "\n"))
	}
}

// Only what a person named is counted.
func TestResolveCountsWhatWasNamed(t *testing.T) {
	for _, c := range []struct {
		base     string
		packages []string
		want     string
	}{
		{"none", []string{"hello"}, "1 package"},
		{"none", []string{"hello", "init"}, "2 packages"},
		{"essential", nil, "the base"},
		{"important", []string{"hello", "init"}, "2 packages and the base"},
	} {
		r := newResolution(t, c.packages...)
		steps := r.tells()
		r.req.Base = c.base
		if _, err := r.resolve(); err != nil {
			t.Fatal(err)
		}
		if last := (*steps)[len(*steps)-1]; last != "having apt resolve "+c.want {
			t.Errorf("base %s, %d named: it told %q, want %q", c.base, len(c.packages), last, c.want)
		}
	}
}

// deadAt is a web of which a part does not answer.
type deadAt struct {
	*web
	base string
}

func (d deadAt) Get(ctx context.Context, url string) (io.ReadCloser, error) {
	if strings.HasPrefix(url, d.base) {
		return nil, fmt.Errorf("%s: connection refused", url)
	}
	return d.web.Get(ctx, url)
}

func TestResolveTellsWhatMirrorItPassesBy(t *testing.T) {
	const near = "http://near.example.org/debian/"
	r := newResolution(t, "hello")
	r.req.Host, r.req.OnlySuites = "arm64", true
	r.req.Near = []distro.Mirror{{URL: near}}
	r.req.Fetcher = deadAt{r.web, near}
	steps := r.tells()
	if _, err := r.resolve(); err != nil {
		t.Fatal(err)
	}
	want := "the suite trixie: " + near + "dists/trixie/InRelease: connection refused; it is taken from http://ftp.debian.org/debian/"
	if !slices.Equal(r.warnings, []string{want}) {
		t.Errorf("warned %q, want %q", r.warnings, want)
	}
	if s := *steps; len(s) < 2 || !strings.Contains(s[0], near) || !strings.Contains(s[1], "fetching the Release file of http://ftp.debian.org/debian/ trixie") {
		t.Errorf("told %q", s)
	}

	// Where no place serves, the error says it, and is the only one to.
	r = newResolution(t, "hello")
	r.req.Near = []distro.Mirror{{URL: near}}
	r.req.Fetcher = deadAt{r.web, "http://"}
	if _, err := r.resolve(); err == nil || strings.Count(err.Error(), near) != 1 || len(r.warnings) != 0 {
		t.Errorf("%v, warnings %q", err, r.warnings)
	}
}
