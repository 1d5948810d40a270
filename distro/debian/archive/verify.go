package archive

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxSignatures bounds how many signatures of one file are looked at. Debian
// has three.
const maxSignatures = 64

// maxSkew is how far this machine's clock may be behind that of a signer.
const maxSkew = 10 * time.Minute

// Verify checks an InRelease file and returns the text that is signed: nothing
// else in the file may be used. It wants a good signature by one of the keys
// and no bad one by any of them; signatures by keys that are not among them do
// not count.
//
// A key must not have expired at the time at. The zero at stands for the time
// at which each signature says that it was made: what was signed properly
// stays signed when the key expires later. A revoked key is refused whatever
// the time. An error is a [*SignatureError].
func Verify(inRelease []byte, keys *Keys, at time.Time) ([]byte, error) {
	c, err := splitClearsigned(inRelease)
	if err != nil {
		return nil, err
	}
	if err := VerifyDetached(c.signed, c.signature, keys, at); err != nil {
		return nil, err
	}
	return c.text, nil
}

// VerifyDetached checks a Release file by its Release.gpg, which may be binary
// or armored. Its rules are those of [Verify].
func VerifyDetached(release, signature []byte, keys *Keys, at time.Time) error {
	sigs, err := readSignatures(signature)
	if err != nil {
		return err
	}
	var t tally
	for _, s := range sigs {
		t.add(keys.check(release, s, at), s)
	}
	return t.verdict()
}

// readSignatures returns the signatures in data, binary or armored.
func readSignatures(data []byte) ([]*packet.Signature, error) {
	bodies := [][]byte{data}
	if bytes.Contains(data, []byte("-----BEGIN PGP")) {
		var err error
		if bodies, err = dearmor(data, openpgp.SignatureType); err != nil {
			return nil, malformed("%v", err)
		}
	}
	var out []*packet.Signature
	for _, b := range bodies {
		packets := packet.NewReader(bytes.NewReader(b))
		for {
			p, err := packets.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, malformed("%v", err)
			}
			s, ok := p.(*packet.Signature)
			if !ok {
				return nil, malformed("a packet %T among the signatures", p)
			}
			if len(out) == maxSignatures {
				return nil, malformed("more than %d signatures", maxSignatures)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

// check says what is wrong with one signature over signed, nil for nothing.
func (k *Keys) check(signed []byte, s *packet.Signature, at time.Time) error {
	if s.SigType != packet.SigTypeBinary && s.SigType != packet.SigTypeText {
		return ErrMalformed
	}
	err := error(ErrUnknownKey)
	if k == nil {
		return err
	}
	for _, c := range k.keys {
		if !s.CheckKeyIdOrFingerprint(c.public) || !c.maySign() {
			continue
		}
		if !strong(s.Hash) {
			return ErrWeakDigest
		}
		if err = c.verify(signed, s); err == nil {
			return c.usable(s, at)
		}
	}
	return err
}

// strong lists the digests that a signature may rest on.
func strong(h crypto.Hash) bool {
	return slices.Contains([]crypto.Hash{
		crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512,
	}, h)
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

func (c key) verify(signed []byte, s *packet.Signature) error {
	h, err := s.PrepareVerify()
	if err != nil {
		return ErrMalformed
	}
	w := h
	if s.SigType == packet.SigTypeText {
		w = openpgp.NewCanonicalTextHash(h)
	}
	w.Write(signed)
	if err := c.public.VerifySignature(h, s); err != nil {
		return ErrBadSignature
	}
	return nil
}

// usable judges the key behind a good signature.
func (c key) usable(s *packet.Signature, at time.Time) error {
	self, identity := c.entity.PrimarySelfSignature()
	if len(c.entity.Revocations) > 0 || (c.subkey != nil && len(c.subkey.Revocations) > 0) ||
		(identity != nil && len(identity.Revocations) > 0) {
		return ErrKeyRevoked
	}
	switch early := s.CreationTime.Sub(at); {
	case at.IsZero():
		at = s.CreationTime
	case early > maxSkew:
		return ErrFuture
	case early > 0:
		at = s.CreationTime
	}
	if c.entity.PrimaryKey.KeyExpired(self, at) || s.SigExpired(at) ||
		(c.binding != nil && c.public.KeyExpired(c.binding, at)) {
		return ErrKeyExpired
	}
	return nil
}

// A tally counts what the signatures of one file are worth.
type tally struct {
	good int
	bad  map[error][]string // reason to keys
}

func (t *tally) add(err error, s *packet.Signature) {
	if err == nil {
		t.good++
		return
	}
	if t.bad == nil {
		t.bad = map[error][]string{}
	}
	t.bad[err] = append(t.bad[err], issuer(s))
}

// verdict is nil where a signature is good and none by a trusted key is bad.
// Else it names what is nearest to being of use to a person.
func (t *tally) verdict() error {
	if t.good > 0 && len(t.bad[ErrBadSignature]) == 0 {
		return nil
	}
	for _, err := range []error{ErrBadSignature, ErrKeyRevoked, ErrKeyExpired, ErrFuture, ErrWeakDigest, ErrUnknownKey, ErrMalformed} {
		if keys := t.bad[err]; len(keys) > 0 {
			return &SignatureError{Err: err, Keys: keys}
		}
	}
	return &SignatureError{Err: ErrNoSignature}
}

func issuer(s *packet.Signature) string {
	switch {
	case len(s.IssuerFingerprint) > 0:
		return strings.ToUpper(fmt.Sprintf("%x", s.IssuerFingerprint))
	case s.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *s.IssuerKeyId)
	}
	return "a key that it does not name"
}

// IsSignature reports whether err says that a signature is absent or wrong, in
// contrast to a file that could not be read.
func IsSignature(err error) bool {
	var s *SignatureError
	return errors.As(err, &s)
}
