package secureboot

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	signedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	contentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	messageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	rsaEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	sha256OID     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	indirectData  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}  // SPC_INDIRECT_DATA_OBJID
	imageData     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15} // SPC_PE_IMAGE_DATA_OBJID
)

// implicit is the tag of a field that has a number in the place of its type.
func implicit(n uint8) tags.Tag { return tags.Tag(n).ContextSpecific() }

// explicit is the tag of a field around one.
func explicit(n uint8) tags.Tag { return implicit(n).Constructed() }

func algorithm(b *cryptobyte.Builder, oid asn1.ObjectIdentifier) {
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid)
		b.AddASN1NULL()
	})
}

// content is what is signed of a program: SpcIndirectDataContent, without its
// tag and length. The link that a program has in it says nothing.
func content(digest [sha256.Size]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(imageData)
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.BIT_STRING, func(b *cryptobyte.Builder) { b.AddUint8(0) }) // no flags
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(2), func(b *cryptobyte.Builder) {
					b.AddASN1(implicit(0), func(b *cryptobyte.Builder) {
						for _, c := range []byte("<<<Obsolete>>>") {
							b.AddUint16(uint16(c))
						}
					})
				})
			})
		})
	})
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		algorithm(b, sha256OID)
		b.AddASN1OctetString(digest[:])
	})
	return b.Bytes()
}

// attributes are what is signed with the key: the type and the digest of the
// content, in the order of their bytes.
func attributes(digest [sha256.Size]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(contentType)
		b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(indirectData) })
	})
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(messageDigest)
		b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) })
	})
	return b.Bytes()
}

// message is the whole PKCS #7 message over a program's digest.
func (s *Signer) message(digest [sha256.Size]byte) ([]byte, error) {
	signed, err := content(digest)
	if err != nil {
		return nil, err
	}
	attrs, err := attributes(sha256.Sum256(signed))
	if err != nil {
		return nil, err
	}
	signature, err := s.sign(attrs)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(signedData)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { algorithm(b, sha256OID) })
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(indirectData)
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
						b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(signed) })
					})
				})
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(s.certificate.Raw) })
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { s.signerInfo(b, attrs, signature) })
			})
		})
	})
	return b.Bytes()
}

// sign signs attributes, as the SET that they are.
func (s *Signer) sign(attrs []byte) ([]byte, error) {
	hash, err := hashOfSet(attrs)
	if err != nil {
		return nil, err
	}
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, hash[:])
}

// hashOfSet is the digest of attributes as a SET, whatever tag they have in the
// message.
func hashOfSet(attrs []byte) ([sha256.Size]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddBytes(attrs) })
	set, err := b.Bytes()
	return sha256.Sum256(set), err
}

func (s *Signer) signerInfo(b *cryptobyte.Builder, attrs, signature []byte) {
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(s.certificate.RawIssuer)
			b.AddASN1BigInt(s.certificate.SerialNumber)
		})
		algorithm(b, sha256OID)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddBytes(attrs) })
		algorithm(b, rsaEncryption)
		b.AddASN1OctetString(signature)
	})
}
