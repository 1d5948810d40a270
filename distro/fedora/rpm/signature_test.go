package rpm

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const signedText = "<repomd>\n  <revision>1</revision>\n</repomd>\n"

// detach signs a text as createrepo's users do: gpg --detach-sign --armor.
func (g *gpg) detach(at, text, name string, args ...string) []byte {
	g.t.Helper()
	file := filepath.Join(g.home, "text")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
	return g.run(at, "", append(args, "--output", "-", "-u", name, "--detach-sign", file)...)
}

func verify(text string, sig []byte, keys *Keyring, at time.Time) error {
	_, err := VerifyDetached(strings.NewReader(text), bytes.NewReader(sig), keys, at)
	return err
}

func TestDetachedSignatures(t *testing.T) {
	g := newGPG(t)
	g.key("20200101T000000", "packager", "ed25519", "0")
	g.key("20200101T000000", "late", "rsa2048", "1y")
	g.key("20200101T000000", "stranger", "ed25519", "0")
	keys := g.keys("packager", "late")
	now := time.Now()
	armored := g.detach("", signedText, "packager", "--armor")
	while := g.detach("20200601T000000", signedText, "late")
	for _, c := range []struct {
		name, text string
		sig        []byte
		keys       *Keyring
		at         time.Time
		want       error
	}{
		{"armored", signedText, armored, keys, now, nil},
		{"binary", signedText, g.detach("", signedText, "packager"), keys, now, nil},
		{"of text", signedText, g.detach("", signedText, "packager", "--textmode"), keys, now, nil},
		{"two, one by a stranger", signedText, append(g.detach("", signedText, "stranger"), g.detach("", signedText, "packager")...), keys, now, nil},
		{"two, one of another text", signedText, append(g.detach("", "x", "packager"), g.detach("", signedText, "packager")...), keys, now, ErrBadSignature},
		{"another text", signedText + " ", armored, keys, now, ErrBadSignature},
		{"a stranger", signedText, g.detach("", signedText, "stranger", "--armor"), keys, now, ErrUnknownKey},
		{"no keys", signedText, armored, nil, now, ErrUnknownKey},
		{"nothing", signedText, nil, keys, now, ErrNoSignature},
		{"a message", signedText, g.run("", signedText, "--armor", "-u", "packager", "--sign"), keys, now, ErrMalformed},
		{"garbage", signedText, []byte("garbage"), keys, now, ErrMalformed},
		{"SHA-1", signedText, g.detach("", signedText, "packager", "--digest-algo", "SHA1"), keys, now, ErrWeakDigest},
		{"a key that has expired, of something fetched now", signedText, while, keys, now, ErrKeyExpired},
		{"a key that has expired, of something old", signedText, while, keys, time.Time{}, nil},
		{"a time that has not come", signedText, armored, keys, now.Add(-time.Hour), ErrFuture},
		{"a signature that expires", signedText, g.detach("20200601T000000", signedText, "packager", "--default-sig-expire", "1d"), keys, now, ErrKeyExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := verify(c.text, c.sig, c.keys, c.at)
			if !errors.Is(err, c.want) || (c.want != nil) != IsSignature(err) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	missed := 0
	for at := range while {
		bad := bytes.Clone(while)
		bad[at] ^= 1
		if verify(signedText, bad, keys, time.Time{}) == nil {
			missed++
		}
	}
	if missed > 3 { // that a key ID follows is said in bytes that nobody signs
		t.Errorf("%d flipped bytes of a signature are not noticed", missed)
	}
	if err := verify(signedText, make([]byte, maxSignatureFile+1), keys, now); err == nil || IsSignature(err) {
		t.Errorf("a signature of %d bytes: %v", maxSignatureFile+1, err)
	}
	if err := verify(signedText, bytes.Repeat(while, maxSignatures+1), keys, time.Time{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d signatures: %v", maxSignatures+1, err)
	}
}

func TestFilesOfKeys(t *testing.T) {
	g := newGPG(t)
	one, two := g.key("", "one", "ed25519", "0"), g.key("", "two", "rsa2048", "0")
	export := func(args ...string) []byte { return g.run("", "", append(args, "--export")...) }
	text := slicesJoin("Some words first\n\n", export("--armor"), "and last\n")
	for name, files := range map[string][][]byte{
		"binary": {export()}, "armored": {export("--armor")}, "with text around it": {text},
		"two blocks in one file": {append(g.run("", "", "--armor", "--export", "one"), g.run("", "", "--armor", "--export", "two")...)},
		"two files":              {g.run("", "", "--export", "one"), g.run("", "", "--armor", "--export", "two")},
	} {
		k, err := LoadKeys(files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := k.Fingerprints(); len(got) != 2 || got[0] != one || got[1] != two {
			t.Errorf("%s: %q", name, got)
		}
	}
	for name, file := range map[string][]byte{
		"nothing": nil, "garbage": []byte("garbage"), "a signature": g.detach("", "x", "one", "--armor"),
		"half a block": export("--armor")[:200], "too long": make([]byte, maxKeyFile+1),
		"many blocks": bytes.Repeat(g.run("", "", "--armor", "--export", "one"), maxBlocks+1),
	} {
		if k, err := LoadKeys(file); err == nil {
			t.Errorf("%s: %q", name, k.Fingerprints())
		}
	}
	if k, err := LoadKeys(); err != nil || k.Fingerprints() != nil || (*Keyring)(nil).Fingerprints() != nil {
		t.Error(k, err)
	}
}

func slicesJoin(before string, middle []byte, after string) []byte {
	return []byte(before + string(middle) + after)
}

func FuzzSignaturesAndKeys(f *testing.F) {
	s := newSigner(f)
	f.Add(s.version3([]byte("x")), []byte("x"))
	f.Add(s.version4([]byte("x")), s.public())
	keys := s.keys()
	f.Fuzz(func(t *testing.T, a, b []byte) {
		signer, err := VerifyDetached(bytes.NewReader(b), bytes.NewReader(a), keys, time.Time{})
		if (err == nil) != (signer != nil) {
			t.Errorf("%+v, %v", signer, err)
		}
		if k, err := LoadKeys(a, b); err == nil {
			VerifyDetached(bytes.NewReader(b), bytes.NewReader(a), k, time.Time{})
		}
	})
}
