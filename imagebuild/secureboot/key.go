package secureboot

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const minBits, maxBits = 2048, 4096

// A Signer signs with one key, as the owner of one certificate.
type Signer struct {
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

// NewSigner makes a Signer of a private key (PKCS #8 or PKCS #1) and the
// certificate of it, both in PEM.
func NewSigner(key, certificate []byte) (*Signer, error) {
	k, err := parseKey(key)
	if err != nil {
		return nil, fmt.Errorf("the private key: %w", err)
	}
	if bits := k.N.BitLen(); bits < minBits || bits > maxBits {
		return nil, fmt.Errorf("the private key: an RSA key of %d bits; firmware takes 2048 to 4096", bits)
	}
	block, _ := pem.Decode(certificate)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("the certificate: there is none in PEM, which begins with -----BEGIN CERTIFICATE-----")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the certificate: %w", err)
	}
	if of, ok := c.PublicKey.(*rsa.PublicKey); !ok || !of.Equal(k.Public()) {
		return nil, fmt.Errorf("the certificate of %s is not that of the private key", c.Subject)
	}
	return &Signer{k, c}, nil
}

func parseKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("there is none in PEM, which begins with -----BEGIN PRIVATE KEY-----")
	case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return nil, errors.New("it is encrypted; decrypt it first, as with: openssl rsa -in FILE -out PLAIN")
	case block.Type == "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case block.Type != "PRIVATE KEY":
		return nil, fmt.Errorf("it is a %q", block.Type)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := k.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("it is not of RSA, which is what all firmware takes")
	}
	return key, nil
}
