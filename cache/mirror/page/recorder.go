package page

import (
	"encoding/json"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/samebits/samebits/cache/mirror"
)

// An Hour is what a mirror did in an hour.
type Hour struct {
	Begin   time.Time `json:"begin"` // UTC, whole hours
	Hits    int64     `json:"hits"`
	Misses  int64     `json:"misses"`
	Served  int64     `json:"served"`  // bytes to clients
	Fetched int64     `json:"fetched"` // bytes from upstream
}

// kept is how many hours a Recorder keeps: thirty days.
const kept = 30 * 24

// maxRecord bounds the file of a Recorder, in bytes.
const maxRecord = 1 << 20

// A Recorder sums the counters of mirrors by the hour, and keeps the sums in a
// file. It may be used concurrently.
type Recorder struct {
	mu    sync.Mutex
	file  string
	last  mirror.Metrics
	hours []Hour // oldest first
}

// NewRecorder goes on with what a file has. A file that cannot be read is
// begun anew: nothing depends on it.
func NewRecorder(file string) *Recorder {
	r := &Recorder{file: file}
	info, err := os.Stat(file)
	if err != nil || info.Size() > maxRecord {
		return r
	}
	data, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(data, &r.hours) != nil {
		r.hours = nil
	}
	for i, h := range r.hours {
		if h.Hits < 0 || h.Misses < 0 || h.Served < 0 || h.Fetched < 0 || i > 0 && !h.Begin.After(r.hours[i-1].Begin) {
			r.hours = nil
			break
		}
	}
	return r
}

// Sample adds what the counters say has happened since the last sample.
// Counters that went down are those of a mirror that was made since.
func (r *Recorder) Sample(now time.Time, m mirror.Metrics) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.Requests < r.last.Requests {
		r.last = mirror.Metrics{}
	}
	begin := now.UTC().Truncate(time.Hour)
	n := len(r.hours)
	if n == 0 || r.hours[n-1].Begin.Before(begin) {
		r.hours = append(r.hours, Hour{Begin: begin})
		n++
	}
	h := &r.hours[n-1]
	before := *h
	h.Hits += max(m.Hits+m.NotModified-r.last.Hits-r.last.NotModified, 0)
	h.Misses += max(m.Misses+m.Passed-r.last.Misses-r.last.Passed, 0)
	h.Served += max(m.BytesServed-r.last.BytesServed, 0)
	h.Fetched += max(m.BytesFetched-r.last.BytesFetched, 0)
	r.last = m
	r.hours = r.hours[max(n-kept, 0):]
	if before == *h {
		return nil
	}
	return r.save()
}

func (r *Recorder) save() error {
	data, err := json.Marshal(r.hours)
	if err != nil {
		return err
	}
	temporary := r.file + ".new"
	err = os.WriteFile(temporary, data, 0o644)
	if err == nil {
		err = os.Rename(temporary, r.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// Hours returns what is known, oldest first.
func (r *Recorder) Hours() []Hour {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Hour(nil), r.hours...)
}
