package apk_test

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/samebits/samebits/distro/alpine/apk"
)

// spoil returns variants of a signed file, most of which are not to be trusted.
func spoil(signed []byte, more map[string][]byte) map[string][]byte {
	out := maps.Clone(more)
	out["as it is"] = signed
	out["cut"] = signed[:len(signed)-3]
	out["half"] = signed[:len(signed)/2]
	out["longer"] = append(bytes.Clone(signed), "more"...)
	for i := 0; i < len(signed); i += 11 {
		b := bytes.Clone(signed)
		b[i] ^= 1 << (i % 8)
		out[fmt.Sprintf("byte %d", i)] = b
	}
	return out
}

// trusting returns a root of the real apk that trusts alice.
func trusting(t *testing.T) realApk {
	t.Helper()
	a := newRealApk(t, "3.20.3")
	if err := os.WriteFile(filepath.Join(a.root, "etc/apk/keys", alice().name), alice().pem(t), 0o644); err != nil {
		t.Fatal(err)
	}
	return a
}

// TestPackageVerdicts compares with what the real apk says of packages.
func TestPackageVerdicts(t *testing.T) {
	a := trusting(t)
	p := build(t, "hello", "1.0-r0", "x86_64", "pkgdesc = x", "url = x", "license = x")
	for what, b := range spoil(p.signed(t, alice(), "RSA"), map[string][]byte{
		"RSA256": p.signed(t, alice(), "RSA256"), "RSA512": p.signed(t, alice(), "RSA512"), "bob": p.signed(t, bob(), "RSA"), "nobody": p.unsigned(),
		"two": slices.Concat(segment(t, false, bob().signature(t, "RSA", p.control), alice().signature(t, "RSA", p.control)), p.unsigned()),
		"two members": slices.Concat(segment(t, false, bob().signature(t, "RSA", p.control)),
			segment(t, false, alice().signature(t, "RSA", p.control)), p.unsigned()),
		"other data": slices.Concat(segment(t, false, alice().signature(t, "RSA", p.control)), p.control, pack(t, []byte("x"))),
	}) {
		if err := os.WriteFile(filepath.Join(a.root, "hello.apk"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := a.run("verify", "/hello.apk")
		ours := apk.CheckPackage(bytes.NewReader(b), apk.Record{Name: "hello", Version: "1.0-r0"}, keysOf(t, alice()))
		if (err == nil) != (ours == nil) {
			t.Errorf("%s: apk says %s %v, we %v", what, out, err, ours)
		}
	}
}

// TestIndexVerdicts compares with what the real apk finds in indexes.
func TestIndexVerdicts(t *testing.T) {
	a := trusting(t)
	dir := filepath.Join(a.root, "repo/x86_64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for what, b := range spoil(index(t, offeredText, by(t, alice(), "RSA")), map[string][]byte{
		"RSA256": index(t, offeredText, by(t, alice(), "RSA256")), "RSA512": index(t, offeredText, by(t, alice(), "RSA512")),
		"bob": index(t, offeredText, by(t, bob(), "RSA")), "nobody": index(t, offeredText, nil),
	}) {
		if err := os.WriteFile(filepath.Join(dir, "APKINDEX.tar.gz"), b, 0o644); err != nil {
			t.Fatal(err)
		}
		out, _ := a.run("search", "--no-network", "--no-cache", "--repositories-file", "/repo/none", "-X", "/repo", "-x", "offered")
		// It lists what it read before it came to what is wrong, and warns.
		theirs := strings.Contains(out, "offered-1.2.3-r1") && !strings.Contains(out, "WARNING: opening /repo:")
		x, err := apk.ReadIndex(bytes.NewReader(b), keysOf(t, alice()))
		if ours := err == nil && len(x.Records) == 1; ours != theirs {
			t.Errorf("%s: apk says %s, we %v", what, out, err)
		}
	}
}
