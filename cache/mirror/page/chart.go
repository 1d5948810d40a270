package page

import (
	"fmt"
	"time"
)

// A chart is what a mirror did over time, as bars of a small SVG.
type chart struct {
	Bars  []bar
	Width int
	Top   string // what the highest bar stands for
	From  string
}

// A bar is a stretch of time: what was served, and of that what was saved.
type bar struct {
	X                     int
	ServedY, ServedHeight float64
	SavedY, SavedHeight   float64
	Title                 string
}

const (
	chartBars   = 60
	chartHeight = 100.0
	barWidth    = 10
)

// newChart draws the hours up to now: the last 60 hours, or 30 days in steps
// of 12 hours where there are more.
func newChart(hours []Hour, now time.Time) chart {
	step := time.Hour
	if len(hours) > 0 && now.Sub(hours[0].Begin) > chartBars*time.Hour {
		step = 12 * time.Hour
	}
	end := now.UTC().Truncate(step).Add(step)
	begin := end.Add(-chartBars * step)
	sums := make([]Hour, chartBars)
	highest := int64(1)
	for _, h := range hours {
		i := int(h.Begin.Sub(begin) / step)
		if h.Begin.Before(begin) || i >= chartBars {
			continue
		}
		s := &sums[i]
		s.Hits, s.Misses = s.Hits+h.Hits, s.Misses+h.Misses
		s.Served, s.Fetched = s.Served+h.Served, s.Fetched+h.Fetched
		highest = max(highest, s.Served)
	}
	c := chart{Width: chartBars * barWidth, Top: sizeText(highest), From: begin.Format("2 Jan 15:04")}
	for i, s := range sums {
		served := chartHeight * float64(s.Served) / float64(highest)
		kept := chartHeight * float64(saved(s)) / float64(highest)
		title := fmt.Sprintf("%s: %s served, %s saved", begin.Add(time.Duration(i)*step).Format("2 Jan 15:04"), sizeText(s.Served), sizeText(saved(s)))
		if s.Hits+s.Misses > 0 {
			title += ", " + rate(s.Hits, s.Misses) + " hits"
		}
		c.Bars = append(c.Bars, bar{i * barWidth, chartHeight - served, served, chartHeight - kept, kept, title})
	}
	return c
}

func saved(h Hour) int64 { return max(h.Served-h.Fetched, 0) }

// rate is the share of hits, for a person.
func rate(hits, misses int64) string {
	if hits+misses == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f%%", 100*float64(hits)/float64(hits+misses))
}
