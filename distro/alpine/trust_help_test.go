package alpine

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A signer signs as abuild does.
type signer struct {
	name string
	key  *rsa.PrivateKey
}

func newSigner(t testing.TB, name string) *signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // it is fast, and signs only what tests make
	if err != nil {
		t.Fatal(err)
	}
	return &signer{name, key}
}

// public is the key as it lies in etc/apk/keys.
func (s *signer) public(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// trust puts the key into a root.
func (s *signer) trust(t testing.TB, root string) {
	t.Helper()
	put(t, filepath.Join(root, "etc/apk/keys", s.name), s.public(t))
}

// sign returns the gzip member with the signature of what follows.
func (s *signer) sign(t testing.TB, signed []byte) []byte {
	t.Helper()
	sum := sha1.Sum(signed)
	sig, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA1, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return tarGz(t, map[string]string{".SIGN.RSA." + s.name: string(sig)}, false)
}

// signedPackage makes a package with a signature.
func signedPackage(t testing.TB, s *signer, dir, name, version, info string, files map[string]string) string {
	t.Helper()
	if files == nil {
		files = map[string]string{"etc/" + name: version}
	}
	control, body := parts(t, name, version, info, files)
	path := filepath.Join(dir, name+"-"+version+".apk")
	put(t, path, string(s.sign(t, control))+string(control)+string(body))
	return path
}

// signedIndex makes the index of the packages of a directory.
func signedIndex(t testing.TB, s *signer, dir, description string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.apk"))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for _, f := range files {
		r, err := readPackageFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nI:1\nt:%d\n", checksum(r), r.Name, r.Version, len(read(t, f)), 1700000000)
		for key, list := range map[string][]string{"D": r.Depends, "p": r.Provides, "i": r.InstallIf} {
			for i, word := range list {
				if i == 0 {
					text += key + ":"
				}
				text += word + map[bool]string{true: "\n", false: " "}[i == len(list)-1]
			}
		}
		if r.ProviderPriority > 0 {
			text += fmt.Sprintf("k:%d\n", r.ProviderPriority)
		}
		text += "\n"
	}
	member := tarGz(t, map[string]string{"APKINDEX": text, "DESCRIPTION": description}, true)
	if s == nil {
		return member
	}
	return append(s.sign(t, member), member...)
}

// repository makes a signed repository for x86_64 of a directory of packages.
func repository(t testing.TB, s *signer, dir string) {
	t.Helper()
	put(t, filepath.Join(dir, "APKINDEX.tar.gz"), string(signedIndex(t, s, dir, "")))
}

// flip changes one byte in the middle of a file.
func flip(t testing.TB, path string) {
	t.Helper()
	data := []byte(read(t, path))
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// installedFrom makes the database of a system with these packages.
func installedFrom(t testing.TB, files ...string) string {
	t.Helper()
	text := ""
	for _, f := range files {
		r, err := readPackageFile(f)
		if err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("C:%s\nP:%s\nV:%s\nA:x86_64\nS:%d\nI:1\n\n", checksum(r), r.Name, r.Version, len(read(t, f)))
	}
	return text
}
