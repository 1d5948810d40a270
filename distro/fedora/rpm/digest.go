package rpm

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"strings"
)

// A digest is one that the package tells, and what it is computed by.
type digest struct {
	what string
	want string // hexadecimal, lower case
	hash hash.Hash
}

func (d *digest) damage() error {
	if got := hex.EncodeToString(d.hash.Sum(nil)); got != d.want {
		return damaged("the %s is %s, not %s", d.what, got, d.want)
	}
	return nil
}

// Algorithms of digests as OpenPGP numbers them.
const (
	pgpSHA256 = 8
	pgpSHA384 = 9
	pgpSHA512 = 10
)

// payloadDigest returns the digest of the payload that the header tells, in
// hexadecimal, and its algorithm.
func (h *header) payloadDigest() (hexadecimal string, algorithm uint64) {
	hexadecimal, algorithm = h.text(tagPayloadDigest), pgpSHA256
	if a, ok := h.number(tagPayloadAlgorithm); ok {
		algorithm = a
	}
	return strings.ToLower(hexadecimal), algorithm
}

// addDigests collects the digests that have to be computed over the payload.
func (c *checker) addDigests() {
	s, h := c.front.signatures, c.front.header
	add := func(what, want string, h hash.Hash) {
		if want != "" {
			c.digests = append(c.digests, &digest{what, strings.ToLower(want), h})
		}
	}
	switch want, algorithm := h.payloadDigest(); algorithm {
	case pgpSHA256:
		add("SHA-256 of the payload", want, sha256.New())
	case pgpSHA384:
		add("SHA-384 of the payload", want, sha512.New384())
	case pgpSHA512:
		add("SHA-512 of the payload", want, sha512.New())
	}
	add("SHA-512 of the payload", h.text(tagPayloadSHA512), sha512.New())
	add("SHA3-256 of the payload", h.text(tagPayloadSHA3), sha3.New256())
	c.covered = len(c.digests) > 0
	if sum := s.bin(sigTagMD5); sum != nil {
		d := &digest{"MD5 of header and payload", hex.EncodeToString(sum), md5.New()}
		d.hash.Write(h.raw)
		c.digests = append(c.digests, d)
	}
}

// damage reports what is not as the package itself says. It is asked after the
// payload was read.
func (c *checker) damage() error {
	s, h := c.front.signatures, c.front.header
	for _, d := range []*digest{
		{"SHA-256 of the header", s.text(tagSHA256Header), sha256.New()},
		{"SHA3-256 of the header", s.text(tagSHA3Header), sha3.New256()},
		{"SHA-1 of the header", s.text(tagSHA1Header), sha1.New()},
	} {
		if d.want != "" {
			d.hash.Write(h.raw)
			if err := d.damage(); err != nil {
				return err
			}
		}
	}
	for _, d := range c.digests {
		if err := d.damage(); err != nil {
			return err
		}
	}
	for _, tag := range []uint32{sigTagSize, tagLongSize} {
		if want, ok := s.number(tag); ok && want != uint64(c.size) {
			return damaged("header and payload have %d bytes, not %d", c.size, want)
		}
	}
	if err := c.front.checkSignatureForm(); err != nil {
		return err
	}
	return c.front.checkLead()
}
