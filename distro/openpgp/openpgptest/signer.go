package openpgptest

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// SignedAt is when a [Signer] says that it signs.
var SignedAt = time.Unix(1_650_000_000, 0).UTC()

// A Signer has an RSA key, of 2020, and makes signatures without gpg.
type Signer struct {
	t      testing.TB
	entity *openpgp.Entity
}

// NewSigner makes a key of "signer <signer@example.org>".
func NewSigner(t testing.TB) *Signer {
	t.Helper()
	e, err := openpgp.NewEntity("signer", "", "signer@example.org", &packet.Config{
		Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, Time: func() time.Time { return time.Unix(1_600_000_000, 0) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{t, e}
}

// Keyring is the public key as a keyring has it, binary.
func (s *Signer) Keyring() []byte {
	s.t.Helper()
	var b bytes.Buffer
	if err := s.entity.Serialize(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

// BareKey is the public key without anything that vouches for it.
func (s *Signer) BareKey() []byte {
	s.t.Helper()
	var b bytes.Buffer
	if err := s.entity.PrimaryKey.Serialize(&b); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}

// Version3 makes a detached signature as PGP 2 and RHEL 8 do.
func (s *Signer) Version3(data []byte) []byte {
	s.t.Helper()
	created := binary.BigEndian.AppendUint32(nil, uint32(SignedAt.Unix()))
	h := sha256.New()
	h.Write(data)
	h.Write([]byte{0})
	h.Write(created)
	sum := h.Sum(nil)
	sig, err := rsa.SignPKCS1v15(nil, s.entity.PrivateKey.PrivateKey.(*rsa.PrivateKey), crypto.SHA256, sum)
	if err != nil {
		s.t.Fatal(err)
	}
	body := slices.Concat([]byte{3, 5, 0}, created, binary.BigEndian.AppendUint64(nil, s.entity.PrimaryKey.KeyId), []byte{1, 8}, sum[:2])
	for len(sig) > 0 && sig[0] == 0 {
		sig = sig[1:]
	}
	bits := 8 * len(sig)
	for mask := byte(0x80); sig[0]&mask == 0; mask >>= 1 {
		bits--
	}
	body = append(binary.BigEndian.AppendUint16(body, uint16(bits)), sig...)
	return append([]byte{0x89, byte(len(body) >> 8), byte(len(body))}, body...)
}

// Version4 makes a detached signature as gpg does.
func (s *Signer) Version4(data []byte) []byte {
	s.t.Helper()
	var b bytes.Buffer
	if err := openpgp.DetachSign(&b, s.entity, bytes.NewReader(data), &packet.Config{Time: func() time.Time { return SignedAt }}); err != nil {
		s.t.Fatal(err)
	}
	return b.Bytes()
}
