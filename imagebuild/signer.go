package imagebuild

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/spec"
)

// maxPEM bounds a key and a certificate.
const maxPEM = 1 << 20

// Signer is what a spec has EFI programs signed with, nil for nothing. Its files
// are relative to a directory.
func Signer(s *spec.Spec, dir string) (*secureboot.Signer, error) {
	if s.SecureBoot == (spec.SecureBoot{}) {
		return nil, nil
	}
	key, err := readPEM(dir, s.SecureBoot.Key)
	if err != nil {
		return nil, fmt.Errorf("the private key for Secure Boot: %w", err)
	}
	certificate, err := readPEM(dir, s.SecureBoot.Certificate)
	if err != nil {
		return nil, fmt.Errorf("the certificate for Secure Boot: %w", err)
	}
	signer, err := secureboot.NewSigner(key, certificate)
	if err != nil {
		return nil, fmt.Errorf("signing for Secure Boot with %s and %s: %w", s.SecureBoot.Key, s.SecureBoot.Certificate, err)
	}
	return signer, nil
}

func readPEM(dir, name string) ([]byte, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(b) > maxPEM {
		err = fmt.Errorf("%s has more than %d bytes", name, maxPEM)
	}
	return b, err
}
