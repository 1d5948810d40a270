package apk

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Keys are public RSA keys that are trusted to sign. The zero value and a
// pointer to it hold none, which refuses everything; a nil *Keys means not to
// verify at all.
type Keys struct {
	byName map[string]*rsa.PublicKey
	byID   map[keyID]string // file names of apk 3's key identities
}

// keyID is how apk 3 names a key: the first half of the SHA-512 of its PKCS#1
// form cut to 16 bytes.
type keyID [16]byte

func (id keyID) String() string { return "key " + hex.EncodeToString(id[:]) }

// NewKeys reads public keys, given by file name (as below etc/apk/keys, no
// directory) as PEM in the form "PUBLIC KEY". Files that are no such key are
// left out and named by the error; the keys returned with it are usable.
func NewKeys(files map[string][]byte) (*Keys, error) {
	k := &Keys{byName: map[string]*rsa.PublicKey{}, byID: map[keyID]string{}}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		pub, err := parseKey(files[name])
		if err != nil {
			errs = append(errs, fmt.Errorf("key %s: %w", name, err))
			continue
		}
		k.byName[name] = pub
		if id := identify(pub); k.byID[id] == "" {
			k.byID[id] = name
		}
	}
	return k, errors.Join(errs...)
}

// Names returns the file names of the keys, sorted.
func (k *Keys) Names() []string { return slices.Sorted(maps.Keys(k.byName)) }

// Only returns the keys of which keep returns true.
func (k *Keys) Only(keep func(name string) bool) *Keys {
	out := &Keys{byName: map[string]*rsa.PublicKey{}, byID: map[keyID]string{}}
	for _, name := range k.Names() {
		if !keep(name) {
			continue
		}
		out.byName[name] = k.byName[name]
		if id := identify(k.byName[name]); out.byID[id] == "" {
			out.byID[id] = name
		}
	}
	return out
}

func parseKey(data []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it is not PEM")
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("it holds %q, not a public key", strings.ToLower(block.Type))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	pub, ok := key.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("it is of kind %T; only RSA is known", key)
	}
	return pub, nil
}

// identify returns the identity that apk 3 knows a key by.
func identify(pub *rsa.PublicKey) keyID {
	sum := sha512.Sum512(x509.MarshalPKCS1PublicKey(pub))
	return keyID(sum[:16])
}

// A signature is one that a file of apk 2 carries.
type signature struct {
	hash crypto.Hash
	key  string // the key's file name
	data []byte
}

// check verifies as apk does: of the signatures the first one by a known key
// decides. It returns the name of that key. digest is asked for the digest of
// what is signed.
func (k *Keys) check(signatures []signature, digest func(crypto.Hash) []byte) (string, error) {
	if len(signatures) == 0 {
		return "", &SignatureError{Reason: ErrNoSignature}
	}
	for _, s := range signatures {
		pub := k.byName[s.key]
		if pub == nil {
			continue
		}
		if err := rsa.VerifyPKCS1v15(pub, s.hash, digest(s.hash), s.data); err != nil {
			return "", &SignatureError{Reason: ErrBadSignature, Signer: s.key}
		}
		return s.key, nil
	}
	return "", &SignatureError{Reason: ErrUnknownKey, Signer: signatures[0].key}
}
