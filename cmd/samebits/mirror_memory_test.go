package main

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	for live, want := range map[uint64]int64{0: leastMemory, 10 << 20: leastMemory, 26 << 20: leastMemory, 100 << 20: 166 << 20} {
		if got := memoryLimit(live); got != want {
			t.Errorf("%d bytes live: %d, not %d", live, got, want)
		}
	}
	// The limit is never so near to what lives that it is collected for ever.
	for _, live := range []uint64{30 << 20, 1 << 30, 1 << 39, math.MaxUint64} {
		if got := memoryLimit(live); got < int64(min(live, 1<<40))+16<<20 {
			t.Errorf("%d bytes live: %d", live, got)
		}
	}
}

func TestCollectorIsLeftToTheEnvironment(t *testing.T) {
	percent, limit := debug.SetGCPercent(123), debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		tuneCollector(done, func(n string) string { return map[string]string{name: "x"}[n] })
		if p := debug.SetGCPercent(123); p != 123 || debug.SetMemoryLimit(-1) != limit {
			t.Errorf("%s is set, and it was overruled: %d%%", name, p)
		}
	}
	tuneCollector(done, func(string) string { return "" })
	if p, l := debug.SetGCPercent(123), debug.SetMemoryLimit(-1); p != growth || l != leastMemory {
		t.Errorf("%d%%, %d bytes", p, l)
	}
}

func TestMemoryNow(t *testing.T) {
	if live, taken := memoryNow(); live == 0 || taken < live {
		t.Errorf("%d bytes live in %d", live, taken)
	}
}
