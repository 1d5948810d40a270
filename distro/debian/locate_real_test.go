package debian

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro"
)

// realSystem opens the machine that the test runs on, if it is a Debian one
// with apt's lists.
func realSystem(t testing.TB, events *distro.Events) *System {
	t.Helper()
	if _, err := os.Stat("/var/lib/dpkg/status"); err != nil {
		t.Skipf("not a Debian system: %v", err)
	}
	s, err := open("/", events)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.repositories()) == 0 {
		t.Skip("apt has no sources here")
	}
	return s
}

func TestLocateRealSystem(t *testing.T) {
	var warnings []string
	s := realSystem(t, &distro.Events{Warn: func(m string) { warnings = append(warnings, m) }})
	packages, err := s.Installed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Locate(context.Background(), distro.LocateRequest{Packages: packages})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Lock.Entries)+len(got.Lock.Missing) != len(packages) || len(got.Reasons) != len(got.Lock.Missing) {
		t.Errorf("%d packages give %d entries, %d missing and %d reasons", len(packages), len(got.Lock.Entries), len(got.Lock.Missing), len(got.Reasons))
	}
	t.Logf("%d located, %d missing, date %s, hints %q, warnings %q", len(got.Lock.Entries), len(got.Lock.Missing), got.Lock.Date, got.Hints, warnings)
	for i, m := range got.Lock.Missing {
		if i%40 == 0 {
			t.Logf("%s: %s", m, got.Reasons[m])
		}
	}
	again, err := s.Locate(context.Background(), distro.LocateRequest{Packages: packages})
	if err != nil || string(again.Lock.Format()) != string(got.Lock.Format()) {
		t.Errorf("a second run gives another lock (error %v)", err)
	}
}

// TestLocateAgreesWithApt compares the digests with those that apt knows.
func TestLocateAgreesWithApt(t *testing.T) {
	if testing.Short() {
		t.Skip("asks apt-cache for each installed package")
	}
	s := realSystem(t, nil)
	if _, err := exec.LookPath("apt-cache"); err != nil {
		t.Skip(err)
	}
	packages, err := s.Installed(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]bool{}
	for chunk := range slices.Chunk(packages, 50) {
		args := []string{"show"}
		for _, p := range chunk {
			args = append(args, p.Name+"="+p.Version)
		}
		out, _ := exec.Command("apt-cache", args...).Output() // it fails for what it does not know
		for line := range strings.Lines(string(out)) {
			if sum, ok := strings.CutPrefix(line, "SHA256: "); ok {
				sums[strings.TrimSpace(sum)] = true
			}
		}
	}
	if len(sums) == 0 {
		t.Skip("apt knows none of the installed versions")
	}
	got, err := s.Locate(context.Background(), distro.LocateRequest{Packages: packages})
	if err != nil {
		t.Fatal(err)
	}
	mine := map[string]bool{}
	for _, e := range got.Lock.Entries {
		if !e.Unsigned {
			mine[e.Digest.String()] = true
			if !sums[e.Digest.String()] {
				t.Errorf("%s is %s, which apt does not know for an installed version", e.Path, e.Digest)
			}
		}
	}
	for sum := range sums {
		if !mine[sum] {
			t.Errorf("apt knows %s for an installed version, the lock does not have it", sum)
		}
	}
}

func BenchmarkLocate(b *testing.B) {
	s := realSystem(b, nil)
	packages, err := s.Installed(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Locate(context.Background(), distro.LocateRequest{Packages: packages}); err != nil {
			b.Fatal(err)
		}
	}
}
