package lockfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// A Digest is the SHA-256 of a file's bytes. The zero Digest stands for "not
// known"; no file has it in practice. Digests are comparable and may be used
// as map keys.
type Digest [sha256.Size]byte

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads 64 hexadecimal digits. Upper case is accepted, since some
// tools print it; nothing else is.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != hex.EncodedLen(len(d)) {
		return Digest{}, fmt.Errorf("a SHA-256 has 64 hexadecimal digits, this has %d characters", len(s))
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("%q is not a SHA-256 in hexadecimal", s)
	}
	return d, nil
}

// String returns the 64 lower-case hexadecimal digits of d.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether d is the zero Digest, "not known".
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements [encoding.TextMarshaler] with the form of String.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler], as ParseDigest.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// A DigestError says that a file does not have the digest that it should.
type DigestError struct {
	Want, Got Digest
	Size      int64 // the number of bytes that Got was computed over
}

// Error names both digests.
func (e *DigestError) Error() string {
	return fmt.Sprintf("the SHA-256 of the %d bytes is %s, not %s", e.Size, e.Got, e.Want)
}
