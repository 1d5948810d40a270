package secureboot

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/samebits/samebits/imagebuild/tree"
)

// maxSignatures is how many signatures of a program are read.
const maxSignatures = 64

// A Signature is one that a program has.
type Signature struct {
	// Signer is who signed, and Issuer who says so, as certificates name them
	// (RFC 2253). They are what the signature itself says; empty where it cannot
	// be read.
	Signer, Issuer string
	// Problem is why it does not hold: the program, or the signature, is another
	// than what was signed. Whether the signer is to be trusted is not asked.
	Problem error
}

// Signatures returns the signatures of an EFI program of size bytes, which it
// reads once.
func Signatures(c tree.Content, size int64) ([]Signature, error) {
	p, err := examine(c, size)
	if err != nil {
		return nil, fmt.Errorf("reading the signatures of an EFI program: %w", err)
	}
	var out []Signature
	for table := p.table; len(table) > 0; {
		length := int64(0)
		if len(table) >= 8 {
			length = int64(binary.LittleEndian.Uint32(table))
		}
		if length < 8 || length > int64(len(table)) || len(out) == maxSignatures {
			return out, fmt.Errorf("reading the signatures of an EFI program: the table of certificates is wrong after %d of its %d bytes", len(p.table)-len(table), len(p.table))
		}
		out = append(out, p.signature(table[:length]))
		table = table[min(int64(len(table)), length+padding(length)):]
	}
	return out, nil
}

// signature reads an entry of the table.
func (p *program) signature(entry []byte) (s Signature) {
	if kind := binary.LittleEndian.Uint16(entry[6:]); kind != pkcs7 {
		s.Problem = fmt.Errorf("it is of the type %#04x, which is not known here", kind)
		return s
	}
	m, err := parse(entry[8:])
	if err != nil {
		s.Problem = fmt.Errorf("its message: %w", err)
		return s
	}
	s.Signer, s.Issuer = m.signer.Subject.String(), m.signer.Issuer.String()
	s.Problem = m.check(p.digest)
	return s
}

// A message is what a PKCS #7 message says.
type message struct {
	content    []byte // that is signed
	signer     *x509.Certificate
	attributes []byte
	signature  []byte
}

var errShape = errors.New("it is not of the form that Authenticode has")

// parse reads a message, of which the first signer counts.
func parse(der []byte) (*message, error) {
	var outer, inner, data, info, certificates, infos cryptobyte.String
	in := cryptobyte.String(der)
	var version int
	if !in.ReadASN1(&outer, tags.SEQUENCE) || !isOID(&outer, signedData) ||
		!outer.ReadASN1(&inner, explicit(0)) || !inner.ReadASN1(&data, tags.SEQUENCE) ||
		!data.ReadASN1Integer(&version) || !data.SkipASN1(tags.SET) ||
		!data.ReadASN1(&info, tags.SEQUENCE) || !isOID(&info, indirectData) ||
		!data.ReadOptionalASN1(&certificates, nil, explicit(0)) ||
		!data.SkipOptionalASN1(explicit(1)) || !data.ReadASN1(&infos, tags.SET) {
		return nil, errShape
	}
	m := &message{}
	var wrapped, signed cryptobyte.String
	if !info.ReadASN1(&wrapped, explicit(0)) || !wrapped.ReadASN1(&signed, tags.SEQUENCE) {
		return nil, errShape
	}
	m.content = signed
	return m, m.readSigner(infos, certificates)
}

func (m *message) readSigner(infos, certificates cryptobyte.String) error {
	var info, issuerAndSerial, issuer, digest, attributes, encryption, signature cryptobyte.String
	var version int
	serial := new(big.Int)
	if !infos.ReadASN1(&info, tags.SEQUENCE) || !info.ReadASN1Integer(&version) ||
		!info.ReadASN1(&issuerAndSerial, tags.SEQUENCE) ||
		!issuerAndSerial.ReadASN1Element(&issuer, tags.SEQUENCE) || !issuerAndSerial.ReadASN1Integer(serial) ||
		!info.ReadASN1(&digest, tags.SEQUENCE) ||
		!info.ReadASN1(&attributes, explicit(0)) ||
		!info.ReadASN1(&encryption, tags.SEQUENCE) || !info.ReadASN1(&signature, tags.OCTET_STRING) {
		return errShape
	}
	if !isOID(&digest, sha256OID) {
		return errors.New("its digest is not SHA-256")
	}
	m.attributes, m.signature = attributes, signature
	for !certificates.Empty() {
		var raw cryptobyte.String
		if !certificates.ReadASN1Element(&raw, tags.SEQUENCE) {
			return errShape
		}
		c, err := x509.ParseCertificate(raw)
		if err == nil && bytes.Equal(c.RawIssuer, issuer) && c.SerialNumber.Cmp(serial) == 0 {
			m.signer = c
			return nil
		}
	}
	return errors.New("it has no certificate of the signer")
}

// isOID reads an object identifier, and reports whether it is a certain one.
func isOID(s *cryptobyte.String, want []int) bool {
	var got cryptobyte.String
	var b cryptobyte.Builder
	b.AddASN1ObjectIdentifier(want)
	wanted, err := b.Bytes()
	return err == nil && s.ReadASN1Element(&got, tags.OBJECT_IDENTIFIER) && bytes.Equal(got, wanted)
}

// check reports why the message is not one over a program's digest.
func (m *message) check(digest [sha256.Size]byte) error {
	key, ok := m.signer.PublicKey.(*rsa.PublicKey)
	if !ok {
		return errors.New("its key is not of RSA")
	}
	hash, err := hashOfSet(m.attributes)
	if err != nil {
		return err
	}
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], m.signature); err != nil {
		return errors.New("it was not made with the signer's key")
	}
	if told, err := attribute(m.attributes, messageDigest); err != nil {
		return err
	} else if is := sha256.Sum256(m.content); !bytes.Equal(told, is[:]) {
		return errors.New("its content is another than the one that was signed")
	}
	told, err := contentDigest(m.content)
	if err == nil && !bytes.Equal(told, digest[:]) {
		err = errors.New("the program is another than the one that was signed")
	}
	return err
}

// attribute is the octet string that an attribute has.
func attribute(attributes cryptobyte.String, oid []int) ([]byte, error) {
	for !attributes.Empty() {
		var one, values, value cryptobyte.String
		if !attributes.ReadASN1(&one, tags.SEQUENCE) {
			return nil, errShape
		}
		if !isOID(&one, oid) {
			continue
		}
		if !one.ReadASN1(&values, tags.SET) || !values.ReadASN1(&value, tags.OCTET_STRING) {
			return nil, errShape
		}
		return value, nil
	}
	return nil, errors.New("it has no digest of its content")
}

// contentDigest is the digest of the program that a content is about.
func contentDigest(content cryptobyte.String) ([]byte, error) {
	var about, digest, algorithm, sum cryptobyte.String
	if !content.ReadASN1(&about, tags.SEQUENCE) || !isOID(&about, imageData) ||
		!content.ReadASN1(&digest, tags.SEQUENCE) || !digest.ReadASN1(&algorithm, tags.SEQUENCE) ||
		!digest.ReadASN1(&sum, tags.OCTET_STRING) {
		return nil, errShape
	}
	if !isOID(&algorithm, sha256OID) {
		return nil, errors.New("the program's digest is not of SHA-256")
	}
	return sum, nil
}
