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
	ed := g.Key("", "ed", "ed25519", "0")
	rsa := g.Key("", "rsa", "rsa2048", "0")
	old := g.Key("20210101T000000", "old", "ed25519", "2021-12-31")
	g.Key("", "stranger", "ed25519", "0")
	gone := g.Key("", "gone", "ed25519", "0")
	goneSigned := g.sign("", releaseText, gone)
	g.Revoke(gone)
	g.Run("", "", "--quick-add-key", ed, "ed25519", "sign", "0")
	edAll := g.Fingerprints("ed")
	sub := edAll[1]

	byEd, byBoth := g.sign("", releaseText, ed), g.sign("", releaseText, ed, rsa)
	bySub := g.sign("", releaseText, sub)
	byOld := g.sign("20210601T000000", releaseText, old)
	weak := g.Run("", releaseText, "-u", rsa, "--digest-algo", "SHA1", "--allow-weak-digest-algos", "--clearsign")
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
	a, b := g.Key("", "key-a", "ed25519", "0"), g.Key("", "key-b", "ed25519", "0")
	_, err := Verify(g.sign("", releaseText, a), g.keys(b), time.Now())
	if err == nil || !strings.Contains(err.Error(), a) || strings.Contains(err.Error(), b) {
		t.Errorf("%v does not name %s, which signed", err, a)
	}
}
