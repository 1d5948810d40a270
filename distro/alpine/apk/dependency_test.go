package apk_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

func TestParseDependency(t *testing.T) {
	for s, want := range map[string]apk.Dependency{
		"hello":             {Name: "hello"},
		"!hello":            {Name: "hello", Conflict: true},
		"hello=1.0-r0":      {Name: "hello", Op: "=", Version: "1.0-r0"},
		"hello<1":           {Name: "hello", Op: "<", Version: "1"},
		"hello<=1":          {Name: "hello", Op: "<=", Version: "1"},
		"hello=<1":          {Name: "hello", Op: "<=", Version: "1"},
		"hello>1":           {Name: "hello", Op: ">", Version: "1"},
		"hello>=1":          {Name: "hello", Op: ">=", Version: "1"},
		"hello~1":           {Name: "hello", Op: "~", Version: "1"},
		"hello~=1":          {Name: "hello", Op: "~", Version: "1"},
		"hello=~1":          {Name: "hello", Op: "~", Version: "1"},
		"hello>~1":          {Name: "hello", Op: ">~", Version: "1"},
		"hello><Q1abc=":     {Name: "hello", Op: "><", Version: "Q1abc="},
		"!hello<2":          {Name: "hello", Op: "<", Version: "2", Conflict: true},
		"hello@edge":        {Name: "hello", Tag: "@edge"},
		"hello@edge>1":      {Name: "hello", Op: ">", Version: "1", Tag: "@edge"},
		"so:libz.so.1":      {Name: "so:libz.so.1"},
		"so:libz.so.1=1.3":  {Name: "so:libz.so.1", Op: "=", Version: "1.3"},
		"cmd:sh":            {Name: "cmd:sh"},
		"pc:zlib>=1.2":      {Name: "pc:zlib", Op: ">=", Version: "1.2"},
		"/bin/sh":           {Name: "/bin/sh"},
		"py3.11:foo=1~abcd": {Name: "py3.11:foo", Op: "=", Version: "1~abcd"},
		"hello<=>1":         {Name: "hello"},
	} {
		got, err := apk.ParseDependency(s)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", s, err, d)
		}
		again, err := apk.ParseDependency(got.String())
		if err != nil || again != got {
			t.Errorf("%s is spelled %s", s, got)
		}
	}
	for _, s := range []string{"", "!", "=1", "hello=", "hello>", "hello@", "a b", "a\nb", "@edge", strings.Repeat("x", 5000)} {
		if got, err := apk.ParseDependency(s); err == nil {
			t.Errorf("%q: %+v", s, got)
		}
	}
}

// wishes are dependencies for which TestMatches knows the answer, and
// TestMatchesReal asks the real apk. The package is offered.
var wishes = map[string]bool{
	"offered": true, "offered=1.2.3-r1": true, "offered=1.2.3": false, "offered>1.2.3": true, "offered>1.2.3-r1": false, "offered>=1.2.3-r1": true,
	"offered<1.2.4": true, "offered<=1.2.3": false, "offered<1.2.3_rc1": false, "offered~1.2": true, "offered~1.2.3": true, "offered~1.3": false, "offered~=1": true,
	"offered~1.2.3-r1": true, "offered><Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=": true, "offered><Q16vHLRZoP2NZ2lLj3reL8p+l/YE4=": false,
	"so:liboffered.so.1": true, "so:liboffered.so.1=1.5": true, "so:liboffered.so.1>1.5": false, "so:liboffered.so.1<2": true, "so:liboffered.so.2": false,
	"cmd:offer": true, "cmd:offer>=1.2.3": true, "pc:offered~1.2": true, "/bin/offer": true, "plain": true, "plain=1": false, "plain>0": false, "plain<9": false, "plain~1": false,
	"offere": false, "other": false, "cmd:off": false,
}

const offeredText = `C:Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=
P:offered
V:1.2.3-r1
A:x86_64
S:1518
I:4096
T:is offered
U:https://example.org
L:MIT
o:offered
t:1706291505
p:so:liboffered.so.1=1.5 cmd:offer=1.2.3-r1 pc:offered=1.2.3 /bin/offer plain

`

func offered(t testing.TB) apk.Record {
	t.Helper()
	x, err := apk.ReadIndex(strings.NewReader(string(index(t, offeredText, nil))), nil)
	if err != nil {
		t.Fatal(err)
	}
	return x.Records[0]
}

func TestMatches(t *testing.T) {
	rec := offered(t)
	for s, want := range wishes {
		d, err := apk.ParseDependency(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.Matches(rec); got != want {
			t.Errorf("%s: %v", s, got)
		}
		d.Conflict = true
		if got := d.Matches(rec); got != want {
			t.Errorf("!%s: %v", s, got)
		}
	}
}

// TestMatchesVersion tells of the operators that only apk 3 knows.
func TestMatchesVersion(t *testing.T) {
	for _, x := range []struct {
		dependency, version string
		want                bool
	}{
		{"a>~1.2", "1.2.3", true}, {"a>~1.2", "1.3", true}, {"a>~1.2", "1.1", false},
		{"a<~1.2", "1.2.3", true}, {"a<~1.2", "1.3", false}, {"a<~1.2", "1.1", true},
		{"a~1.2.3", "1.2", false}, {"a~1.2", "1.20", false}, {"a~1.2_p1", "1.2_p1~abc-r0", true},
		{"a=1.2", "", false}, {"a", "", true}, {"a><Q1mcpyM8ftLHlvmaMjdLoBo6zq/Fo=", "1", false},
	} {
		d, err := apk.ParseDependency(x.dependency)
		if err != nil {
			t.Fatal(err)
		}
		if got := d.MatchesVersion(x.version); got != x.want {
			t.Errorf("%s and %s: %v", x.dependency, x.version, got)
		}
	}
}

// TestMatchesReal asks the real apk whether the package, which is wanted by
// its name, would satisfy each wish too.
func TestMatchesReal(t *testing.T) {
	a := newRealApk(t, "3.20.3")
	dir := filepath.Join(a.root, "repo/x86_64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "APKINDEX.tar.gz"), index(t, offeredText, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	for s, want := range wishes {
		world := []string{"offered", s}
		if strings.HasPrefix(s, "offered") {
			world = world[1:] // of two of one name, apk takes the later one
		}
		out, err := a.run(append([]string{"add", "--simulate", "--allow-untrusted", "--no-network", "--repositories-file", "/dev/null", "-X", "/repo", "--"}, world...)...)
		if got := err == nil && strings.Contains(out, "Installing offered"); got != want {
			t.Errorf("%s: %v\n%s", s, got, out)
		}
	}
}
