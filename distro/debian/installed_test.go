package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// rootWith makes a root of the given files.
func rootWith(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func systemWith(t testing.TB, files map[string]string) *System {
	t.Helper()
	s, err := open(rootWith(t, files), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func paragraph(name, version, arch, status string, more ...string) string {
	p := fmt.Sprintf("Package: %s\nStatus: %s\nArchitecture: %s\nVersion: %s\n", name, status, arch, version)
	for _, m := range more {
		p += m + "\n"
	}
	return p + "\n"
}

const ok = "install ok installed"

func TestInstalled(t *testing.T) {
	s := systemWith(t, map[string]string{
		statusFile: paragraph("zlib1g", "1:1.2.13.dfsg-1", "amd64", ok, "Multi-Arch: same") +
			paragraph("zlib1g", "1:1.2.13.dfsg-1", "i386", ok, "Multi-Arch: same") +
			paragraph("held", "1.0~rc1+b2", "all", "hold ok installed", "Essential: yes", "Source: src (0.9)") +
			paragraph("leaving", "1", "amd64", "deinstall ok installed") +
			paragraph("waits", "1", "amd64", "install ok triggers-awaited", "Triggers-Awaited: x") +
			paragraph("pending", "1", "amd64", "install ok triggers-pending") +
			paragraph("gone", "1", "amd64", "deinstall ok config-files") +
			"Package: never\nStatus: unknown ok not-installed\nPriority: optional\n\n",
		statusDir + "/base":         "Package: base-files\nVersion: 12\nArchitecture: amd64\nDescription: x\n y\n",
		statusDir + "/base.md5sums": "d41d8cd98f00b204e9800998ecf8427e  etc/issue\n",
	})
	got, err := s.Installed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := "base-files 12 amd64|held 1.0~rc1+b2 all|leaving 1 amd64|pending 1 amd64|waits 1 amd64|zlib1g 1:1.2.13.dfsg-1 amd64|zlib1g 1:1.2.13.dfsg-1 i386"
	if g := joined(got); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
	all, err := s.Statuses(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(s Status) bool { return s.Package == "held" })
	if !all[i].Held() || !all[i].Essential {
		t.Errorf("held: %+v", all[i])
	}
	if name, version := all[i].SourceName(); name != "src" || version != "0.9" {
		t.Errorf("source of held: %s %s", name, version)
	}
	if i := slices.IndexFunc(all, func(s Status) bool { return s.Package == "gone" }); i < 0 || !all[i].Absent() {
		t.Error("what is removed but for its configuration is not in the records")
	}
}

func joined(ps []distro.Package) string {
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return strings.Join(out, "|")
}

func TestBrokenStates(t *testing.T) {
	for _, status := range []string{"install ok half-installed", "install ok unpacked", "install ok half-configured", "install reinstreq installed"} {
		s := systemWith(t, map[string]string{statusFile: paragraph("fine", "1", "amd64", ok) + paragraph("sick", "1", "amd64", status)})
		_, err := s.Installed(t.Context())
		var broken *BrokenError
		if !errors.As(err, &broken) || len(broken.Packages) != 1 || !strings.Contains(err.Error(), "sick:amd64") || !strings.Contains(err.Error(), "--configure -a") {
			t.Errorf("%s: %v", status, err)
		}
	}
}

func TestBadDatabases(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"no version":    {"Package: a\nStatus: install ok installed\nArchitecture: all\n", "no version"},
		"no name":       {"Version: a\nStatus: install ok installed\nArchitecture: all\n", "no package"},
		"odd version":   {paragraph("a", "1/../2", "all", ok), "impossible version"},
		"odd name":      {paragraph("a b", "1", "all", ok), "impossible package"},
		"two words":     {paragraph("a", "1", "all", "ok installed"), "three words"},
		"unknown state": {paragraph("a", "1", "all", "install ok exploded"), "unknown state"},
		"unknown flag":  {paragraph("a", "1", "all", "install fine installed"), "unknown flag"},
		"twice":         {paragraph("a", "1", "amd64", ok) + paragraph("a", "2", "amd64", ok), "twice"},
		"not a field":   {"Package: a\nnonsense\n", "line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			// The architecture is given, since finding it reads the file too.
			s, err := open(rootWith(t, map[string]string{statusFile: tt.in, "etc/apt/apt.conf": `APT::Architecture "amd64";`}), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Installed(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestOpenNeedsADatabase(t *testing.T) {
	if _, err := open(t.TempDir(), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty root: %v", err)
	}
	if _, err := open("relative", nil); err == nil || !strings.Contains(err.Error(), "absolute") {
		t.Errorf("a relative root: %v", err)
	}
}

func TestIdentity(t *testing.T) {
	s := systemWith(t, map[string]string{
		statusFile:           paragraph("dpkg", "1", "arm64", ok) + paragraph("libc6", "1", "amd64", ok),
		"var/lib/dpkg/arch":  "arm64\namd64\n",
		"usr/lib/os-release": "ID=debian\nVERSION_ID=\"12\"\n",
	})
	if got := s.ID().String(); got != "debian 12 arm64" {
		t.Errorf("the system is %q", got)
	}
	odd := systemWith(t, map[string]string{
		statusFile:       paragraph("libc6", "1", "amd64", ok),
		"etc/os-release": "ID=\"my distro\\n\"\n",
	})
	if got := odd.ID().String(); got != "mydistron - amd64" {
		t.Errorf("an odd system is %q", got)
	}
	if got := strings.Join(s.Config.Architectures, " "); got != "arm64 amd64" {
		t.Errorf("architectures %q", got)
	}
}

// TestInstalledAsDpkgSaysIt compares with dpkg-query on the machine's own
// state and on whatever shared states are there.
func TestInstalledAsDpkgSaysIt(t *testing.T) {
	query, err := exec.LookPath("dpkg-query")
	if err != nil {
		t.Skip("dpkg-query is not installed")
	}
	for _, root := range append([]string{"/"}, sharedRoots(t)...) {
		t.Run(filepath.Base(root), func(t *testing.T) {
			s, err := open(root, nil)
			if err != nil {
				t.Skip(err)
			}
			got, err := s.Installed(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(query, "--admindir="+filepath.Join(root, "var/lib/dpkg"), "-W", "-f", "${db:Status-Status}\t${Package} ${Version} ${Architecture}\n").Output()
			if err != nil {
				t.Skipf("dpkg-query: %v", err)
			}
			var want []string
			for line := range strings.Lines(string(out)) {
				state, p, _ := strings.Cut(strings.TrimSpace(line), "\t")
				if state == "installed" {
					want = append(want, p)
				}
			}
			var have []string
			for _, p := range got {
				have = append(have, p.String())
			}
			slices.Sort(want)
			slices.Sort(have)
			if !slices.Equal(have, want) {
				t.Errorf("%d packages, dpkg says %d", len(have), len(want))
			}
			t.Logf("%s: %d packages, %s", root, len(have), s.ID())
			if !slices.IsSortedFunc(got, distro.Package.Compare) {
				t.Error("not sorted")
			}
		})
	}
}

// sharedRoots lists the real Debian states of the shared test data.
func sharedRoots(t testing.TB) []string {
	dir := cmp.Or(os.Getenv("SAMEBITS_TEST_DATA"), "../../../shared/data")
	var out []string
	for _, name := range []string{"ubuntu/24.04-amd64", "debian-sid-riscv64-2021-11"} {
		path, err := filepath.Abs(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(path, statusFile)); err == nil {
			out = append(out, path)
		}
	}
	return out
}

func TestDescribe(t *testing.T) {
	for path, want := range map[string]string{
		"pool/main/h/hello/hello_2.10-3_amd64.deb":     "hello 2.10-3 amd64",
		"libc6_2.36-9+deb12u10_amd64.deb":              "libc6 2.36-9+deb12u10 amd64",
		"zlib1g_1%3a1.2.13.dfsg-1_amd64.deb":           "zlib1g 1:1.2.13.dfsg-1 amd64",
		"a/b_1~rc1_all.udeb":                           "b 1~rc1 all",
		"hello-dbgsym_1_amd64.ddeb":                    "hello-dbgsym 1 amd64",
		"hello_2.10-3.dsc":                             "",
		"hello_amd64.deb":                              "",
		"hello_1_2_amd64.deb":                          "",
		"_1_amd64.deb":                                 "",
		"hello__amd64.deb":                             "",
		"hello_1%zz_amd64.deb":                         "",
		"hello_1%2f..%2f_amd64.deb":                    "",
		"x86_64/core/os/pacman-6-1-x86_64.pkg.tar.zst": "",
	} {
		p, ok := Distro{}.Describe(path)
		if got := strings.TrimSpace(p.String()); ok != (want != "") || got != want {
			t.Errorf("%s: %q, %v; want %q", path, got, ok, want)
		}
	}
}

func BenchmarkInstalled(b *testing.B) {
	var in strings.Builder
	for i := range 800 {
		in.WriteString(paragraph(fmt.Sprintf("p%d", i), "1:2.3-4", "amd64", ok, "Depends: libc6 (>= 2.36), x | y", "Description: "+strings.Repeat("word ", 100)))
	}
	s := systemWith(b, map[string]string{statusFile: in.String()})
	for b.Loop() {
		if _, err := s.Installed(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
