package archive

import "github.com/samebits/samebits/distro/openpgp"

// Keys are the keys that may sign an archive. A Keys is not changed once it is
// made and may be used concurrently. The nil Keys trusts nobody.
type Keys = openpgp.Keyring

// ReadKeys reads a keyring: OpenPGP public keys, binary or in one or more
// armored blocks. Keys of kinds that are not known are passed over; a keyring
// of which nothing is left is an error.
func ReadKeys(data []byte) (*Keys, error) { return openpgp.ReadKeys(data) }

// Join returns the keys of all the given ones.
func Join(keys ...*Keys) *Keys { return openpgp.Join(keys...) }
