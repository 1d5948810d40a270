package trust

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/samebits/samebits/distro/openpgp"
)

// A Signer is who made a signature that is trusted.
type Signer struct {
	// Fingerprint is that of the primary key, in upper-case hex digits; KeyID
	// is the long ID of the key or subkey that signed.
	Fingerprint, KeyID string
	// Name is the user ID for which the masters vouch.
	Name string
	// SignedAt is when the signature says that it was made.
	SignedAt time.Time
}

// Inspect judges a detached binary signature without the data: whether the key
// that it names is trusted, and in order at the time that it names. It does
// not prove that this key made the signature, nor over what: anyone can write
// a signature that passes. It is of use only where the signature comes from a
// place that is trusted for it, or to refuse what cannot become good;
// everything else calls for [Keyring.Verify]. An error is an [*Error].
//
// Where there are several signatures each must pass; the signer is the first.
func (k *Keyring) Inspect(signature []byte) (*Signer, error) {
	judged, err := k.judge(signature)
	if err != nil {
		return nil, err
	}
	return &judged[0].signer, nil
}

// Verify checks that a detached binary signature is one over data by a key
// that is trusted, as [Keyring.Inspect] judges it. It reads data to its end,
// but not where the key is refused. An error is an [*Error], or that of data.
func (k *Keyring) Verify(data io.Reader, signature []byte) (*Signer, error) {
	judged, err := k.judge(signature)
	if err != nil {
		return nil, err
	}
	var hashes []io.Writer
	for i := range judged {
		hashes = append(hashes, judged[i].hash)
	}
	if _, err := io.Copy(io.MultiWriter(hashes...), data); err != nil {
		return nil, err
	}
	for _, j := range judged {
		if err := j.key.VerifySignature(j.hash, j.sig); err != nil {
			return nil, &Error{Err: ErrBadSignature, Key: j.signer.Fingerprint, Name: j.signer.Name, SignedAt: j.signer.SignedAt}
		}
	}
	return &judged[0].signer, nil
}

// judge reads the signatures and judges each.
func (k *Keyring) judge(data []byte) ([]judged, error) {
	sigs, err := readSignatures(data)
	if err != nil {
		return nil, err
	}
	var out []judged
	for _, s := range sigs {
		j, err := k.judgeOne(s)
		if err != nil {
			return nil, err
		}
		out = append(out, *j)
	}
	return out, nil
}

// A judged is a signature that only the data can still speak against.
type judged struct {
	signer Signer
	sig    *packet.Signature
	key    *packet.PublicKey
	hash   hash.Hash
}

func (k *Keyring) judgeOne(s *packet.Signature) (*judged, error) {
	e := &Error{Key: issuerName(s), SignedAt: s.CreationTime}
	if s.SigType != packet.SigTypeBinary {
		e.Err, e.Detail = ErrMalformed, fmt.Errorf("it is of type %#x, not over a file", uint8(s.SigType))
		return nil, e
	}
	if !openpgp.StrongDigest(s.Hash) {
		e.Err = ErrWeakDigest
		return nil, e
	}
	if k == nil || s.IssuerKeyId == nil {
		e.Err = ErrUnknownKey
		return nil, e
	}
	e.Err = ErrUnknownKey
	for _, m := range k.keys[*s.IssuerKeyId] {
		key := m.public()
		if !s.CheckKeyIdOrFingerprint(key) {
			continue
		}
		// IDs are not unique: another key may be the one.
		signer, err := k.judgeKey(m, s)
		if err != nil {
			e = err
			continue
		}
		h, herr := s.PrepareVerify()
		if herr != nil {
			return nil, malformed("%v", herr)
		}
		return &judged{*signer, s, key, h}, nil
	}
	return nil, e
}

func (m member) public() *packet.PublicKey {
	if m.subkey < 0 {
		return m.cert.primary
	}
	return m.cert.subkeys[m.subkey].key
}

// judgeKey judges the key that made s at the time of s.
func (k *Keyring) judgeKey(m member, s *packet.Signature) (*Signer, *Error) {
	t := s.CreationTime
	v, err := k.judgeAt(m, t)
	if err == nil && lapsed(s, time.Now()) {
		err = ErrSignatureExpired
	}
	name := v.user
	if name == "" {
		name = m.cert.name()
	}
	if err != nil {
		e := &Error{Err: err, Key: m.cert.fingerprint, Name: name, SignedAt: t.UTC()}
		if errors.Is(err, ErrNotTrusted) {
			e.Certified, e.Needed = v.marginal+v.full, k.marginals
		}
		return nil, e
	}
	return &Signer{
		Fingerprint: m.cert.fingerprint, KeyID: fmt.Sprintf("%016X", m.public().KeyId),
		Name: name, SignedAt: t.UTC(),
	}, nil
}

// judgeAt says what speaks against what a key signed at a time: one of the
// reasons, or nil.
func (k *Keyring) judgeAt(m member, t time.Time) (vote, error) {
	if err := k.state(m.cert, t); err != nil {
		return vote{}, err
	}
	if err := k.memberState(m, t); err != nil {
		return vote{}, err
	}
	v, ok := k.trusted(m.cert, t, 0)
	if !ok {
		return v, ErrNotTrusted
	}
	return v, nil
}

// memberState says what is wrong with the very key that signed.
func (k *Keyring) memberState(m member, t time.Time) error {
	if m.subkey < 0 {
		if !m.cert.self.maySign || !m.cert.lives() {
			return ErrNotForSigning
		}
		return nil
	}
	s := m.cert.subkeys[m.subkey]
	if k.revoked[fingerprint(s.key)] {
		return ErrRevoked
	}
	m.cert.evaluateSubkey(s)
	if err := s.at(t); err != nil {
		return err
	}
	// A subkey that may sign has proven that it agrees to be one.
	if !s.self.newest.FlagSign {
		return ErrNotForSigning
	}
	return nil
}

// printable replaces what a terminal could take for a command.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// IsSignature reports whether err says that a signature is wrong, in contrast
// to data that could not be read.
func IsSignature(err error) bool {
	var e *Error
	return errors.As(err, &e)
}
