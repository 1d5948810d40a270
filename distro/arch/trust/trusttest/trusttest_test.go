package trusttest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/samebits/samebits/distro/arch/trust"
	"github.com/samebits/samebits/distro/arch/trust/trusttest"
)

func TestSignersAreKnownByTheirKeysAlone(t *testing.T) {
	data := []byte("a package")
	known, other := trusttest.NewSigner(t, "known"), trusttest.NewSigner(t, "other")
	k, err := trust.Load(map[string][]byte{"t.gpg": known.Public(t)})
	if err != nil {
		t.Fatal(err)
	}
	k = k.TrustAll()
	if who, err := k.Verify(bytes.NewReader(data), known.Sign(t, data)); err != nil || who.Name != "known <known@example.org>" {
		t.Error(who, err)
	}
	if _, err := k.Verify(bytes.NewReader(data), other.Sign(t, data)); !errors.Is(err, trust.ErrUnknownKey) {
		t.Error(err)
	}
	if _, err := k.Verify(bytes.NewReader(data), known.Sign(t, data[1:])); !errors.Is(err, trust.ErrBadSignature) {
		t.Error(err)
	}
}
