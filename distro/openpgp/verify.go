package openpgp

import (
	"bytes"
	"hash"
	"io"
	"slices"
	"time"

	pgp "github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// maxSkew is how far this machine's clock may be behind that of a signer.
const maxSkew = 10 * time.Minute

// A Signer is who made a good signature.
type Signer struct {
	// Fingerprint is that of the key or subkey that signed, Primary that of
	// the key it belongs to, in upper-case hexadecimal digits.
	Fingerprint, Primary string
	// UserID is the primary identity of the key, such as
	// "Fedora (35) <fedora-35-primary@fedoraproject.org>".
	UserID string
	// Time is when the signature says that it was made.
	Time time.Time
}

// Verify judges signatures over data as the package's policy says.
//
// A key must not have expired at the time at. The zero at stands for the time
// at which each signature says that it was made: what was signed properly
// stays signed when the key expires later. An error is a [*SignatureError].
func Verify(data []byte, signatures []*packet.Signature, keys *Keyring, at time.Time) (*Signer, error) {
	var t Tally
	for _, s := range signatures {
		v := keys.Begin(s)
		v.Write(data)
		t.Add(v, at)
	}
	return t.Verdict()
}

// A Verification is a signature under scrutiny: what is signed is written to
// it.
type Verification struct {
	signature *packet.Signature
	trials    []trial
	err       error // the verdict where there are no trials
}

// A trial is a key that the signature names, in as many copies as the keyring
// has of it. Key IDs may collide: then there are several.
type trial struct {
	copies []key
	hash   hash.Hash
	into   io.Writer
}

// Begin looks up who may have made a signature.
func (k *Keyring) Begin(s *packet.Signature) *Verification {
	v := &Verification{signature: s, err: ErrUnknownKey}
	if s.SigType != packet.SigTypeBinary && s.SigType != packet.SigTypeText {
		v.err = ErrMalformed
		return v
	}
	if k == nil {
		return v
	}
	for _, c := range k.keys {
		if !c.isIssuer(s) || !c.maySign() {
			continue
		}
		if !StrongDigest(s.Hash) {
			v.err = ErrWeakDigest
			return v
		}
		i := slices.IndexFunc(v.trials, func(t trial) bool { return bytes.Equal(t.copies[0].public.Fingerprint, c.public.Fingerprint) })
		if i >= 0 {
			v.trials[i].copies = append(v.trials[i].copies, c)
			continue
		}
		h, err := s.PrepareVerify()
		if err != nil {
			v.err = ErrMalformed
			return v
		}
		t := trial{copies: []key{c}, hash: h, into: h}
		if s.SigType == packet.SigTypeText {
			t.into = pgp.NewCanonicalTextHash(h)
		}
		v.trials = append(v.trials, t)
	}
	return v
}

// isIssuer reports whether a signature names the key in all that it says of
// its maker.
func (c key) isIssuer(s *packet.Signature) bool {
	return s.CheckKeyIdOrFingerprint(c.public) && (s.IssuerKeyId == nil || *s.IssuerKeyId == c.public.KeyId)
}

// Write implements [io.Writer] and never fails.
func (v *Verification) Write(b []byte) (int, error) {
	for _, t := range v.trials {
		t.into.Write(b)
	}
	return len(b), nil
}

// finish says who signed what was written. It can be called once.
func (v *Verification) finish(at time.Time) (*Signer, error) {
	err := v.err
	for _, t := range v.trials {
		// VerifySignature writes the rest of what is signed, too.
		wrong := t.copies[0].public.VerifySignature(t.hash, v.signature)
		if wrong != nil || !bytes.HasPrefix(t.hash.Sum(nil), v.signature.HashTag[:]) {
			err = ErrBadSignature
			continue
		}
		return t.judge(v.signature, at)
	}
	return nil, err
}

// judge asks whether the key behind a good signature may be relied on. A newer
// copy may tell of a later expiry, and of a revocation, which counts whatever
// the other copies say.
func (t *trial) judge(s *packet.Signature, at time.Time) (*Signer, error) {
	var signer *Signer
	var failed error
	for _, c := range t.copies {
		switch err := c.usable(s, at); {
		case err == ErrKeyRevoked:
			return nil, err
		case err != nil:
			failed = err
		case signer == nil:
			signer = &Signer{
				Fingerprint: hexadecimal(c.public), Primary: hexadecimal(c.entity.PrimaryKey),
				UserID: c.userID(), Time: s.CreationTime.UTC(),
			}
		}
	}
	if signer != nil {
		return signer, nil
	}
	return nil, failed
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

// A Tally counts what the signatures of one file are worth.
type Tally struct {
	good *Signer
	bad  map[error][]string // reason to keys
}

// Add ends a verification, to which all that is signed has been written, and
// counts it. The time at is as [Verify] has it.
func (t *Tally) Add(v *Verification, at time.Time) {
	signer, err := v.finish(at)
	if err == nil {
		if t.good == nil {
			t.good = signer
		}
		return
	}
	if t.bad == nil {
		t.bad = map[error][]string{}
	}
	if name := issuer(v.signature); !slices.Contains(t.bad[err], name) {
		t.bad[err] = append(t.bad[err], name)
	}
}

// Verdict returns the first signer where a signature is good and none by a
// trusted key is bad. Else the error, a [*SignatureError], names what is
// nearest to being of use to a person.
func (t *Tally) Verdict() (*Signer, error) {
	if t.good != nil && len(t.bad[ErrBadSignature]) == 0 {
		return t.good, nil
	}
	for _, err := range []error{ErrBadSignature, ErrKeyRevoked, ErrKeyExpired, ErrFuture, ErrWeakDigest, ErrUnknownKey, ErrMalformed} {
		if keys := t.bad[err]; len(keys) > 0 {
			return nil, &SignatureError{Err: err, Keys: keys}
		}
	}
	return nil, &SignatureError{Err: ErrNoSignature}
}
