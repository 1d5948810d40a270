package rpm

import (
	"errors"
	"fmt"

	"github.com/samebits/samebits/distro/openpgp"
)

// What can be wrong with a package's or a file's signature. Each is wrapped by
// a [*SignatureError].
var (
	ErrNoSignature  = openpgp.ErrNoSignature
	ErrUnknownKey   = openpgp.ErrUnknownKey
	ErrBadSignature = openpgp.ErrBadSignature
	ErrDamaged      = errors.New("it is damaged: its digests are not those of its bytes")
	ErrKeyExpired   = openpgp.ErrKeyExpired
	ErrFuture       = openpgp.ErrFuture
	ErrKeyRevoked   = openpgp.ErrKeyRevoked
	ErrWeakDigest   = openpgp.ErrWeakDigest
	ErrPartial      = errors.New("its signature covers the header but not the payload")
	ErrMalformed    = openpgp.ErrMalformed
)

// A SignatureError says why a package or file is not taken for signed.
type SignatureError = openpgp.SignatureError

// IsSignature reports whether err says that a signature is absent or wrong or
// a package damaged, in contrast to a file that could not be read or is no
// package at all.
func IsSignature(err error) bool { return openpgp.IsSignature(err) }

func damaged(format string, args ...any) error {
	return &SignatureError{Err: ErrDamaged, Detail: fmt.Sprintf(format, args...)}
}

// ErrFormat says that a file is no rpm package, or one that is broken beyond
// what digests could tell.
var ErrFormat = errors.New("not an rpm package that can be read")

func badFormat(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}
