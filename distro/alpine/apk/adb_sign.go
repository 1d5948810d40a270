package apk

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"
)

// Digests as ADB files number them.
const (
	adbSHA256     = 3
	adbSHA512     = 4
	adbSHA256Half = 5 // the first 20 bytes of a SHA-256
)

// adbSignatureHead is the version of a signature, its digest, and the key's
// identity; the RSA signature follows.
const adbSignatureHead = 2 + len(keyID{})

// An adbVerdict gathers what the signatures of a file come to.
type adbVerdict struct {
	signer  string // the file name of a trusted key that signed
	unknown string // a key that signed and is not trusted
	bad     string // a trusted key whose signature does not fit
}

// add takes a signature block of a file with the given schema and database.
func (v *adbVerdict) add(block []byte, schema uint32, database []byte, keys *Keys) {
	if len(block) < adbSignatureHead || block[0] != 0 {
		return // of a version that is not known
	}
	id := keyID(block[2:adbSignatureHead])
	name, known := keys.byID[id]
	if !known {
		v.unknown = id.String()
		return
	}
	h := sha512.New()
	binary.Write(h, binary.LittleEndian, schema) // a hash does not fail
	h.Write(block[:adbSignatureHead])
	digest := adbDigest(block[1], database)
	h.Write(digest)
	if digest == nil || rsa.VerifyPKCS1v15(keys.byName[name], crypto.SHA512, h.Sum(nil), block[adbSignatureHead:]) != nil {
		v.bad = name
		return
	}
	v.signer = name
}

// err returns nil if a trusted key signed, and none that is trusted badly.
func (v *adbVerdict) err() error {
	switch {
	case v.bad != "":
		return &SignatureError{Reason: ErrBadSignature, Signer: v.bad}
	case v.signer != "":
		return nil
	case v.unknown != "":
		return &SignatureError{Reason: ErrUnknownKey, Signer: v.unknown}
	}
	return &SignatureError{Reason: ErrNoSignature}
}

// adbDigest returns a digest of the database, nil for a kind that is not known.
func adbDigest(kind byte, database []byte) []byte {
	digest := digestOf(database)
	switch kind {
	case adbSHA256:
		return digest(crypto.SHA256)
	case adbSHA512:
		return digest(crypto.SHA512)
	case adbSHA256Half:
		return digest(crypto.SHA256)[:20]
	}
	return nil
}

// signatures reads the blocks of signatures up to the first one of data, whose
// contents it returns, or nil at the end of the file.
func (f *adbFile) signatures(database []byte, keys *Keys) (v adbVerdict, size int64, data io.Reader, err error) {
	if keys == nil {
		keys = &Keys{}
	}
	for n := 0; ; n++ {
		kind, size, r, err := f.block()
		if errors.Is(err, io.EOF) {
			return v, 0, nil, nil
		}
		if err != nil {
			return v, 0, nil, err
		}
		if kind == blockData {
			return v, size, r, nil
		}
		if size > maxSignatureBlock || n >= maxSignatures {
			return v, 0, nil, malformed("too many signatures, or one of %d bytes", size)
		}
		block, err := io.ReadAll(r)
		if err != nil {
			return v, 0, nil, unpackError(err)
		}
		v.add(block, f.schema, database, keys)
	}
}

// adbIdentity checks an identity against a database: a SHA-256 of it, whole or
// its first 20 bytes, or a SHA-512. own is what the package says that it is
// known by, which some indexes of early versions give instead; it is in the
// database, so it proves nothing, and the answer is false and no error.
func adbIdentity(database, own, want []byte) (proven bool, err error) {
	var got []byte
	switch len(want) {
	case 20:
		got = adbDigest(adbSHA256Half, database)
	case 64:
		got = adbDigest(adbSHA512, database)
	default:
		got = adbDigest(adbSHA256, database)
	}
	if bytes.Equal(got, want) {
		return true, nil
	}
	if len(want) == 20 && bytes.Equal(own, want) {
		return false, nil
	}
	return false, compareIdentity(got, want)
}

// SameIdentity tells whether two identities are of the same package: equal, or
// the shorter one the begin of the longer one. apk 3 keeps of what an index
// tells the first 20 bytes in the database of installed packages. It is false
// where one of them is shorter than that.
func SameIdentity(a, b []byte) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) >= 20 && bytes.HasPrefix(b, a)
}
