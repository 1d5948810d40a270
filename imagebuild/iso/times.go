package iso

import (
	"fmt"
	"time"

	"github.com/samebits/samebits/imagebuild/tree"
)

// The times between which those of directories are.
var (
	firstTime = tree.Time{Sec: -2208988800}                   // 1900-01-01
	lastTime  = tree.Time{Sec: 5869583999, Nsec: 999_999_999} // 2155-12-31
)

func clamp(t tree.Time) tree.Time {
	if t.Compare(firstTime) < 0 {
		return firstTime
	}
	if t.Compare(lastTime) > 0 {
		return lastTime
	}
	return t
}

// stamp is a time in the seven bytes of a directory.
func stamp(at tree.Time) [7]byte {
	t := clamp(at).Time()
	return [7]byte{byte(t.Year() - 1900), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0}
}

// parseStamp is the time of seven bytes, whose last is a zone in quarters of
// hours east of Greenwich.
func parseStamp(b []byte) tree.Time {
	t := time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, time.UTC)
	return tree.TimeOf(t.Add(-time.Duration(int8(b[6])) * 15 * time.Minute))
}

// longStamp is a time in the seventeen bytes of a descriptor.
func longStamp(at tree.Time) string {
	t := at.Time()
	return fmt.Sprintf("%s%02d\x00", t.Format("20060102150405"), t.Nanosecond()/1e7)
}

// noStamp is no time.
const noStamp = "0000000000000000\x00"
