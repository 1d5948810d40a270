package rpm

import (
	"bytes"
	"crypto"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Limits on signatures.
const (
	maxSignatures    = 64        // of one file
	maxSignatureFile = 1 << 20   // bytes
	maxSignedFile    = 256 << 20 // bytes
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

// VerifyDetached checks a file such as repomd.xml by its signature, which may
// be binary or armored (repomd.xml.asc). It wants a good signature by one of
// the keys and no bad one by any of them; signatures by keys that are not
// among them do not count.
//
// A key must not have expired at the time at. The zero at stands for the time
// at which each signature says that it was made: what was signed properly
// stays signed when the key expires later. A revoked key is refused whatever
// the time. An error about the signature is a [*SignatureError].
func VerifyDetached(data, signature io.Reader, keys *Keyring, at time.Time) (*Signer, error) {
	blob, err := readAll(signature, maxSignatureFile)
	if err != nil {
		return nil, err
	}
	sigs, err := readSignatures(blob)
	if err != nil {
		return nil, err
	}
	text, err := readAll(data, maxSignedFile)
	if err != nil {
		return nil, err
	}
	var t tally
	for _, s := range sigs {
		v := keys.begin(s)
		v.Write(text)
		t.add(v, at)
	}
	return t.verdict()
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("it is longer than %d bytes", limit)
	}
	return data, err
}

// readSignatures returns the signatures in data, binary or armored.
func readSignatures(data []byte) ([]*packet.Signature, error) {
	bodies := [][]byte{data}
	if bytes.Contains(data, []byte(armorBegin)) {
		var err error
		if bodies, err = dearmor(data, openpgp.SignatureType); err != nil {
			return nil, malformed("%v", err)
		}
	}
	var out []*packet.Signature
	for _, b := range bodies {
		packets := packet.NewOpaqueReader(bytes.NewReader(b))
		for {
			p, err := packets.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, malformed("%v", err)
			}
			s, err := newSignature(p)
			if err != nil {
				return nil, err
			}
			if len(out) == maxSignatures {
				return nil, malformed("more than %d signatures", maxSignatures)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

const tagSignaturePacket = 2

func newSignature(p *packet.OpaquePacket) (*packet.Signature, error) {
	if p.Tag != tagSignaturePacket {
		return nil, malformed("a packet of type %d among the signatures", p.Tag)
	}
	if len(p.Contents) > 0 && p.Contents[0] == 3 {
		return newSignature3(p.Contents)
	}
	parsed, err := p.Parse()
	if err != nil {
		return nil, malformed("%v", err)
	}
	s, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, malformed("a packet that cannot be read")
	}
	return s, nil
}

// newSignature3 reads a signature of version 3 (RFC 4880, section 5.2.2), with
// which the packages of RHEL and CentOS up to 8 are signed. It is rewritten
// as one of version 4, for the library to read; what was signed along with the
// bytes stays that of version 3.
func newSignature3(b []byte) (*packet.Signature, error) {
	if len(b) < 19 || b[1] != 5 {
		return nil, malformed("a signature of version 3 that is too short")
	}
	kind, created, keyID, algorithms, rest := b[2:3], b[3:7], b[7:15], b[15:17], b[17:]
	four := slices.Concat([]byte{4}, kind, algorithms,
		[]byte{0, 6, 5, 2}, created, // hashed: when it was made
		[]byte{0, 10, 9, 16}, keyID, // not hashed: by which key
		rest)
	p := &packet.OpaquePacket{Tag: tagSignaturePacket, Contents: four}
	parsed, err := p.Parse()
	if err != nil {
		return nil, malformed("%v", err)
	}
	s, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, malformed("a packet that cannot be read")
	}
	s.HashSuffix = slices.Concat(kind, created)
	return s, nil
}

// A verification is a signature under scrutiny: what is signed is written to
// it.
type verification struct {
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

// begin looks up who may have made a signature.
func (k *Keyring) begin(s *packet.Signature) *verification {
	v := &verification{signature: s, err: ErrUnknownKey}
	if s.SigType != packet.SigTypeBinary && s.SigType != packet.SigTypeText {
		v.err = ErrMalformed
		return v
	}
	if k == nil {
		return v
	}
	for _, c := range k.keys {
		if !s.CheckKeyIdOrFingerprint(c.public) || s.IssuerKeyId != nil && *s.IssuerKeyId != c.public.KeyId || !c.maySign() {
			continue
		}
		if !strong(s.Hash) {
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
			t.into = openpgp.NewCanonicalTextHash(h)
		}
		v.trials = append(v.trials, t)
	}
	return v
}

// Write implements [io.Writer] and never fails.
func (v *verification) Write(b []byte) (int, error) {
	for _, t := range v.trials {
		t.into.Write(b)
	}
	return len(b), nil
}

// finish says who signed what was written. It can be called once.
func (v *verification) finish(at time.Time) (*Signer, error) {
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
	good *Signer
	bad  map[error][]string // reason to keys
}

func (t *tally) add(v *verification, at time.Time) {
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

// verdict is the signer where a signature is good and none by a trusted key is
// bad. Else it names what is nearest to being of use to a person.
func (t *tally) verdict() (*Signer, error) {
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

func issuer(s *packet.Signature) string {
	switch {
	case len(s.IssuerFingerprint) > 0:
		return strings.ToUpper(fmt.Sprintf("%x", s.IssuerFingerprint))
	case s.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *s.IssuerKeyId)
	}
	return "a key that it does not name"
}
