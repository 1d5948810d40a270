package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// growth is by how many percent of what lives in it the heap may grow
	// before it is collected. Go's own 100 has the few megabytes of a mirror
	// collected a hundred times a second under load.
	growth = 400
	// leastMemory bounds that, in bytes: of all that Go takes.
	leastMemory = 56 << 20
	// giveBackEvery is how often memory is given back at most that was taken
	// beyond that, as to read an index of packages takes it.
	giveBackEvery = 10 * time.Second
)

// tuneCollector has a mirror take some memory for less work, until ctx is done.
// GOGC and GOMEMLIMIT in the environment go before it.
func tuneCollector(ctx context.Context, getenv func(string) string) {
	if getenv("GOGC") != "" || getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(growth)
	limit := int64(leastMemory)
	debug.SetMemoryLimit(limit)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var gaveBack time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		live, taken := memoryNow()
		// To set it stops the world for a moment: small changes are not worth it.
		if next := memoryLimit(live); next > limit || next < limit-limit/8 {
			limit = next
			debug.SetMemoryLimit(limit)
		}
		if taken > leastMemory && time.Since(gaveBack) > giveBackEvery {
			gaveBack = time.Now()
			debug.FreeOSMemory()
		}
	}
}

// memoryNow is how many bytes of the heap lived when it was last collected, and
// how many Go has from the system.
func memoryNow() (live, taken uint64) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	for _, m := range s {
		if m.Value.Kind() != metrics.KindUint64 {
			return 0, 0
		}
	}
	return s[0].Value.Uint64(), s[1].Value.Uint64() - s[2].Value.Uint64()
}

// memoryLimit is the bound for a heap of which so many bytes live: one that
// they come near to would have it collected without end.
func memoryLimit(live uint64) int64 {
	const most = 1 << 40
	return max(leastMemory, int64(min(live, most))*3/2+16<<20)
}
