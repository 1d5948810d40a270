package apk_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// TestNewKeys tells that a file that is no key does not spoil the others.
func TestNewKeys(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := apk.NewKeys(map[string][]byte{
		alice().name: alice().pem(t),
		"README":     []byte("not a key"),
		"ed.pub":     pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"cut.pub":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der[:20]}),
		"secret.rsa": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}),
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"key README: it is not PEM", "key ed.pub: it is of kind ed25519.PublicKey", "key cut.pub", `key secret.rsa: it holds "rsa private key"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if d := cmp.Diff([]string{alice().name}, k.Names()); d != "" {
		t.Error(d)
	}
	if _, err := apk.ReadIndex(bytes.NewReader(index(t, indexText, by(t, alice(), "RSA"))), k); err != nil {
		t.Error(err)
	}
}

func TestOnly(t *testing.T) {
	k := keysOf(t, alice(), bob())
	only := k.Only(func(name string) bool { return name == bob().name })
	if d := cmp.Diff([]string{bob().name}, only.Names()); d != "" {
		t.Error(d)
	}
	if _, err := apk.ReadIndex(bytes.NewReader(index(t, indexText, by(t, alice(), "RSA"))), only); err == nil {
		t.Error("a key that was left out is trusted")
	}
	v3 := v3Keys(t).Only(func(string) bool { return true })
	if _, err := apk.ReadIndex(bytes.NewReader(read(t, "testdata/v3/sha256.adb")), v3); err != nil {
		t.Error(err)
	}
}
