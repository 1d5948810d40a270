package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/samebits/samebits/distro"
	"github.com/samebits/samebits/distro/debian/deb"
	"github.com/samebits/samebits/lockfile"
)

func jobOf(name, preDepends, depends, provides string, essential bool) *job {
	return &job{
		entry:   lockfile.Entry{Path: name + ".deb"},
		Control: &deb.Control{Package: name, Version: "1", Architecture: "all", PreDepends: preDepends, Depends: depends, Provides: provides, Essential: essential},
	}
}

func TestOrder(t *testing.T) {
	for _, tt := range []struct {
		name string
		jobs []*job
		want string // "unpacked > configured" for each step, "!" for force
	}{
		{"nothing", nil, ""},
		{"dependencies first, one step", []*job{jobOf("a", "", "b", "", false), jobOf("b", "", "", "", false)}, "b a > a b"},
		{"circle", []*job{jobOf("a", "", "b", "", false), jobOf("b", "", "a", "", false)}, "b a > a b"},
		{"essential first", []*job{jobOf("a", "", "", "", false), jobOf("z", "", "", "", true)}, "z a > z a"},
		{"pre-dependency", []*job{jobOf("a", "z", "", "", false), jobOf("z", "", "m", "", false), jobOf("m", "", "", "", false)}, "m z > m z; a > a"},
		{"chain", []*job{jobOf("a", "b (>= 0)", "", "", false), jobOf("b", "c:any", "", "", false), jobOf("c", "", "", "", false)}, "c > c; b > b; a > a"},
		{"what must wait holds back what needs it", []*job{jobOf("a", "", "b", "", false), jobOf("b", "c", "", "", false), jobOf("c", "", "", "", false)}, "a c > c; b > a b"},
		{"provided", []*job{jobOf("a", "virtual", "", "", false), jobOf("p", "", "", "virtual (= 3)", false)}, "p > p; a > a"},
		{"alternatives", []*job{jobOf("a", "absent | b", "", "", false), jobOf("b", "", "", "", false)}, "b > b; a > a"},
		{"circle of pre-dependencies", []*job{jobOf("a", "b", "", "", false), jobOf("b", "a", "", "", false)}, "!b a > a b"},
	} {
		o, err := newOrder(tt.jobs)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, s := range o.steps() {
			force := ""
			if s.forced {
				force = "!"
			}
			got = append(got, fmt.Sprintf("%s%s > %s", force, jobNames(s.unpack), jobNames(s.configure)))
		}
		if strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, strings.Join(got, "; "), tt.want)
		}
	}
	if _, err := newOrder([]*job{jobOf("a", "b (", "", "", false)}); err == nil {
		t.Error("a damaged field is accepted")
	}
}

func jobNames(jobs []*job) string {
	var names []string
	for _, j := range jobs {
		names = append(names, j.Package)
	}
	return strings.Join(names, " ")
}

func TestDpkgCheck(t *testing.T) {
	installed := []Status{
		{Package: "libc6", Version: "2.36", Arch: "amd64", State: "installed", Provides: "libc-api (= 5)"},
		{Package: "gone", Version: "1", Arch: "all", State: "config-files"},
	}
	for _, tt := range []struct {
		name string
		job  *job
		want string
	}{
		{"met by the root", jobOf("a", "libc6 (>= 2.30)", "libc-api (>= 5)", "", false), ""},
		{"met by itself", jobOf("a", "", "virtual", "virtual", false), ""},
		{"too old", jobOf("a", "libc6 (>= 2.40)", "", "", false), "libc6 (>= 2.40)"},
		{"only configuration is left", jobOf("a", "", "gone", "", false), "gone"},
		{"unversioned provides", jobOf("a", "", "virtual (>= 1)", "virtual", false), "virtual"},
	} {
		check(t, tt.name, dpkgCheck(&runner{state: installed}, []*job{tt.job}), tt.want)
	}
	breaks := jobOf("a", "", "", "", false)
	breaks.Breaks = "libc6 (<< 2.37), a (<< 9)"
	check(t, "breaks", dpkgCheck(&runner{state: installed}, []*job{breaks}), "excludes libc6 (<< 2.37)")
	breaks.Breaks = "libc6 (<< 2.36)"
	check(t, "breaks older", dpkgCheck(&runner{state: installed}, []*job{breaks}), "")
}

func TestDpkgCheckKept(t *testing.T) {
	perl := Status{Package: "perl", Version: "5", Arch: "amd64", State: "installed", Depends: "perl-base (= 5), never-there"}
	base := Status{Package: "perl-base", Version: "5", Arch: "all", State: "installed"}
	r := &runner{state: []Status{perl, base}}
	newer := jobOf("perl-base", "", "", "", true)
	check(t, "a kept package loses its dependency", dpkgCheck(r, []*job{newer}), "would lose perl-base (= 5)")
	newer.Version = "5"
	check(t, "a kept package keeps it", dpkgCheck(r, []*job{newer}), "")
}

func check(t *testing.T, name string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: error %v, want %q", name, err, want)
	}
}

func TestWaitForLock(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, statusFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := openRoot(t, root)
	warned := ""
	s.events = &distro.Events{Warn: func(m string) { warned = m }}
	if err := s.waitForLock(t.Context()); err != nil || warned != "" {
		t.Fatalf("without a lock: %v, %q", err, warned)
	}
	f, err := os.Create(filepath.Join(root, "var/lib/dpkg/lock-frontend"))
	if err != nil {
		t.Fatal(err)
	}
	// A lock of the open file, since one of the process is no obstacle to it.
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
		t.Skipf("cannot lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.waitForLock(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(warned, "another process") {
		t.Errorf("with a lock: %v, warned %q", err, warned)
	}
	f.Close()
	if err := s.waitForLock(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg"), 0o755); err != nil {
		t.Fatal(err)
	}
	status := ""
	for _, p := range []string{"right installed", "wrong installed", "half half-configured"} {
		name, state, _ := strings.Cut(p, " ")
		version := map[bool]string{true: "2", false: "1"}[name == "wrong"]
		status += fmt.Sprintf("Package: %s\nStatus: install ok %s\nArchitecture: all\nVersion: %s\n\n", name, state, version)
	}
	if err := os.WriteFile(filepath.Join(root, statusFile), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	s := openRoot(t, root)
	var jobs []*job
	for _, name := range []string{"right", "wrong", "half", "absent"} {
		jobs = append(jobs, jobOf(name, "", "", "", false))
	}
	err := s.verify(t.Context(), jobs, []Status{{Package: "lost", Arch: "all", Version: "1", State: "installed"}})
	var state *distro.StateError
	if !errors.As(err, &state) || len(state.Differences) != 4 {
		t.Fatalf("verify: %v, want four differences", err)
	}
	if err := s.verify(t.Context(), jobs[:1], nil); err != nil {
		t.Error(err)
	}
}
