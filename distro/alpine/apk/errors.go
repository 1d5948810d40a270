package apk

import (
	"errors"
	"fmt"
)

// What can be wrong with a signature. Each is wrapped by a [*SignatureError].
var (
	ErrNoSignature  = errors.New("it has no signature")
	ErrUnknownKey   = errors.New("it is signed only by keys that are not trusted")
	ErrBadSignature = errors.New("its signature is bad: the bytes are not what was signed")
)

// ErrFormat is wrapped by the errors of files that are no index, package or
// database at all, or broken ones.
var ErrFormat = errors.New("malformed")

// A SignatureError says why a file is not taken for signed.
type SignatureError struct {
	// Reason is [ErrNoSignature], [ErrUnknownKey] or [ErrBadSignature].
	Reason error
	// Signer names the key in question: its file name, or "key " and the
	// hexadecimal identity where the file tells no name (apk 3). It is empty
	// where there is no signature.
	Signer string
}

// Error names the reason and the key.
func (e *SignatureError) Error() string {
	if e.Signer == "" {
		return e.Reason.Error()
	}
	return fmt.Sprintf("%v (%s)", e.Reason, e.Signer)
}

// Unwrap returns the reason.
func (e *SignatureError) Unwrap() error { return e.Reason }

// A MismatchError says in what a package differs from the record that it was
// held against.
type MismatchError struct {
	// What is "size", "name", "version", "architecture", "identity" or "data".
	What string
	// Got is what the package has, Want what was expected; digests are in
	// hexadecimal.
	Got, Want string
}

// Error tells both sides.
func (e *MismatchError) Error() string {
	return fmt.Sprintf("the package's %s is %s, not %s", e.What, e.Got, e.Want)
}

// malformed returns an error that wraps [ErrFormat].
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, args...))
}
