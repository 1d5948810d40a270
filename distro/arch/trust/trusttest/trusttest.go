// Package trusttest makes packagers for tests: people with an OpenPGP key of
// their own, who sign as makepkg and repo-add do. It is not for signing what
// anyone is to trust: keys are made anew each time and kept nowhere.
package trusttest

import (
	"bytes"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// A Signer has a key. It may be used concurrently.
type Signer struct{ entity *openpgp.Entity }

// NewSigner makes a key whose user ID has the name and an address at
// example.org.
func NewSigner(t testing.TB, name string) *Signer {
	t.Helper()
	e, err := openpgp.NewEntity(name, "", name+"@example.org", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return &Signer{e}
}

// Public is the key as a keyring has it: binary, without the secret.
func (s *Signer) Public(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.entity.Serialize(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Sign makes a detached binary signature over data.
func (s *Signer) Sign(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := openpgp.DetachSign(&out, s.entity, bytes.NewReader(data), nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
