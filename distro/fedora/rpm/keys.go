package rpm

import (
	"fmt"

	"github.com/samebits/samebits/distro/openpgp"
)

// A Keyring holds the keys that may sign. It is not changed once it is made
// and may be used concurrently. The nil Keyring trusts nobody.
type Keyring = openpgp.Keyring

// maxKeyFile bounds one file of keys, in bytes.
const maxKeyFile = 4 << 20

// LoadKeys reads files of OpenPGP public keys, such as those below
// etc/pki/rpm-gpg or behind a repository's gpgkey: each is binary or one or
// more armored blocks, with any text around them. Keys of kinds that are not
// known are passed over; a file of which nothing is left is an error.
func LoadKeys(files ...[]byte) (*Keyring, error) {
	out := &Keyring{}
	for _, data := range files {
		if len(data) > maxKeyFile {
			return nil, fmt.Errorf("a file of keys is longer than %d bytes", maxKeyFile)
		}
		k, err := openpgp.ReadKeys(data)
		if err != nil {
			return nil, err
		}
		out = Join(out, k)
	}
	return out, nil
}

// Join returns the keys of all the given keyrings.
func Join(keyrings ...*Keyring) *Keyring { return openpgp.Join(keyrings...) }
