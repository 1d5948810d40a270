package openpgp

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

const text = "Codename: one\nSuite: stable\n"

func verify(data string, signatures []byte, keys *Keyring, at time.Time) (*Signer, error) {
	list, err := ReadSignatures(signatures, Form{})
	if err != nil {
		return nil, err
	}
	return Verify([]byte(data), list, keys, at)
}

func keysOf(t testing.TB, file []byte) *Keyring {
	t.Helper()
	k, err := ReadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestVerify(t *testing.T) {
	g := openpgptest.NewGPG(t)
	g.Key("20200101T000000", "packager", "ed25519", "0")
	g.Key("20200101T000000", "other", "rsa2048", "0")
	g.Key("20200101T000000", "late", "rsa2048", "1y")
	g.Key("20200101T000000", "stranger", "ed25519", "0")
	gone := g.Key("20200101T000000", "gone", "ed25519", "0")
	goneSigned := g.Detach("20200601T000000", text, "gone")
	g.Revoke(gone)
	keys := keysOf(t, g.Export("packager", "other", "late", "gone"))
	now := time.Now()
	armored, binary := g.Detach("", text, "packager", "--armor"), g.Detach("", text, "packager")
	while := g.Detach("20200601T000000", text, "late")
	foreign := g.Detach("", text, "stranger", "--armor")
	for _, c := range []struct {
		name, text string
		sig        []byte
		keys       *Keyring
		at         time.Time
		want       error
	}{
		{"armored", text, armored, keys, now, nil},
		{"binary", text, binary, keys, now, nil},
		{"of text", text, g.Detach("", text, "packager", "--textmode"), keys, now, nil},
		{"two blocks, one by a stranger", text, slices.Concat(foreign, armored), keys, now, nil},
		{"two in one file, one by a stranger", text, slices.Concat(g.Detach("", text, "stranger"), binary), keys, now, nil},
		{"a good one and one of another text", text, slices.Concat(binary, g.Detach("", "x", "other")), keys, now, ErrBadSignature},
		{"a good one and one of another text by a stranger", text, slices.Concat(binary, g.Detach("", "x", "stranger")), keys, now, nil},
		{"a good one and one by a key that has expired", text, slices.Concat(binary, while), keys, now, nil},
		{"another text", text + " ", armored, keys, now, ErrBadSignature},
		{"a stranger", text, foreign, keys, now, ErrUnknownKey},
		{"no keys", text, armored, nil, now, ErrUnknownKey},
		{"nothing", text, nil, keys, now, ErrNoSignature},
		{"a message", text, g.Run("", text, "--armor", "-u", "packager", "--sign"), keys, now, ErrMalformed},
		{"a key in place of a signature", text, g.Export("packager"), keys, now, ErrMalformed},
		{"a certification in place of a signature", text, certification(t, g), keys, now, ErrMalformed},
		{"garbage", text, []byte("garbage"), keys, now, ErrMalformed},
		{"SHA-1", text, g.Detach("", text, "packager", "--digest-algo", "SHA1"), keys, now, ErrWeakDigest},
		{"a key that has expired, of something fetched now", text, while, keys, now, ErrKeyExpired},
		{"a key that has expired, of something old", text, while, keys, time.Time{}, nil},
		{"a key that is revoked, of something old", text, goneSigned, keys, time.Time{}, ErrKeyRevoked},
		{"a time that has not come", text, armored, keys, now.Add(-time.Hour), ErrFuture},
		{"a clock that is a little late", text, armored, keys, now.Add(-time.Minute), nil},
		{"a signature that expires", text, g.Detach("20200601T000000", text, "packager", "--default-sig-expire", "1d"), keys, now, ErrKeyExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			signer, err := verify(c.text, c.sig, c.keys, c.at)
			if !errors.Is(err, c.want) || (c.want != nil) != IsSignature(err) || (err == nil) != (signer != nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// certification returns what the first user ID of a key has been given.
func certification(t *testing.T, g *openpgptest.GPG) []byte {
	t.Helper()
	data := g.Export("packager")
	i := bytes.Index(data, []byte("packager@example.org>"))
	if i < 0 {
		t.Fatal("no user ID")
	}
	return data[i+len("packager@example.org>"):]
}

func TestSigner(t *testing.T) {
	g := openpgptest.NewGPG(t)
	primary := g.Key("20200101T000000", "packager", "rsa2048", "0")
	g.Run("20200101T000000", "", "--quick-add-key", primary, "ed25519", "sign", "0")
	sub := g.Fingerprints("packager")[1]
	signer, err := verify(text, g.Detach("20240102T030405!", text, sub+"!"), keysOf(t, g.Export()), time.Now())
	want := Signer{sub, primary, "packager <packager@example.org>", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)}
	if err != nil || *signer != want {
		t.Errorf("%+v, %v; want %+v", signer, err, want)
	}
}

// A key may stand in several keyrings, of different age.
func TestAllCopiesOfAKeyCount(t *testing.T) {
	g := openpgptest.NewGPG(t)
	late := g.Key("20200101T000000", "late", "ed25519", "1y")
	old := keysOf(t, g.Export("late"))
	sig := g.Detach("20200601T000000", text, "late")
	g.Run("20200602T000000", "", "--quick-set-expire", late, "0")
	renewed := keysOf(t, g.Export("late"))
	g.Revoke(late)
	revoked := keysOf(t, g.Export("late"))
	for _, c := range []struct {
		name string
		keys []*Keyring
		want error
	}{
		{"old", []*Keyring{old}, ErrKeyExpired},
		{"renewed", []*Keyring{old, renewed}, nil},
		{"renewed, in another order", []*Keyring{renewed, old}, nil},
		{"revoked", []*Keyring{renewed, nil, revoked}, ErrKeyRevoked},
	} {
		for _, at := range []time.Time{time.Now(), {}} {
			want := c.want
			if want == ErrKeyExpired && at.IsZero() {
				want = nil
			}
			if _, err := verify(text, sig, Join(c.keys...), at); !errors.Is(err, want) {
				t.Errorf("%s, at %v: %v, want %v", c.name, at, err, want)
			}
		}
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	g := openpgptest.NewGPG(t)
	a, b := g.Key("", "key-a", "ed25519", "0"), g.Key("", "key-b", "ed25519", "0")
	sig := g.Detach("", text, a)
	_, err := verify(text, slices.Concat(sig, sig), keysOf(t, g.Export(b)), time.Now())
	if err == nil || strings.Count(err.Error(), a) != 1 || strings.Contains(err.Error(), b) {
		t.Errorf("%v does not name %s once, which signed twice", err, a)
	}
}

// gpg says in bytes that nobody signs what the key ID is, and how the digest
// begins: these have to fit, too.
func TestNoFlippedByteGoesUnnoticed(t *testing.T) {
	g := openpgptest.NewGPG(t)
	g.Key("", "packager", "rsa2048", "0")
	sig, keys := g.Detach("", text, "packager"), keysOf(t, g.Export())
	if _, err := verify(text, sig, keys, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var missed []int
	for at := range sig {
		bad := bytes.Clone(sig)
		bad[at] ^= 1
		if _, err := verify(text, bad, keys, time.Time{}); err == nil {
			missed = append(missed, at)
		}
	}
	if len(missed) > 2 { // that a key ID follows, and how many bits the number has
		t.Errorf("flipped bytes of a signature are not noticed: %d of %d", missed, len(sig))
	}
}

func FuzzVerify(f *testing.F) {
	s := openpgptest.NewSigner(f)
	f.Add(s.Version3([]byte("x")), []byte("x"))
	f.Add(s.Version4([]byte("x")), s.BareKey())
	f.Add([]byte{0xc2, 0x01, 0x04}, s.Keyring())
	keys := keysOf(f, s.Keyring())
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, form := range []Form{{}, {Version3: true}, {PassOver: true}, {Version3: true, PassOver: true}} {
			signatures, err := ReadSignatures(a, form)
			if err != nil && !IsSignature(err) || len(signatures) > MaxSignatures {
				t.Fatalf("%d signatures, %v", len(signatures), err)
			}
			signer, err := Verify(b, signatures, keys, time.Time{})
			if (err == nil) != (signer != nil) {
				t.Errorf("%+v, %v", signer, err)
			}
			k, err := ReadKeys(b)
			if (err == nil) != (k != nil) || err == nil && len(k.Fingerprints()) == 0 {
				t.Errorf("keys %v, %v", k, err)
			}
			Verify(b, signatures, k, time.Time{})
		}
	})
}
