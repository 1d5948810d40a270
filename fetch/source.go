package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/samebits/samebits/lockfile"
)

// A Source is a place that may have locked files. Its methods may be called
// concurrently.
type Source interface {
	// Name is what reports call the source: its URL or directory, without
	// credentials. It is stable and unique among the sources of a run.
	Name() string
	// Serves reports whether the source is worth asking for the entry at all,
	// from what is known without asking: the archive it holds, an address
	// that it needs and the entry lacks.
	Serves(e lockfile.Entry) bool
	// Open opens the file at the requested offset. Errors mean:
	//
	//   - wraps fs.ErrNotExist: the source answered, and does not have it
	//   - [*BusyError]: the source asked to be left alone for a while
	//   - context errors: the caller gave up
	//   - anything else: the source failed and may succeed when asked again,
	//     unless [IsPermanent] reports otherwise
	Open(ctx context.Context, req Request) (*Body, error)
}

// A Request asks for one file, or the rest of one.
type Request struct {
	Entry lockfile.Entry
	// Time is the date of the lock, for places that want one; may be zero.
	Time time.Time
	// CID is the file's IPFS address where the lock records one.
	CID string
	// Offset is the number of bytes that the caller already has.
	Offset int64
	// Validator is what the same source gave as [Body.Validator] for the
	// bytes before Offset; empty where they came from elsewhere. A source
	// that can, answers from the start when its file changed since.
	Validator string
}

// A Body is the answer of a source. The caller closes it.
type Body struct {
	io.ReadCloser
	// Offset is where the first byte of the body lies in the file: the
	// requested offset, or 0 where the source cannot or will not resume.
	Offset int64
	// Size is the length of the whole file in bytes, or -1.
	Size int64
	// Validator identifies this version of the file at this source, in the
	// source's own form; empty where it has none.
	Validator string
}

// A BusyError says that a source wants to be asked again later.
type BusyError struct {
	After time.Duration // how long to wait; 0 where the source did not say
	Err   error
}

// Error tells how long the source wants to be left alone.
func (e *BusyError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("%v (asks to wait %s)", e.Err, e.After)
	}
	return e.Err.Error()
}

// Unwrap returns what the source answered.
func (e *BusyError) Unwrap() error { return e.Err }

// permanent marks an error that asking again does not cure.
type permanent struct{ error }

func (e permanent) Unwrap() error { return e.error }

// Permanent marks err as one that asking the same source for the same file
// again does not cure, such as a refused login or a redirect loop.
func Permanent(err error) error { return permanent{err} }

// IsPermanent reports whether asking again is pointless: the error is marked
// by Permanent, says that the file is not there, or that the caller gave up.
func IsPermanent(err error) bool {
	var p permanent
	return errors.As(err, &p) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, context.Canceled)
}
