package archive

import "github.com/samebits/samebits/distro/openpgp"

// What can be wrong with a signature. Each is wrapped by a [*SignatureError].
var (
	ErrNoSignature  = openpgp.ErrNoSignature
	ErrUnknownKey   = openpgp.ErrUnknownKey
	ErrBadSignature = openpgp.ErrBadSignature
	ErrKeyExpired   = openpgp.ErrKeyExpired
	ErrFuture       = openpgp.ErrFuture
	ErrKeyRevoked   = openpgp.ErrKeyRevoked
	ErrWeakDigest   = openpgp.ErrWeakDigest
	ErrMalformed    = openpgp.ErrMalformed
)

// A SignatureError says why a file is not taken for signed.
type SignatureError = openpgp.SignatureError

// IsSignature reports whether err says that a signature is absent or wrong, in
// contrast to a file that could not be read.
func IsSignature(err error) bool { return openpgp.IsSignature(err) }
