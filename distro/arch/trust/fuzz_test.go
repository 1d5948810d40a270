package trust

import (
	"bytes"
	"crypto"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// A seed is a keyring of one key, that is its own master, and a signature.
func seed(f testing.TB) (keyring []byte, fingerprint string, signature []byte) {
	f.Helper()
	config := &packet.Config{
		Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256, Rand: zeros{},
		Time: func() time.Time { return time.Unix(1500000000, 0) },
	}
	e, err := openpgp.NewEntity("alice", "", "alice@example.org", config)
	if err != nil {
		f.Fatal(err)
	}
	var keys, sig bytes.Buffer
	if err := e.Serialize(&keys); err != nil {
		f.Fatal(err)
	}
	if err := openpgp.DetachSign(&sig, e, strings.NewReader(text), config); err != nil {
		f.Fatal(err)
	}
	return keys.Bytes(), fmt.Sprintf("%X", e.PrimaryKey.Fingerprint), sig.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i * 7)
	}
	return len(p), nil
}

func TestSeed(t *testing.T) {
	keys, f, sig := seed(t)
	accepted(t, load(t, map[string][]byte{"a.gpg": keys, "a-trusted": []byte(f + ":4:")}), sig)
	k, err := LoadGnuPG(map[string][]byte{"pubring.kbx": keybox(keys), "trustdb.gpg": trustDB(f)})
	if err != nil {
		t.Fatal(err)
	}
	accepted(t, k, sig)
}

// FuzzLoad has any keyring judge a signature: it may not be trusted unless the
// key is one that the keyring names.
func FuzzLoad(f *testing.F) {
	keys, fingerprint, sig := seed(f)
	f.Add(keys, fingerprint+":4:\n", "")
	f.Add(keys, "", fingerprint)
	f.Fuzz(func(t *testing.T, keys []byte, trusted, revoked string) {
		k, err := Load(map[string][]byte{"a.gpg": keys, "a-trusted": []byte(trusted), "a-revoked": []byte(revoked)})
		if err != nil {
			return
		}
		s, err := k.Verify(strings.NewReader(text), sig)
		if err == nil && (!strings.Contains(strings.ToUpper(trusted), fingerprint) || s.Fingerprint != fingerprint) {
			t.Fatalf("%+v", s)
		}
		if err == nil && strings.Contains(revoked, fingerprint) && !strings.Contains(revoked, "#") {
			t.Fatal("a revoked key signs")
		}
		for _, c := range k.certs {
			k.validAt(c, time.Unix(1600000000, 0))
		}
	})
}

func FuzzVerify(f *testing.F) {
	keys, fingerprint, sig := seed(f)
	k := load(f, map[string][]byte{"a.gpg": keys, "a-trusted": []byte(fingerprint + ":4:")})
	f.Add(sig, text)
	f.Add(append(bytes.Clone(sig), sig...), text)
	f.Fuzz(func(t *testing.T, sig []byte, data string) {
		_, err := k.Verify(strings.NewReader(data), sig)
		if err == nil && data != text {
			t.Fatal("a signature over other data")
		}
		if err != nil && !IsSignature(err) {
			t.Fatalf("not typed: %v", err)
		}
		if _, inspected := k.Inspect(sig); inspected != nil && err == nil {
			t.Fatal(inspected)
		}
	})
}

func FuzzLoadGnuPG(f *testing.F) {
	keys, fingerprint, sig := seed(f)
	f.Add(keys, []byte(nil), trustDB(fingerprint))
	f.Add([]byte(nil), keybox(keys), trustDB(fingerprint))
	f.Fuzz(func(t *testing.T, ring, box, trust []byte) {
		k, err := LoadGnuPG(map[string][]byte{"pubring.gpg": ring, "pubring.kbx": box, "trustdb.gpg": trust})
		if err != nil {
			return
		}
		if s, err := k.Verify(strings.NewReader(text), sig); err == nil && s.Fingerprint != fingerprint {
			t.Fatalf("%+v", s)
		}
	})
}

// keybox makes a keybox of one key.
func keybox(keys []byte) []byte {
	first := make([]byte, 32)
	first[3], first[4] = 32, blobFirst
	copy(first[8:], "KBXf")
	blob := make([]byte, 20, 20+len(keys))
	binary.BigEndian.PutUint32(blob, uint32(20+len(keys)))
	blob[4] = blobOpenPGP
	binary.BigEndian.PutUint32(blob[8:], 20)
	binary.BigEndian.PutUint32(blob[12:], uint32(len(keys)))
	return append(first, append(blob, keys...)...)
}

// trustDB makes a trustdb with one key that is trusted ultimately.
func trustDB(fingerprint string) []byte {
	db := make([]byte, 2*recordSize)
	copy(db, "\x01gpg\x03\x03\x01")
	db[recordSize] = recordTrust
	binaryFingerprint, err := hex.DecodeString(fingerprint)
	if err != nil {
		panic(err)
	}
	copy(db[recordSize+2:], binaryFingerprint)
	db[recordSize+22] = trustUltimate
	return db
}
