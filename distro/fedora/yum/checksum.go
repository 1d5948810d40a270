package yum

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/samebits/samebits/lockfile"
)

// A Checksum is a file's checksum as metadata tell it.
type Checksum struct {
	// Type is sha256, sha384, sha512, or one of the weak ones that are not
	// relied on (md5, sha or sha1, sha224).
	Type string
	// Hex are its digits in lower case.
	Hex string
}

// IsZero reports whether there is no checksum.
func (c Checksum) IsZero() bool { return c == Checksum{} }

// String returns type:digits.
func (c Checksum) String() string { return c.Type + ":" + c.Hex }

// Digest returns the checksum if it is a SHA-256.
func (c Checksum) Digest() (lockfile.Digest, bool) {
	if c.Type != "sha256" {
		return lockfile.Digest{}, false
	}
	d, err := lockfile.ParseDigest(c.Hex)
	return d, err == nil
}

var strongSums = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// New returns a hash to compute the checksum with. A type that is weak or not
// known is an error, and so is a checksum of the wrong length.
func (c Checksum) New() (hash.Hash, error) {
	newHash, ok := strongSums[c.Type]
	if !ok {
		return nil, fmt.Errorf("a checksum of the type %q is not relied on; sha256, sha384 and sha512 are", clip(c.Type))
	}
	h := newHash()
	if sum, err := hex.DecodeString(c.Hex); err != nil || len(sum) != h.Size() {
		return nil, fmt.Errorf("%q is not a %s in hexadecimal", clip(c.Hex), c.Type)
	}
	return h, nil
}

// Matches reports whether the checksum is a strong one and data's.
func (c Checksum) Matches(data []byte) bool {
	h, err := c.New()
	if err != nil {
		return false
	}
	h.Write(data)
	return hex.EncodeToString(h.Sum(nil)) == c.Hex
}

// A ChecksumError says that a file is not the one that metadata tell of.
type ChecksumError struct {
	Want, Got Checksum
	Size      int64 // in bytes, of what Got was computed over
}

// Error names both checksums.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("the checksum of the %d bytes is %s, not %s", e.Size, e.Got, e.Want)
}

func newChecksum(kind, digits string) Checksum {
	kind = strings.ToLower(strings.TrimSpace(kind))
	return Checksum{strings.ReplaceAll(kind, "-", ""), strings.ToLower(strings.TrimSpace(digits))}
}
