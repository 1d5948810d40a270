package rpm

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/samebits/samebits/distro/openpgp/openpgptest"
)

const signedText = "<repomd>\n  <revision>1</revision>\n</repomd>\n"

func TestDetachedSignatures(t *testing.T) {
	g, old := newGPG(t), openpgptest.NewSigner(t)
	g.Key("20200101T000000", "packager", "ed25519", "0")
	g.Key("20200101T000000", "late", "rsa2048", "1y")
	keys := Join(g.keys("packager", "late"), keysOf(t, old))
	now := time.Now()
	armored := g.Detach("", signedText, "packager", "--armor")
	while := g.Detach("20200601T000000", signedText, "late")
	for _, c := range []struct {
		name, text string
		sig        []byte
		at         time.Time
		want       error
	}{
		{"armored", signedText, armored, now, nil},
		{"of version 3", signedText, old.Version3([]byte(signedText)), now, nil},
		{"another text", signedText + " ", armored, now, ErrBadSignature},
		{"nothing", signedText, nil, now, ErrNoSignature},
		{"of a version that is not known", signedText, append([]byte{0x89, 0, 19, 2}, make([]byte, 18)...), now, ErrMalformed},
		{"a key that has expired, of something fetched now", signedText, while, now, ErrKeyExpired},
		{"a key that has expired, of something old", signedText, while, time.Time{}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := VerifyDetached(strings.NewReader(c.text), bytes.NewReader(c.sig), keys, c.at)
			if !errors.Is(err, c.want) || (c.want != nil) != IsSignature(err) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	long := make([]byte, maxSignatureFile+1)
	if _, err := VerifyDetached(strings.NewReader(signedText), bytes.NewReader(long), keys, now); err == nil || IsSignature(err) {
		t.Errorf("a signature of %d bytes: %v", len(long), err)
	}
}

func TestFilesOfKeys(t *testing.T) {
	one, two := openpgptest.NewSigner(t).Keyring(), openpgptest.NewSigner(t).Keyring()
	want := append(fingerprints(t, one), fingerprints(t, two)...)
	if k, err := LoadKeys(one, two); err != nil || strings.Join(k.Fingerprints(), " ") != strings.Join(want, " ") {
		t.Errorf("%q, %v; want %q", k.Fingerprints(), err, want)
	}
	if k, err := LoadKeys(); err != nil || k.Fingerprints() != nil {
		t.Error(k, err)
	}
	for name, file := range map[string][]byte{"nothing": nil, "garbage": []byte("garbage"), "too long": make([]byte, maxKeyFile+1)} {
		if k, err := LoadKeys(one, file); err == nil {
			t.Errorf("%s: %q", name, k.Fingerprints())
		}
	}
}

func fingerprints(t *testing.T, file []byte) []string {
	t.Helper()
	k, err := LoadKeys(file)
	if err != nil {
		t.Fatal(err)
	}
	return k.Fingerprints()
}
