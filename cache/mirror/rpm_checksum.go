package mirror

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/samebits/samebits/distro/fedora/yum"
)

// A rpmChecksum is a kind of checksum that a primary.xml may have besides
// SHA-256. An identity is the kind's number and the checksum's first 31 bytes.
type rpmChecksum struct {
	names []string
	new   func() hash.Hash
	// weak says that two files with one checksum can be made.
	weak bool
}

// rpmChecksums are in an order that must not change: identities are kept.
var rpmChecksums = []rpmChecksum{
	{[]string{"sha512"}, sha512.New, false},
	{[]string{"sha384"}, sha512.New384, false},
	{[]string{"sha224"}, sha256.New224, true},
	{[]string{"sha", "sha1"}, sha1.New, true},
	{[]string{"md5"}, md5.New, true},
}

// checksumIdentity is nil for a checksum that is none of these.
func checksumIdentity(c yum.Checksum) []byte {
	sum, err := hex.DecodeString(c.Hex)
	for i, k := range rpmChecksums {
		for _, name := range k.names {
			if name == c.Type && err == nil && len(sum) == k.new().Size() {
				return append([]byte{byte(i + 1)}, sum[:min(len(sum), 31)]...)
			}
		}
	}
	return nil
}

// checkIdentity reads a file and holds it to the checksum that an identity is
// of, with or without zeros at its end.
func checkIdentity(identity []byte, r io.Reader) (weak bool, err error) {
	if len(identity) == 0 || identity[0] == 0 || int(identity[0]) > len(rpmChecksums) {
		return false, errors.New("it is known by a checksum of no kind that is known")
	}
	k := rpmChecksums[identity[0]-1]
	h := k.new()
	if _, err := io.Copy(h, r); err != nil {
		return k.weak, err
	}
	sum := h.Sum(nil)
	sum = sum[:min(len(sum), 31)]
	if rest, ok := bytes.CutPrefix(identity[1:], sum); !ok || len(bytes.Trim(rest, "\x00")) > 0 {
		return k.weak, errors.New("it is not the file of the checksum in the index")
	}
	return k.weak, nil
}
