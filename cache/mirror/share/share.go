// Package share is the store that several mirrors have in common: blobs under
// their digests, and small objects that are written on a condition. [Memory]
// is one for tests, [OpenS3] one in a bucket of an S3-compatible store.
//
// The package refuses a store that ignores conditions (see [Probe]), and
// believes nothing of what a store holds: blobs are checked by who asks for
// them, small objects by [Unseal].
package share

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/samebits/samebits/fetch"
	"github.com/samebits/samebits/lockfile"
)

// MaxObject bounds an object other than a blob, in bytes.
const MaxObject = 64 << 20

// ErrConflict says that an object is not, or not any more, what the writer
// takes it for. Nothing was written.
var ErrConflict = errors.New("another mirror has written it meanwhile")

// ErrTooLarge says that an object has more than MaxObject bytes.
var ErrTooLarge = fmt.Errorf("the object is larger than %d bytes", MaxObject)

// ErrDamaged says that an object is not what some mirror wrote.
var ErrDamaged = errors.New("the object is damaged")

// ErrUnconditional says that a store cannot be used.
var ErrUnconditional = errors.New("the store ignores conditions (If-None-Match, If-Match) on PUT, so mirrors would overwrite what others write; use one that heeds them")

// An Object is what a store tells of an object.
type Object struct {
	Key  string
	Tag  string // another one whenever the content is another
	Size int64  // in bytes
	// Modified is when it was written, by the clock of the store.
	Modified time.Time
}

// A Store is a [fetch.Source] of blobs by their digests that also keeps small
// objects. Its methods may be called concurrently. Keys are paths without a
// slash at their ends.
type Store interface {
	fetch.Source
	// PutBlob stores a file under its digest unless one of its size is there.
	PutBlob(ctx context.Context, f fetch.File) (sent bool, err error)
	// Size returns the size of a blob in bytes; the error wraps fs.ErrNotExist
	// where there is none.
	Size(ctx context.Context, d lockfile.Digest) (int64, error)
	// Get returns an object; the error wraps fs.ErrNotExist where there is none.
	Get(ctx context.Context, key string) (data []byte, tag string, err error)
	// Put writes an object that has the tag was, or that does not exist where
	// was is empty. The error wraps ErrConflict where that is not so.
	Put(ctx context.Context, key string, data []byte, was string) (tag string, err error)
	// List returns the objects whose keys begin with prefix, by their keys.
	List(ctx context.Context, prefix string) ([]Object, error)
	// Delete removes an object, or a blob by its key, if it is there.
	Delete(ctx context.Context, key string) error
}

// BlobKey is the key of a blob.
func BlobKey(d lockfile.Digest) string { return "blobs/sha256/" + d.String() }

// Seal writes an object of a kind (one word) such that Unseal can tell whether
// it is whole: a line with the kind and the SHA-256 of what follows.
func Seal(kind string, data []byte) []byte {
	return append(fmt.Appendf(nil, "samebits %s %s\n", kind, lockfile.DigestOf(data)), data...)
}

// Unseal returns what was sealed. The error wraps ErrDamaged.
func Unseal(kind string, sealed []byte) ([]byte, error) {
	head, data, ok := bytes.Cut(sealed, []byte("\n"))
	if want := fmt.Sprintf("samebits %s %s", kind, lockfile.DigestOf(data)); !ok || string(head) != want {
		return nil, fmt.Errorf("%w: it is no %s, or another one than was written", ErrDamaged, kind)
	}
	return data, nil
}

// probeKey is written by each mirror that starts.
const probeKey = "probe"

// Probe finds out whether a store heeds conditions. The error wraps
// ErrUnconditional if it does not; others say that it could not be asked.
func Probe(ctx context.Context, s Store) error {
	fail := func(err error) error { return fmt.Errorf("probe the store %s: %w", s.Name(), err) }
	if _, err := s.Put(ctx, probeKey, []byte(rand.Text()), ""); err != nil && !errors.Is(err, ErrConflict) {
		return fail(err)
	}
	_, tag, err := s.Get(ctx, probeKey)
	if errors.Is(err, fs.ErrNotExist) {
		err = errors.New("what was written is not there")
	}
	if err != nil && !errors.Is(err, ErrTooLarge) {
		return fail(err)
	}
	// A tag that no content has: neither condition holds now.
	for _, was := range []string{"", "\"00000000000000000000000000000000\""} {
		switch _, err := s.Put(ctx, probeKey, []byte(rand.Text()), was); {
		case err == nil:
			return fail(ErrUnconditional)
		case !errors.Is(err, ErrConflict):
			return fail(err)
		}
	}
	if _, err := s.Put(ctx, probeKey, []byte(rand.Text()), tag); err != nil && !errors.Is(err, ErrConflict) {
		return fail(err)
	}
	return nil
}
