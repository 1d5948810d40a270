package fat

import (
	"time"

	"github.com/samebits/samebits/imagebuild/tree"
)

// The times between which FAT's are.
var (
	firstTime = tree.Time{Sec: 315532800}                     // 1980-01-01
	lastTime  = tree.Time{Sec: 4354819199, Nsec: 999_999_999} // 2107-12-31
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

// stamp is a time in FAT's two words, and the hundredths of a second that they
// leave out, fewer than 200.
type stamp struct {
	date, time uint16
	hundredths byte
}

func stampOf(at tree.Time) stamp {
	t := clamp(at).Time()
	return stamp{
		date:       uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day()),
		time:       uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2),
		hundredths: byte(t.Second()%2*100 + t.Nanosecond()/1e7),
	}
}

// parseStamp is the time of two words; what is no day is brought to be one, and
// no day at all is 1980.
func parseStamp(date, clock uint16) tree.Time {
	t := time.Date(1980+int(date>>9), time.Month(date>>5&15), int(date&31),
		int(clock>>11), int(clock>>5&63), int(clock&31)*2, 0, time.UTC)
	return clamp(tree.TimeOf(t))
}
