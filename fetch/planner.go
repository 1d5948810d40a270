package fetch

import (
	"context"
	"time"
)

// What a Planner does where its fields are zero.
const (
	DefaultParallel = 16
	DefaultPerHost  = 10
	DefaultStall    = 20 * time.Second
	DefaultAttempts = 3
	DefaultPatience = 2 * time.Minute
	DefaultBackoff  = 500 * time.Millisecond
	DefaultMaxSize  = 64 << 30
)

// A Planner gets many files from many sources into a store.
type Planner struct {
	// Sources in order of preference.
	Sources []Source
	Store   Store
	Events  *Events // may be nil

	Parallel int // files in flight
	// PerHost is how many requests may be in flight to one host that sets no
	// limit of its own. Where it is 0, a host that takes long to answer the
	// first request may have as many as files are in flight, since most of
	// them only wait.
	PerHost  int
	Stall    time.Duration // how long a source may be silent
	Attempts int           // how often a source may fail for one file
	Patience time.Duration // the longest wait that a source may ask for
	Backoff  time.Duration // the pause before a failed source is asked again; it grows
	MaxSize  int64         // bytes; no larger file is accepted
}

// Fetch brings the requested files into the store and says what became of
// each. It returns when all are settled, when the store fails, or soon after
// ctx is done; a later run goes on from the bytes that arrived. Files of one
// digest are fetched once. Offset and Validator of the requests are ignored.
func (p *Planner) Fetch(ctx context.Context, reqs []Request) *Report {
	return newRun(p, reqs).do(ctx)
}
