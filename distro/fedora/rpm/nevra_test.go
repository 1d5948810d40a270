package rpm

import (
	"path"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for s, want := range map[string]NEVRA{
		"bash-5.1.8-2.fc35.x86_64":             {"bash", NoEpoch, "5.1.8", "2.fc35", "x86_64"},
		"python3-foo-bar-2:1.0~rc1-3^x.noarch": {"python3-foo-bar", 2, "1.0~rc1", "3^x", "noarch"},
		"x-0:1-1.src":                          {"x", 0, "1", "1", "src"},
		"libstdc++-11.2.1-1.fc35.i686":         {"libstdc++", NoEpoch, "11.2.1", "1.fc35", "i686"},
	} {
		got, err := ParseNEVRA(s)
		if err != nil || got != want || got.String() != s || !got.Valid() {
			t.Errorf("%s is %+v, as text %s: %v", s, got, got, err)
		}
		if file, ok := ParseFilename(want.Filename()); !ok || file.Epoch != NoEpoch || file.Filename() != want.Filename() {
			t.Errorf("%s is %+v", want.Filename(), file)
		}
	}
	if n, err := ParseNEVRA("3:a-1-2.noarch"); err != nil || n.String() != "a-3:1-2.noarch" {
		t.Error(n, err)
	}
	none, zero, one := NEVRA{"a", NoEpoch, "1", "2", "b"}, NEVRA{"a", 0, "1", "2", "b"}, NEVRA{"a", 1, "1", "2", "b"}
	if !none.Same(zero) || none.Same(one) || none.Same(NEVRA{"a", NoEpoch, "1", "2", "c"}) {
		t.Error("which names are the same is wrong")
	}
}

func TestWhatIsNoName(t *testing.T) {
	for _, s := range []string{
		"", "a", "a-1-2", "a-1.noarch", "-1-2.noarch", "a--2.noarch", "a-1-.noarch", "a-1-2.", "a-x:1-2.noarch", "a-1-2.no arch",
		"../a-1-2.noarch", ".a-1-2.noarch", "a/b-1-2.noarch", "a-1\n-2.noarch", "a-1:2:3-4.noarch", "1:a-2:1-2.noarch", "a-99999999999:1-2.noarch",
		strings.Repeat("a", 2000) + "-1-2.noarch", "a-1-2.b:c", "a\x7f-1-2.noarch",
	} {
		if n, err := ParseNEVRA(s); err == nil {
			t.Errorf("%q is %+v", s, n)
		}
		if n, ok := ParseFilename(s + ".rpm"); ok {
			t.Errorf("%q.rpm is %+v", s, n)
		}
	}
	for _, s := range []string{"a-1-2.noarch", "a-1-2.noarch.rpm.sig", "a-1:1-2.noarch.rpm"} {
		if n, ok := ParseFilename(s); ok {
			t.Errorf("%q is %+v", s, n)
		}
	}
}

func FuzzParseNEVRA(f *testing.F) {
	f.Add("python3-foo-2:1.0~rc1-3^x.noarch")
	f.Add("1:a-1-2.b")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseNEVRA(s)
		if err != nil {
			return
		}
		again, err := ParseNEVRA(n.String())
		if err != nil || again != n {
			t.Errorf("%q is %+v, and that as text %+v (%v)", s, n, again, err)
		}
		if name := n.Filename(); path.Base(name) != name || !strings.HasSuffix(name, ".rpm") {
			t.Errorf("%q has the file name %q", s, name)
		}
	})
}
