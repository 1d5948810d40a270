package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Keys are the keys that may sign an archive. A Keys is not changed once it is
// made and may be used concurrently. The nil Keys trusts nobody.
type Keys struct {
	keys []key
}

// A key is a primary key or a subkey with what vouches for it.
type key struct {
	public  *packet.PublicKey
	binding *packet.Signature // of a subkey; nil for a primary key
	subkey  *openpgp.Subkey   // nil for a primary key
	entity  *openpgp.Entity
}

// maxBlocks bounds how many armored blocks a keyring may have.
const maxBlocks = 256

// ReadKeys reads a keyring: OpenPGP public keys, binary or in one or more
// armored blocks. Keys of kinds that are not known are passed over; a keyring
// of which nothing is left is an error.
func ReadKeys(data []byte) (*Keys, error) {
	k := &Keys{}
	if !bytes.Contains(data, []byte("-----BEGIN PGP")) {
		return k, k.add(data)
	}
	bodies, err := dearmor(data, openpgp.PublicKeyType)
	if err != nil {
		return nil, err
	}
	for _, b := range bodies {
		if err := k.add(b); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// dearmor returns what is in the armored blocks of data, which must all be of
// the given type.
func dearmor(data []byte, kind string) ([][]byte, error) {
	begin := []byte("-----BEGIN PGP")
	var out [][]byte
	for i := bytes.Index(data, begin); i >= 0; i = bytes.Index(data, begin) {
		if len(out) == maxBlocks {
			return nil, fmt.Errorf("more than %d armored blocks", maxBlocks)
		}
		data = data[i:]
		end := bytes.Index(data[len(begin):], begin)
		one := data
		if end >= 0 {
			one = data[:len(begin)+end]
		}
		data = data[len(one):]
		block, err := armor.Decode(bytes.NewReader(one))
		if err != nil {
			return nil, fmt.Errorf("the armor is damaged: %w", err)
		}
		if block.Type != kind {
			return nil, fmt.Errorf("a block is a %q, not a %q", block.Type, kind)
		}
		body, err := io.ReadAll(block.Body)
		if err != nil {
			return nil, fmt.Errorf("the armor is damaged: %w", err)
		}
		out = append(out, body)
	}
	return out, nil
}

func (k *Keys) add(data []byte) error {
	entities, err := openpgp.ReadKeyRing(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("no key can be read: %w", err)
	}
	if len(entities) == 0 {
		return errors.New("no key is in it")
	}
	for _, e := range entities {
		k.keys = append(k.keys, key{public: e.PrimaryKey, entity: e})
		for i := range e.Subkeys {
			s := &e.Subkeys[i]
			k.keys = append(k.keys, key{public: s.PublicKey, binding: s.Sig, subkey: s, entity: e})
		}
	}
	return nil
}

// Join returns the keys of all the given ones.
func Join(keys ...*Keys) *Keys {
	out := &Keys{}
	for _, k := range keys {
		if k != nil {
			out.keys = append(out.keys, k.keys...)
		}
	}
	return out
}

// Only returns those of the keys that a fingerprint names: by being that key,
// or by being a subkey of it. Fingerprints are in hexadecimal digits of either
// case; one that ends in "!" names that very key without its subkeys.
func (k *Keys) Only(fingerprints ...string) *Keys {
	out := &Keys{}
	for _, c := range k.keys {
		if slices.ContainsFunc(fingerprints, c.isNamed) {
			out.keys = append(out.keys, c)
		}
	}
	return out
}

func (c key) isNamed(fingerprint string) bool {
	f, exact := strings.CutSuffix(fingerprint, "!")
	f = strings.ToUpper(f)
	return f == hexadecimal(c.public) || (!exact && f == hexadecimal(c.entity.PrimaryKey))
}

func hexadecimal(k *packet.PublicKey) string { return fmt.Sprintf("%X", k.Fingerprint) }
