package rpm

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/samebits/samebits/distro/openpgp"
)

// Check reads a whole package file and checks it: the digests of header and
// payload, and that a trusted key signed the header. The payload must be
// covered by a digest of SHA-256 or better in the signed header, or, as with
// packages of before rpm 4.14, by a signature of its own. All signatures by
// trusted keys that are in the file must be good.
//
// A key has to have been valid at the time at which the signature says that it
// was made, since packages stay what they are; a revoked key is refused
// always. What is wrong with a signature or a digest is told by a
// [*SignatureError]; an error that wraps [ErrFormat] tells that the file is no
// package. Few bytes of a package are vouched for by nobody, and are held to
// the form that rpm gives them: those of the lead and of the padding.
//
// Package and Signer are nil unless all is right.
func Check(r io.Reader, keys *Keyring) (*Package, *Signer, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	f, err := readFront(b)
	if err != nil {
		return nil, nil, err
	}
	c, err := f.begin(keys)
	if err != nil {
		return nil, nil, err
	}
	c.addDigests()
	if err := c.drain(b); err != nil {
		return nil, nil, err
	}
	signer, err := c.verdict()
	if err != nil {
		return nil, nil, err
	}
	return f.pkg, signer, nil
}

// CheckDigests reads a whole package file and checks it by the digests that it
// carries itself, and no signature: it finds damage, not malice. It is for
// repositories of which a person has said that their packages are not signed.
func CheckDigests(r io.Reader) (*Package, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	f, err := readFront(b)
	if err != nil {
		return nil, err
	}
	c := &checker{front: f}
	c.addDigests()
	if err := c.drain(b); err != nil {
		return nil, err
	}
	if err := c.damage(); err != nil {
		return nil, err
	}
	return f.pkg, nil
}

// A front is all of a package file but its payload.
type front struct {
	lead       []byte
	signatures *header
	header     *header
	pkg        *Package
}

func readFront(r io.Reader) (*front, error) {
	f := &front{lead: make([]byte, leadSize)}
	if _, err := io.ReadFull(r, f.lead); err != nil {
		return nil, cutShort(err)
	}
	if !bytes.HasPrefix(f.lead, []byte(leadMagic)) {
		return nil, badFormat("it does not begin as one")
	}
	var err error
	if f.signatures, err = readHeader(r, regionSignatures, maxSignatureData); err != nil {
		return nil, err
	}
	padding := make([]byte, -len(f.signatures.raw)&7)
	if _, err := io.ReadFull(r, padding); err != nil {
		return nil, cutShort(err)
	}
	if !allZero(padding) {
		return nil, badFormat("the padding of its signatures is not zero")
	}
	if f.header, err = readHeader(r, regionImmutable, maxHeaderData); err != nil {
		return nil, err
	}
	f.pkg, err = newPackage(f.header)
	return f, err
}

// A checker follows a package's bytes.
type checker struct {
	front   *front
	headers []*openpgp.Verification // over the header
	wholes  []*openpgp.Verification // over header and payload
	digests []*digest               // over the payload, or over both
	covered bool                    // the header tells a strong digest of the payload
	size    int64                   // of header and payload, in bytes
}

// begin reads the signatures and gives them the header.
func (f *front) begin(keys *Keyring) (*checker, error) {
	c := &checker{front: f}
	ofHeader, ofWhole, err := f.readSignatures()
	if err != nil {
		return nil, err
	}
	for _, s := range ofHeader {
		v := keys.Begin(s)
		v.Write(f.header.raw)
		c.headers = append(c.headers, v)
	}
	for _, s := range ofWhole {
		v := keys.Begin(s)
		v.Write(f.header.raw)
		c.wholes = append(c.wholes, v)
	}
	return c, nil
}

// readSignatures returns the signatures over the header and those over header
// and payload.
func (f *front) readSignatures() (ofHeader, ofWhole []*packet.Signature, err error) {
	h := f.signatures
	add := func(to *[]*packet.Signature, blob []byte) {
		if err == nil && len(blob) > 0 {
			var sigs []*packet.Signature
			sigs, err = openpgp.ReadSignatures(blob, form)
			*to = append(*to, sigs...)
		}
	}
	for _, text := range h.texts(tagOpenPGP) {
		blob, wrong := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if wrong != nil {
			return nil, nil, openpgp.Malformed("it is not in base64: %v", wrong)
		}
		add(&ofHeader, blob)
	}
	for _, tag := range []uint32{tagRSAHeader, tagDSAHeader} {
		add(&ofHeader, h.bin(tag))
	}
	for _, tag := range []uint32{sigTagPGP, sigTagGPG} {
		add(&ofWhole, h.bin(tag))
	}
	if err == nil && len(ofHeader)+len(ofWhole) > openpgp.MaxSignatures {
		err = openpgp.Malformed("more than %d signatures", openpgp.MaxSignatures)
	}
	return ofHeader, ofWhole, err
}

// drain reads the payload to its end.
func (c *checker) drain(r io.Reader) error {
	into := []io.Writer{}
	for _, v := range c.wholes {
		into = append(into, v)
	}
	for _, d := range c.digests {
		into = append(into, d.hash)
	}
	n, err := io.Copy(io.MultiWriter(into...), r)
	c.size = int64(len(c.front.header.raw)) + n
	return err
}

// verdict says who signed the package, or what is wrong with it.
func (c *checker) verdict() (*Signer, error) {
	if err := c.damage(); err != nil {
		return nil, err
	}
	var header, whole openpgp.Tally
	for _, v := range c.headers {
		header.Add(v, time.Time{})
	}
	for _, v := range c.wholes {
		whole.Add(v, time.Time{})
	}
	onHeader, headerErr := header.Verdict()
	onWhole, wholeErr := whole.Verdict()
	switch {
	case errors.Is(headerErr, ErrBadSignature):
		return nil, headerErr
	case errors.Is(wholeErr, ErrBadSignature):
		return nil, wholeErr
	case onHeader != nil && (c.covered || onWhole != nil):
		return onHeader, nil
	case onWhole != nil:
		return onWhole, nil
	case onHeader != nil:
		return nil, &SignatureError{Err: ErrPartial, Keys: []string{onHeader.Fingerprint}}
	case errors.Is(headerErr, ErrNoSignature):
		return nil, wholeErr
	}
	return nil, headerErr
}
