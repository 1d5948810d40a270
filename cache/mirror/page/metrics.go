package page

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/samebits/samebits/cache/mirror"
)

// WriteMetrics writes a status in Prometheus's text format, version 0.0.4.
func WriteMetrics(w io.Writer, s mirror.Status, now time.Time) error {
	var b strings.Builder
	metric := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP samebits_mirror_%s %s\n# TYPE samebits_mirror_%s %s\n", name, help, name, kind)
	}
	m := s.Metrics
	for _, c := range []struct {
		name, help string
		value      int64
	}{
		{"requests_total", "Requests of clients.", m.Requests},
		{"hits_total", "Files that were served from the store.", m.Hits},
		{"misses_total", "Files that were fetched while they were served.", m.Misses},
		{"not_modified_total", "Requests that were answered with 304.", m.NotModified},
		{"passed_total", "Files that were passed through unchecked and are not kept.", m.Passed},
		{"refused_total", "Requests that were refused.", m.Refused},
		{"aborted_total", "Answers that were broken off.", m.Aborted},
		{"stale_total", "Answers from an older set, with a warning.", m.Stale},
		{"served_bytes_total", "Bytes sent to clients.", m.BytesServed},
		{"fetched_bytes_total", "Bytes that came from upstream.", m.BytesFetched},
		{"upstream_requests_total", "Requests sent upstream.", m.UpstreamGets},
		{"upstream_failures_total", "Requests sent upstream that failed.", m.UpstreamFails},
		{"bad_files_total", "Files of upstream with another digest or size than was signed.", m.BadFiles},
		{"sets_adopted_total", "Sets of metadata that were adopted.", m.SetsAdopted},
		{"sets_refused_total", "Sets of metadata that were refused.", m.SetsRefused},
		{"changed_total", "Versions of packages that showed another digest than before.", m.Changed},
		{"evicted_total", "Blobs that were evicted.", m.Evicted},
	} {
		metric(c.name, "counter", c.help)
		fmt.Fprintf(&b, "samebits_mirror_%s %d\n", c.name, c.value)
	}
	for _, g := range []struct {
		name, help string
		value      int64
	}{
		{"flights", "Files that are on their way from upstream.", m.Flights},
		{"snapshots", "States that were frozen.", int64(len(s.Snapshots))},
		{"pins", "Locks that are pinned.", int64(len(s.Pins))},
		{"offline", "Whether the mirror asks no upstream.", flag(s.Offline)},
	} {
		metric(g.name, "gauge", g.help)
		fmt.Fprintf(&b, "samebits_mirror_%s %d\n", g.name, g.value)
	}
	if st := s.Store; st != nil {
		for _, g := range []struct {
			name, kind, help string
			value            int64
		}{
			{"store_failing", "gauge", "Whether the store that mirrors share cannot be used.", flag(st.Error != "")},
			{"store_queued", "gauge", "Blobs that are yet to be uploaded to the store.", int64(st.Queued)},
			{"store_hits_total", "counter", "Files that came from the store.", st.Hits},
			{"store_uploads_total", "counter", "Files that were handed to the store.", st.Uploads},
			{"store_bad_total", "counter", "Objects of the store that are not what they should be.", st.Bad},
		} {
			metric(g.name, g.kind, g.help)
			fmt.Fprintf(&b, "samebits_mirror_%s %d\n", g.name, g.value)
		}
	}
	metric("set_age_seconds", "gauge", "How long ago the archive published the set that is served.")
	for _, u := range s.Upstreams {
		for _, r := range u.Roots {
			if !r.Date.IsZero() {
				fmt.Fprintf(&b, "samebits_mirror_set_age_seconds{prefix=%s,root=%s} %d\n", label(u.Prefix), label(r.Path), int64(now.Sub(r.Date).Seconds()))
			}
		}
	}
	metric("set_failing", "gauge", "Whether the newest set of upstream could not be had.")
	for _, u := range s.Upstreams {
		for _, r := range u.Roots {
			fmt.Fprintf(&b, "samebits_mirror_set_failing{prefix=%s,root=%s} %d\n", label(u.Prefix), label(r.Path), flag(r.Error != ""))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// label quotes the value of a label.
func label(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

// sizeText is a number of bytes for a person, in powers of 1000.
func sizeText(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	value, unit := float64(n), 0
	for value >= 999.95 && unit < len("kMGTPE") {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit-1])
}
