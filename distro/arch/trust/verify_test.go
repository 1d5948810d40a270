package trust

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestBadSignatures(t *testing.T) {
	d := newDistribution(t)
	f := d.packager("alice", "", 3)
	sig := d.sign("2020-06-01", f, text)
	k := load(t, d.files(d.masters))
	if _, err := k.Verify(strings.NewReader(text+"."), sig); !errors.Is(err, ErrBadSignature) {
		t.Error(err)
	}
	if _, err := k.Verify(failingReader{}, sig); err == nil || IsSignature(err) {
		t.Errorf("an error of the data is taken for one of the signature: %v", err)
	}
	for i := range sig {
		flipped := append([]byte(nil), sig...)
		flipped[i] ^= 1
		s, err := k.Verify(strings.NewReader(text), flipped)
		if err == nil && s.Fingerprint != f {
			t.Errorf("byte %d: %+v", i, s)
		}
		// The issuer's key ID is not signed, nor is the tag of the digest,
		// which only saves work, nor are the bits of an MPI's length.
		if err == nil && !bytesNotSigned(sig, i) {
			t.Errorf("with byte %d flipped it is accepted", i)
		}
	}
	for name, c := range map[string]struct {
		sig    []byte
		reason error
	}{
		"nothing":     {nil, ErrMalformed},
		"half":        {sig[:len(sig)/2], ErrMalformed},
		"armored":     {d.sign("2020-06-01", f, text, "--armor"), ErrMalformed},
		"text":        {d.sign("2020-06-01", f, text, "--textmode"), ErrMalformed},
		"a key":       {d.Export("alice"), ErrMalformed},
		"SHA-1":       {d.sha1(t, f, sig), ErrWeakDigest},
		"one unknown": {append(append([]byte(nil), sig...), stranger(t)...), ErrUnknownKey},
	} {
		t.Run(name, func(t *testing.T) { refused(t, k, c.sig, c.reason) })
	}
	t.Run("two good ones", func(t *testing.T) {
		both := append(append([]byte(nil), sig...), d.sign("2020-06-02", d.masters[0], text)...)
		if s := accepted(t, k, both); s.Fingerprint != f {
			t.Errorf("%+v", s)
		}
	})
	t.Run("a key for certification alone", func(t *testing.T) {
		g := newGPG(t)
		f := g.key("2016-01-01", "bob", "")
		sig := g.sign("2020-06-01", f, text)
		g.Answer(clock("2020-06-01"), "change-usage\nS\nQ\nsave\n", "--edit-key", f)
		refused(t, load(t, g.files([]string{f})), sig, ErrNotForSigning)
	})
}

// stranger is a good signature by a key that nobody knows.
func stranger(t *testing.T) []byte {
	g := newGPG(t)
	return g.sign("2020-06-01", g.key("2016-01-01", "mallory", ""), text)
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// sha1 is a signature that claims to be by SHA-1.
func (d *distribution) sha1(t *testing.T, f string, sig []byte) []byte {
	t.Helper()
	out := append([]byte(nil), sig...)
	if out[2] != 4 || out[5] != 8 && out[5] != 10 {
		t.Fatalf("no signature by SHA-2 of version 4: %x", out[:8])
	}
	out[5] = 2
	return out
}

// bytesNotSigned reports whether byte i of a signature by ed25519 may change
// without harm.
func bytesNotSigned(sig []byte, i int) bool {
	const r, s = 2 + 32, 2 + 32
	hashed := 2 + 6 + int(sig[6])<<8 + int(sig[7])
	return i >= hashed && i < len(sig)-r-s || i == len(sig)-r-s+1 || i == len(sig)-s+1
}
