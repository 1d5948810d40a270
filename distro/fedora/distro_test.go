package fedora

import (
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/distrotest"
	"github.com/samebits/samebits/lockfile"
)

// TestConformance runs the suite of all families on the real Fedora 35.
func TestConformance(t *testing.T) {
	root := fedora35(t)
	distrotest.Run(t, distrotest.Fixture{
		Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: root, NoLocate: true,
		Want: lockfile.System{Distro: "fedora", Version: "35", Arch: "x86_64"},
	})
	s, _ := openSystem(t, root)
	ps, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(ps) != 137 && len(ps) != 138 {
		t.Errorf("%d packages", len(ps))
	}
}

func TestDescribe(t *testing.T) {
	for path, want := range map[string]string{
		"releases/35/Everything/x86_64/os/Packages/h/hello-2.10-6.fc35.x86_64.rpm": "hello 2.10-6.fc35 x86_64",
		"kernel-core-5.14.10-300.fc35.x86_64.rpm":                                  "kernel-core 5.14.10-300.fc35 x86_64",
		"fonts-filesystem-2.0.5-6.fc35.noarch.rpm":                                 "fonts-filesystem 2.0.5-6.fc35 noarch",
		"hello.deb":          "",
		"hello-1.x86_64.rpm": "",
	} {
		p, ok := Distro{}.Describe(path)
		if ok != (want != "") || ok && p.String() != want {
			t.Errorf("%s: %v, %t; want %q", path, p, ok, want)
		}
	}
}

func TestSelectReal(t *testing.T) {
	s, _ := openSystem(t, fedora35(t))
	select_ := func(deps bool, names ...string) string {
		t.Helper()
		ps, err := s.Select(t.Context(), names, deps)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, p := range ps {
			out = append(out, p.Name)
		}
		return strings.Join(out, " ")
	}
	if got := select_(false, "bash", "glibc:x86_64", "tzdata.noarch"); got != "bash glibc tzdata" {
		t.Errorf("by name: %s", got)
	}
	got := " " + select_(true, "bash") + " "
	for _, want := range []string{"glibc", "ncurses-libs", "filesystem", "setup"} {
		if !strings.Contains(got, " "+want+" ") {
			t.Errorf("bash without %s: %s", want, got)
		}
	}
	if strings.Contains(got, " dnf ") {
		t.Errorf("bash with dnf: %s", got)
	}
}
