package openpgp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	pgp "github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// A Keyring holds the keys that may sign. It is not changed once it is made
// and may be used concurrently. The nil Keyring trusts nobody.
type Keyring struct {
	keys []key
}

// A key is a primary key or a subkey with what vouches for it.
type key struct {
	public  *packet.PublicKey
	binding *packet.Signature // of a subkey; nil for a primary key
	subkey  *pgp.Subkey       // nil for a primary key
	entity  *pgp.Entity
}

// Limits on one file of keys.
const (
	maxKeyFile = 16 << 20 // bytes
	maxBlocks  = 256      // armored
)

// ReadKeys reads a file of public keys, which is binary or one or more armored
// blocks with any text around them. Keys of kinds that are not known, and
// those that are damaged, are passed over; a file of which nothing is left is
// an error.
func ReadKeys(data []byte) (*Keyring, error) {
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("a file of keys is longer than %d bytes", maxKeyFile)
	}
	bodies := [][]byte{data}
	if isArmored(data) {
		var err error
		if bodies, err = dearmor(data, pgp.PublicKeyType); err != nil {
			return nil, err
		}
	}
	k := &Keyring{}
	var last error
	for _, b := range bodies {
		if err := k.add(b); err != nil {
			last = err
		}
	}
	if len(k.keys) == 0 {
		return nil, last
	}
	return k, nil
}

func (k *Keyring) add(data []byte) error {
	entities, err := pgp.ReadKeyRing(bytes.NewReader(data))
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

const armorBegin = "-----BEGIN PGP"

func isArmored(data []byte) bool { return bytes.Contains(data, []byte(armorBegin)) }

// dearmor returns what is in the armored blocks of data, which must all be of
// the given type. Text around them is passed over.
func dearmor(data []byte, kind string) ([][]byte, error) {
	begin := []byte(armorBegin)
	var out [][]byte
	for i := bytes.Index(data, begin); i >= 0; i = bytes.Index(data, begin) {
		if len(out) == maxBlocks {
			return nil, fmt.Errorf("more than %d armored blocks", maxBlocks)
		}
		data = data[i:]
		one := data
		if end := bytes.Index(data[len(begin):], begin); end >= 0 {
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

// Join returns the keys of all the given keyrings, of which any may be nil.
func Join(keyrings ...*Keyring) *Keyring {
	out := &Keyring{}
	for _, k := range keyrings {
		if k != nil {
			out.keys = append(out.keys, k.keys...)
		}
	}
	return out
}

// Only returns those of the keys that a fingerprint names: by being that key,
// or by being a subkey of it. Fingerprints are in hexadecimal digits of either
// case; one that ends in "!" names that very key without its subkeys.
func (k *Keyring) Only(fingerprints ...string) *Keyring {
	out := &Keyring{}
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

// Fingerprints returns those of the primary keys, in upper-case hexadecimal
// digits, in the order in which they were read.
func (k *Keyring) Fingerprints() []string {
	if k == nil {
		return nil
	}
	var out []string
	for _, c := range k.keys {
		if c.subkey == nil {
			out = append(out, hexadecimal(c.public))
		}
	}
	return out
}

func hexadecimal(k *packet.PublicKey) string { return fmt.Sprintf("%X", k.Fingerprint) }

// userID is the primary identity of the key's owner.
func (c key) userID() string {
	if id := c.entity.PrimaryIdentity(); id != nil {
		return id.Name
	}
	return ""
}

// maySign reports whether the key is meant for signing data. Keys that do not
// say what they are for may.
func (c key) maySign() bool {
	self := c.binding
	if self == nil {
		self, _ = c.entity.PrimarySelfSignature()
	}
	return self != nil && c.public.CanSign() && (!self.FlagsValid || self.FlagSign)
}
