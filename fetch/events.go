package fetch

import "github.com/samebits/samebits/lockfile"

// Events tells what goes on during a fetch. Any callback may be nil, and so
// may be the Events; the others are called from many goroutines at once and
// must return quickly.
type Events struct {
	// Start is called when bytes of an entry begin to arrive. have is how
	// many were there from an earlier run, size the length of the file or -1.
	Start func(e lockfile.Entry, have, size int64)
	// Bytes is called as n more bytes have arrived. A negative n takes back
	// bytes that turned out to be wrong.
	Bytes func(e lockfile.Entry, n int64)
	// Failed is called for each attempt at a source that did not give the
	// file. The entry may still be had from another source.
	Failed func(e lockfile.Entry, source string, err error)
	// Done is called once for each entry: err is nil when it is in the store.
	// source is empty where it had been there before.
	Done func(e lockfile.Entry, source string, err error)
}
