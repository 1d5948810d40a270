package fetch

import (
	"context"
	"io"

	"github.com/samebits/samebits/lockfile"
)

// A Sink is a place that files can be put into, for a [Source] to have them
// later. Its methods may be called concurrently. Errors mean what they mean
// for a Source: see [Source.Open].
type Sink interface {
	// Name is what reports call the sink, without credentials.
	Name() string
	// Put makes a file available, and reports whether its bytes had to be
	// sent for that: a file that is there already is left alone.
	Put(ctx context.Context, f File) (sent bool, err error)
	// Publish makes the sets known by their locks, so that the locks can be
	// had back from the sink. It is called when all their files are in, and
	// again with the same sets where it failed for a reason that may pass.
	Publish(ctx context.Context, sets []Set) error
}

// A File is the content of a locked file that is at hand.
type File struct {
	Entry lockfile.Entry
	Size  int64 // in bytes
	// Open opens the file, whose bytes have just been hashed again. It may be
	// called more than once.
	Open func(ctx context.Context) (io.ReadSeekCloser, error)
}

// A Set is a lock with all its files at hand, in the order of its entries.
type Set struct {
	Lock  *lockfile.Lock
	Files []File
}
