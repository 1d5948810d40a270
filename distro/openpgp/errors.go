package openpgp

import (
	"errors"
	"fmt"
	"strings"
)

// What can be wrong with the signatures of a file. Each is wrapped by a
// [*SignatureError].
var (
	ErrNoSignature  = errors.New("it has no signature")
	ErrUnknownKey   = errors.New("it is signed only by keys that are not trusted for it")
	ErrBadSignature = errors.New("its signature does not verify: the bytes are not what was signed")
	ErrKeyExpired   = errors.New("the key that signed it had expired")
	ErrFuture       = errors.New("its signature is of a time that has not come; is the clock of this machine right?")
	ErrKeyRevoked   = errors.New("the key that signed it is revoked")
	ErrWeakDigest   = errors.New("its signature rests on a digest that can be forged (MD5 or SHA-1)")
	ErrMalformed    = errors.New("it is not a signed file as OpenPGP describes it")
)

// A SignatureError says why a file is not taken for signed.
type SignatureError struct {
	// Err is one of the errors above, or another of the package that reads the
	// file.
	Err error
	// Keys are the fingerprints, or where a signature has none the key IDs, of
	// the keys in question, in upper-case hexadecimal digits.
	Keys []string
	// Detail says more where there is more to say.
	Detail string
}

// Error names the reason and the keys.
func (e *SignatureError) Error() string {
	s := e.Err.Error()
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if len(e.Keys) > 0 {
		s += fmt.Sprintf(" (%s)", strings.Join(e.Keys, ", "))
	}
	return s
}

// Unwrap returns the reason.
func (e *SignatureError) Unwrap() error { return e.Err }

// IsSignature reports whether err says that a signature is absent or wrong, in
// contrast to a file that could not be read.
func IsSignature(err error) bool {
	var s *SignatureError
	return errors.As(err, &s)
}

// Malformed returns [ErrMalformed] with a detail, as of [fmt.Sprintf].
func Malformed(format string, args ...any) error {
	return &SignatureError{Err: ErrMalformed, Detail: fmt.Sprintf(format, args...)}
}
