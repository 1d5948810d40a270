package trust

import (
	"errors"
	"fmt"
	"time"
)

// The reasons for which a signature is refused, wrapped in an [Error].
var (
	ErrMalformed        = errors.New("it is not a signature that can be read")
	ErrUnknownKey       = errors.New("its key is not in the keyring")
	ErrNotTrusted       = errors.New("its key is not trusted")
	ErrRevoked          = errors.New("its key is revoked")
	ErrKeyExpired       = errors.New("its key had expired when it was made")
	ErrSignatureExpired = errors.New("the signature has expired")
	ErrTooEarly         = errors.New("it was made before its key was")
	ErrNotForSigning    = errors.New("its key is not for signing")
	ErrWeakDigest       = errors.New("its digest is broken")
	ErrBadSignature     = errors.New("it does not match the data")
)

// An Error says why a signature is refused.
type Error struct {
	Err error // one of those above
	// Key is the fingerprint or the long ID of the key, as far as the
	// signature tells, in upper-case hex digits; Name its user ID, if known.
	Key, Name string
	// SignedAt is when the signature says that it was made.
	SignedAt time.Time
	// Certified of Needed masters vouch for a key that is not trusted.
	Certified, Needed int
	// Detail is what more there is to say, or nil.
	Detail error
}

// Error tells the reason and the key.
func (e *Error) Error() string {
	s := e.Err.Error()
	if errors.Is(e.Err, ErrNotTrusted) {
		s += fmt.Sprintf(" (%d of the %d masters needed certified it)", e.Certified, e.Needed)
	}
	if e.Key != "" {
		s += ": " + e.Key
	}
	if e.Name != "" {
		s += " " + e.Name
	}
	if e.Detail != nil {
		s += ": " + e.Detail.Error()
	}
	return s
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

func malformed(format string, args ...any) *Error {
	return &Error{Err: ErrMalformed, Detail: fmt.Errorf(format, args...)}
}
