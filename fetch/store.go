package fetch

import (
	"context"
	"io"

	"github.com/samebits/samebits/lockfile"
)

// A Store keeps what was fetched. Its methods may be called concurrently, and
// other processes may use the same store.
type Store interface {
	// Begin takes the sole right to fill in the file with this digest, and
	// waits while another holder has it. It returns nil and no error when the
	// file is, or has meanwhile come to be, in the store.
	Begin(ctx context.Context, d lockfile.Digest) (Partial, error)
}

// A Partial is a file on its way into a store. Bytes that were written stay
// there when it is closed, for a later Begin to go on from.
type Partial interface {
	// Writer appends bytes.
	io.Writer
	// Offset is the number of bytes that are there.
	Offset() int64
	// Reset drops the bytes that are there.
	Reset() error
	// Commit checks the digest of all bytes. If it is right the file is in
	// the store from then on; if not, the bytes are dropped and the error is
	// a [*lockfile.DigestError]. Either way the right to fill it in goes on until
	// Close.
	Commit() error
	// Close gives up the right to fill in the file.
	Close() error
}
