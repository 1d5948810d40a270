package page

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/cache/mirror"
)

func TestRecorderSumsByTheHourAndGoesOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "page.json")
	r := NewRecorder(file)
	sample := func(at time.Time, m mirror.Metrics) {
		t.Helper()
		if err := r.Sample(at, m); err != nil {
			t.Fatal(err)
		}
	}
	sample(testNow, mirror.Metrics{Requests: 3, Hits: 2, Misses: 1, BytesServed: 300, BytesFetched: 100})
	sample(testNow.Add(time.Minute), mirror.Metrics{Requests: 5, Hits: 3, NotModified: 1, Misses: 1, BytesServed: 500, BytesFetched: 100})
	// Another mirror counts from nothing.
	sample(testNow.Add(time.Hour), mirror.Metrics{Requests: 1, Hits: 1, BytesServed: 7})
	r = NewRecorder(file)
	sample(testNow.Add(time.Hour+time.Minute), mirror.Metrics{Requests: 2, Hits: 2, BytesServed: 14})
	want := []Hour{{testNow.Truncate(time.Hour), 4, 1, 500, 100}, {testNow.Truncate(time.Hour).Add(time.Hour), 3, 0, 21, 0}}
	got := r.Hours()
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
	for i := range kept + 10 {
		sample(testNow.Add(time.Duration(i+2)*time.Hour), mirror.Metrics{Requests: int64(i + 3), Hits: int64(i + 3)})
	}
	if n := len(r.Hours()); n != kept {
		t.Errorf("%d hours are kept", n)
	}
}

func TestRecorderForgivesBadFiles(t *testing.T) {
	for _, text := range []string{"", "[", `[{"begin":"2026-11-21T05:00:00Z","hits":-1}]`,
		`[{"begin":"2026-11-21T05:00:00Z"},{"begin":"2026-11-21T04:00:00Z"}]`, strings.Repeat(" ", maxRecord+1)} {
		file := filepath.Join(t.TempDir(), "page.json")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if h := NewRecorder(file).Hours(); len(h) > 0 {
			t.Errorf("%.40q: %+v", text, h)
		}
	}
	r := NewRecorder(filepath.Join(t.TempDir(), "no", "such", "directory"))
	if r.Sample(testNow, mirror.Metrics{Requests: 1, Hits: 1}) == nil {
		t.Error("that nothing could be kept was not told")
	}
}

func TestChart(t *testing.T) {
	hours := []Hour{{testNow.Truncate(time.Hour), 9, 1, 1000, 250}, {testNow.Add(-time.Hour).Truncate(time.Hour), 0, 5, 100, 400}}
	hours[0], hours[1] = hours[1], hours[0]
	c := newChart(hours, testNow)
	last, before := c.Bars[chartBars-1], c.Bars[chartBars-2]
	if last.ServedHeight != 100 || last.SavedHeight != 75 || last.SavedY != 25 || !strings.Contains(last.Title, "750 B saved, 90% hits") {
		t.Errorf("%+v", last)
	}
	if before.ServedHeight != 10 || before.SavedHeight != 0 {
		t.Errorf("more was fetched than served: %+v", before)
	}
	// Old hours make the steps longer; none is lost at the edges.
	old := Hour{Begin: testNow.Add(-29 * 24 * time.Hour).Truncate(time.Hour), Served: 5}
	c = newChart(append([]Hour{old}, hours...), testNow)
	if last := c.Bars[chartBars-1]; !strings.Contains(last.Title, "1.1 kB served") {
		t.Errorf("%+v", last)
	}
}

func TestMetricsAreWhatPrometheusReads(t *testing.T) {
	status := fake{}.Status()
	status.Upstreams[0].Roots[0].Path = "a\"b\\c\nd\xff"
	var b strings.Builder
	if err := WriteMetrics(&b, status, testNow); err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`^(# (HELP|TYPE) samebits_mirror_[a-z_]+ .+|samebits_mirror_[a-z_]+(\{prefix="[^"\n]*",root="(\\.|[^"\\\n])*"\})? [0-9]+)$`)
	for l := range strings.Lines(b.String()) {
		if !line.MatchString(strings.TrimSuffix(l, "\n")) {
			t.Errorf("%q", l)
		}
	}
	for _, want := range []string{"samebits_mirror_served_bytes_total 5000000000\n", "samebits_mirror_offline 1\n", `root="a\"b\\c\nd` + "\uFFFD" + `"} 10800`,
		`samebits_mirror_set_failing{prefix="debian",root="dists/sid/InRelease"} 1`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

func TestFailuresOfALongJournal(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	line := "2026-11-21T05:01:00Z\tgot\tdebian\tpool/x\t-\t-\thttp://h/\n"
	bad := "2026-11-21T05:01:00Z\trefused\tdebian\tx\t-\t-\tit is bad\n"
	if err := os.WriteFile(name, []byte(bad+strings.Repeat(line, 2*journalTail/len(line))+bad+line+bad), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := failures(name, 10); len(got) != 2 || got[0].Path != "debian/x" || got[0].Reason != "it is bad" {
		t.Errorf("%+v", got)
	}
	if got := failures(name, 1); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func FuzzParseFailure(f *testing.F) {
	f.Add("2026-11-21T05:01:00Z\trefused\tdebian\tx\t-\t-\tit is bad")
	f.Add("x\tchanged\t\t\t\t\t")
	f.Fuzz(func(t *testing.T, line string) {
		if l, ok := parseFailure(line); ok && (l.What != "refused" && l.What != "changed" || l.Time.IsZero() && !strings.HasPrefix(line, "0001")) {
			t.Errorf("%q: %+v", line, l)
		}
	})
}

func TestClientLines(t *testing.T) {
	var clients []string
	for _, l := range ClientLines("http://m:3142", []string{"debian", "alpine", "archlinux", "fedora"}) {
		clients = append(clients, l.Client)
		if !strings.Contains(l.Line, "http://m:3142") || l.Where == "" {
			t.Errorf("%+v", l)
		}
	}
	if got := strings.Join(clients, " "); got != "apt apt apk pacman dnf samebits" {
		t.Error(got)
	}
	if n := len(ClientLines("https://m", nil)); n != 1 {
		t.Errorf("%d lines for a mirror without archives", n)
	}
}
