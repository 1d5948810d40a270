package mirror

import "sync/atomic"

// Metrics are counters since the Mirror was made.
type Metrics struct {
	Requests      int64 `json:"requests"`       // of clients
	Hits          int64 `json:"hits"`           // served from the store
	Misses        int64 `json:"misses"`         // that began or joined a fetch
	NotModified   int64 `json:"not_modified"`   // answered with 304
	Passed        int64 `json:"passed"`         // passed through unchecked and unkept
	Refused       int64 `json:"refused"`        // bad requests, no open proxy, no token
	Aborted       int64 `json:"aborted"`        // broken off since the file could not be had
	Stale         int64 `json:"stale"`          // served from the last good set with a warning
	BytesServed   int64 `json:"bytes_served"`   // to clients
	BytesFetched  int64 `json:"bytes_fetched"`  // from upstream
	UpstreamGets  int64 `json:"upstream_gets"`  // requests sent upstream
	UpstreamFails int64 `json:"upstream_fails"` // of which failed, but for 404
	BadFiles      int64 `json:"bad_files"`      // whole files with a wrong digest or size
	SetsAdopted   int64 `json:"sets_adopted"`
	SetsRefused   int64 `json:"sets_refused"`
	Changed       int64 `json:"changed"` // versions that showed another digest
	Evicted       int64 `json:"evicted"` // blobs
	Flights       int64 `json:"flights"` // files that are on their way now
}

type counters struct {
	requests, hits, misses, notModified, passed, refused, aborted, stale, bytesServed, bytesFetched,
	upstreamGets, upstreamFails, badFiles, setsAdopted, setsRefused, changed, evicted atomic.Int64
}

// Metrics returns the counters as they are now.
func (m *Mirror) Metrics() Metrics {
	c := &m.count
	m.flightMu.Lock()
	flights := int64(len(m.flights))
	m.flightMu.Unlock()
	return Metrics{
		Requests: c.requests.Load(), Hits: c.hits.Load(), Misses: c.misses.Load(), NotModified: c.notModified.Load(),
		Passed: c.passed.Load(), Refused: c.refused.Load(), Aborted: c.aborted.Load(), Stale: c.stale.Load(),
		BytesServed: c.bytesServed.Load(), BytesFetched: c.bytesFetched.Load(), UpstreamGets: c.upstreamGets.Load(),
		UpstreamFails: c.upstreamFails.Load(), BadFiles: c.badFiles.Load(), SetsAdopted: c.setsAdopted.Load(),
		SetsRefused: c.setsRefused.Load(), Changed: c.changed.Load(), Evicted: c.evicted.Load(), Flights: flights,
	}
}
