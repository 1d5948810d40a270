package fedora

import (
	"os/exec"
	"path/filepath"
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
	if len(ps) != 137 { // and a key
		t.Errorf("%d packages", len(ps))
	}
}

// TestConformanceOlder runs the suite on databases of other forms, which the
// module of another reader has for its tests.
func TestConformanceOlder(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/knqyf263/go-rpmdb").Output()
	if err != nil {
		t.Skip("no such databases here: ", err)
	}
	for _, c := range []struct{ file, release, want string }{
		{"centos7-plain/Packages", "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"7\"\n", "centos 7 x86_64"},
		{"centos8-modularitylabel/Packages", "ID=\"centos\"\nID_LIKE=\"rhel fedora\"\nVERSION_ID=\"8\"\n", "centos 8 x86_64"},
		{"ubi8-s390x/Packages", "ID=\"rhel\"\nID_LIKE=\"fedora\"\nVERSION_ID=\"8.4\"\n", "rhel 8.4 s390x"},
		{"sle15-bci/Packages.db", "ID=\"sles\"\nID_LIKE=\"suse\"\nVERSION_ID=\"15.3\"\n", "sles 15.3 x86_64"},
		{"cbl-mariner-2.0/rpmdb.sqlite", "ID=newcomer\nID_LIKE=\"mariner\"\nVERSION_ID=\"2.0\"\n", "newcomer 2.0 x86_64"},
	} {
		t.Run(filepath.Dir(c.file), func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			copyFileTo(t, filepath.Join(root, "usr/lib/sysimage/rpm", filepath.Base(c.file)), filepath.Join(strings.TrimSpace(string(dir)), "pkg/testdata", c.file))
			put(t, filepath.Join(root, "etc/os-release"), c.release)
			distrotest.Run(t, distrotest.Fixture{Distro: Distro{}, Families: []distro.Distro{Distro{}}, Root: root, NoLocate: true})
			if s, _ := openSystem(t, root); s.ID().String() != c.want {
				t.Errorf("the system is %s", s.ID())
			}
		})
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

// TestSelectMade has requirements by file, by version and of several parts.
func TestSelectMade(t *testing.T) {
	needRoot(t)
	w := newWorkshop(t)
	pool := t.TempDir()
	root := newRoot(t)
	var files []string
	for _, s := range []spec{
		{name: "app", version: "1", release: "1", more: "Requires: virtual >= 2\nRequires: /lib/needed\nRequires: (one or two)\nRequires: (three if nothing)"},
		{name: "old", version: "1", release: "1", more: "Provides: virtual = 1"},
		{name: "new", version: "1", release: "1", more: "Provides: virtual = 2"},
		{name: "merged", version: "1", release: "1", file: "/usr/lib/needed"},
		{name: "two", version: "1", release: "1"},
		{name: "stranger", version: "1", release: "1"},
	} {
		files = append(files, w.build(t, pool, s))
	}
	rpmInstall(t, root, append([]string{"--nodeps"}, files...)...)
	s, _ := openSystem(t, root)
	ps, err := s.Select(t.Context(), []string{"app"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range ps {
		names = append(names, p.Name)
	}
	if got := strings.Join(names, " "); got != "app merged new two" {
		t.Errorf("app with what it needs: %s", got)
	}
}
