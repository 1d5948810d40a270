package archive

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	g := newGPG(t)
	ed := g.key("", "ed", "ed25519", "0")
	rsa := g.key("", "rsa", "rsa2048", "0")
	old := g.key("20210101T000000", "old", "ed25519", "2021-12-31")
	g.key("", "stranger", "ed25519", "0")
	gone := g.key("", "gone", "ed25519", "0")
	goneSigned := g.sign("", releaseText, gone)
	g.revoke(gone)
	g.run("", "", "--quick-add-key", ed, "ed25519", "sign", "0")
	edAll := g.fingerprints("ed")
	sub := edAll[1]

	byEd, byBoth := g.sign("", releaseText, ed), g.sign("", releaseText, ed, rsa)
	bySub := g.sign("", releaseText, sub)
	byOld := g.sign("20210601T000000", releaseText, old)
	weak := g.run("", releaseText, "-u", rsa, "--digest-algo", "SHA1", "--allow-weak-digest-algos", "--clearsign")
	swapped := bytes.Replace(byEd, []byte("Codename: one"), []byte("Codename: two"), 1)
	now := time.Now()
	for _, tt := range []struct {
		name string
		data []byte
		keys *Keys
		at   time.Time
		want error
	}{
		{"ed25519", byEd, g.keys("ed"), now, nil},
		{"rsa", g.sign("", releaseText, rsa), g.keys("rsa"), now, nil},
		{"two signatures, one key trusted", byBoth, g.keys("rsa"), now, nil},
		{"two signatures, both trusted", byBoth, g.keys("rsa", "ed"), now, nil},
		{"a subkey", bySub, g.keys("ed"), now, nil},
		{"a subkey, the primary key named", bySub, g.keys("ed").Only(ed), now, nil},
		{"a subkey, itself named exactly", bySub, g.keys("ed").Only(sub + "!"), now, nil},
		{"a subkey, only the primary key named exactly", bySub, g.keys("ed").Only(ed + "!"), now, ErrUnknownKey},
		{"the primary key, a subkey named", byEd, g.keys("ed").Only(sub), now, ErrUnknownKey},
		{"one of many keys named", byEd, g.keys("ed", "rsa").Only(rsa), now, ErrUnknownKey},
		{"by a stranger", g.sign("", releaseText, "stranger"), g.keys("ed", "rsa"), now, ErrUnknownKey},
		{"no keys", byEd, nil, now, ErrUnknownKey},
		{"expired since, asked for then", byOld, g.keys("old"), time.Time{}, nil},
		{"expired since, asked for now", byOld, g.keys("old"), now, ErrKeyExpired},
		{"from the future, by a clock that is a little late", byEd, g.keys("ed"), now.Add(-time.Minute), nil},
		{"from the future", byEd, g.keys("ed"), now.Add(-time.Hour), ErrFuture},
		{"revoked since", goneSigned, g.keys("gone"), time.Time{}, ErrKeyRevoked},
		{"SHA-1", weak, g.keys("rsa"), now, ErrWeakDigest},
		{"changed text", swapped, g.keys("ed"), now, ErrBadSignature},
		{"one bad signature of two", bytes.Replace(byBoth, []byte("Codename: one"), []byte("Codename: two"), 1), g.keys("ed"), now, ErrBadSignature},
		{"text before", append([]byte("Codename: two\n"), byEd...), g.keys("ed"), now, ErrMalformed},
		{"an empty line before", append([]byte("\n"), byEd...), g.keys("ed"), now, ErrMalformed},
		{"text after", append(slices.Clone(byEd), "Codename: two\n"...), g.keys("ed"), now, ErrMalformed},
		{"another message after", append(slices.Clone(byEd), byEd...), g.keys("ed"), now, ErrMalformed},
		{"no signature", []byte(releaseText), g.keys("ed"), now, ErrMalformed},
		{"signature cut off", byEd[:len(byEd)-40], g.keys("ed"), now, ErrMalformed},
		{"a header that is not signed", bytes.Replace(byEd, []byte("Hash: "), []byte("Codename: two\nHash: "), 1), g.keys("ed"), now, ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text, err := Verify(tt.data, tt.keys, tt.at)
			if !errors.Is(err, tt.want) || (err != nil && !IsSignature(err)) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if want := releaseText; tt.want == nil && string(text) != want {
				t.Errorf("text %q\nwant %q", text, want)
			}
			if tt.want != nil && text != nil {
				t.Error("text was handed out in spite of the error")
			}
		})
	}
}

func TestVerifyNamesTheKey(t *testing.T) {
	g := newGPG(t)
	a, b := g.key("", "key-a", "ed25519", "0"), g.key("", "key-b", "ed25519", "0")
	_, err := Verify(g.sign("", releaseText, a), g.keys(b), time.Now())
	if err == nil || !strings.Contains(err.Error(), a) || strings.Contains(err.Error(), b) {
		t.Errorf("%v does not name %s, which signed", err, a)
	}
}

func TestVerifyDetached(t *testing.T) {
	g := newGPG(t)
	g.key("", "key-a", "ed25519", "0")
	g.key("", "key-b", "rsa2048", "0")
	binary, armored := g.detach(releaseText, "-u", "key-a"), g.detach(releaseText, "-u", "key-a", "--armor")
	other := g.detach(releaseText, "-u", "key-b", "--armor")
	text := g.detach(releaseText, "-u", "key-a", "--textmode")
	for _, tt := range []struct {
		name   string
		text   string
		sig    []byte
		signer string
		want   error
	}{
		{"binary", releaseText, binary, "key-a", nil},
		{"armored", releaseText, armored, "key-a", nil},
		{"of text", releaseText, text, "key-a", nil},
		{"two blocks", releaseText, slices.Concat(other, armored), "key-a", nil},
		{"two binary ones", releaseText, slices.Concat(binary, g.detach(releaseText, "-u", "key-b")), "key-b", nil},
		{"other text", releaseText + "x", binary, "key-a", ErrBadSignature},
		{"another key", releaseText, binary, "key-b", ErrUnknownKey},
		{"a good one and one over other text", releaseText, slices.Concat(binary, g.detach("other", "-u", "key-b")), "both", ErrBadSignature},
		{"a good one and one over other text by a stranger", releaseText, slices.Concat(binary, g.detach("other", "-u", "key-b")), "key-a", nil},
		{"empty", releaseText, nil, "key-a", ErrNoSignature},
		{"not a signature", releaseText, []byte(releaseText), "key-a", ErrMalformed},
		{"a key in place of a signature", releaseText, g.export("key-a"), "key-a", ErrMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := g.keys("key-a", "key-b")
			if tt.signer != "both" {
				keys = g.keys(tt.signer)
			}
			if err := VerifyDetached([]byte(tt.text), tt.sig, keys, time.Now()); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

func TestReadKeysArmored(t *testing.T) {
	g := newGPG(t)
	g.key("", "key-a", "ed25519", "0")
	g.key("", "key-b", "ed25519", "0")
	var keyring []byte
	for _, n := range []string{"key-a", "key-b"} {
		keyring = append(append(keyring, "a comment\n"...), g.run("", "", "--armor", "--export", n)...)
	}
	keys, err := ReadKeys(keyring)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"key-a", "key-b"} {
		if _, err := Verify(g.sign("", releaseText, n), keys, time.Now()); err != nil {
			t.Errorf("key %s: %v", n, err)
		}
	}
	for name, data := range map[string][]byte{
		"empty": nil, "text": []byte("no key"), "cut": keyring[:len(keyring)/4],
		"a signature": g.detach(releaseText, "-u", "key-a", "--armor"),
	} {
		if _, err := ReadKeys(data); err == nil {
			t.Errorf("%s was read as a keyring", name)
		}
	}
}
