package openpgp

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	pgp "github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

// armored is a block of public keys, as the ASCII armor has it.
func armored(data []byte) []byte {
	var b bytes.Buffer
	w, err := armor.Encode(&b, pgp.PublicKeyType, nil)
	if err != nil {
		panic(err)
	}
	w.Write(data)
	w.Close()
	return append(b.Bytes(), '\n')
}

func TestReadKeys(t *testing.T) {
	g := openpgptest.NewGPG(t)
	one, two := g.Key("", "one", "ed25519", "0"), g.Key("", "two", "rsa2048", "0")
	armoredOne, armoredTwo := g.Export("--armor", "one"), g.Export("--armor", "two")
	for name, file := range map[string][]byte{
		"binary": g.Export(), "armored": g.Export("--armor"),
		"with text around it":      slices.Concat([]byte("Some words first\n\n"), g.Export("--armor"), []byte("and last\n")),
		"two blocks":               slices.Concat(armoredOne, armoredTwo),
		"two blocks and a comment": slices.Concat([]byte("one\n"), armoredOne, []byte("two\n"), armoredTwo),
		"a block without keys":     slices.Concat(armoredOne, armored(packetOf(13, 'x')), armoredTwo),
		"a block that is cut off":  slices.Concat(armoredOne, armoredTwo, armoredOne[:200]),
	} {
		k, err := ReadKeys(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := k.Fingerprints(); !slices.Equal(got, []string{one, two}) {
			t.Errorf("%s: %q", name, got)
		}
		for _, by := range []string{one, two} {
			if signer, err := verify(text, g.Detach("", text, by), k, time.Now()); err != nil || signer.Primary != by {
				t.Errorf("%s: signed by %s: %+v, %v", name, by, signer, err)
			}
		}
	}
	for name, file := range map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "a signature": g.Detach("", "x", "one", "--armor"),
		"half a block": armoredOne[:200], "too long": make([]byte, maxKeyFile+1), "only a block without keys": armored(packetOf(13, 'x')),
		"many blocks": bytes.Repeat(armoredOne, maxBlocks+1),
	} {
		if k, err := ReadKeys(file); err == nil || k != nil {
			t.Errorf("%s: %q, %v", name, k.Fingerprints(), err)
		}
	}
}

func TestNobodyIsTrusted(t *testing.T) {
	if k := Join(nil, nil); k.Fingerprints() != nil {
		t.Error(k.Fingerprints())
	}
	if f := (*Keyring)(nil).Fingerprints(); f != nil {
		t.Error(f)
	}
}

func TestOnly(t *testing.T) {
	g := openpgptest.NewGPG(t)
	one, two := g.Key("", "one", "ed25519", "0"), g.Key("", "two", "ed25519", "0")
	g.Run("", "", "--quick-add-key", one, "ed25519", "sign", "0")
	sub := g.Fingerprints("one")[1]
	keys := keysOf(t, g.Export())
	byPrimary, bySub := g.Detach("", text, one+"!"), g.Detach("", text, sub+"!")
	for _, c := range []struct {
		name  string
		named string
		sig   []byte
		want  error
	}{
		{"a subkey, the primary key named", one, bySub, nil},
		{"the same in lower case", strings.ToLower(one), bySub, nil},
		{"a subkey, itself named", sub, bySub, nil},
		{"a subkey, itself named exactly", sub + "!", bySub, nil},
		{"a subkey, only the primary key named exactly", one + "!", bySub, ErrUnknownKey},
		{"the primary key, named exactly", one + "!", byPrimary, nil},
		{"the primary key, a subkey named", sub, byPrimary, ErrUnknownKey},
		{"another key named", two, byPrimary, ErrUnknownKey},
	} {
		if _, err := verify(text, c.sig, keys.Only(c.named), time.Now()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if f := keys.Only().Fingerprints(); f != nil {
		t.Errorf("none named: %q", f)
	}
}

// Keys that are for encrypting alone sign nothing, whatever they could.
func TestKeysThatMayNotSign(t *testing.T) {
	g := openpgptest.NewGPG(t)
	primary := g.Key("", "one", "rsa2048", "0")
	sig := g.Detach("", text, primary+"!")
	g.Answer("", "change-usage\nS\nQ\nsave\n", "--edit-key", primary)
	if _, err := verify(text, sig, keysOf(t, g.Export()), time.Now()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a key that may certify alone: %v", err)
	}
}
