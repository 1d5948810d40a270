package openpgp

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	pgp "github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// MaxSignatures bounds how many signatures of one file are looked at. Debian
// has three.
const MaxSignatures = 64

// A Form says what a file of signatures may have, besides signatures of
// version 4 and later. The zero Form allows nothing else.
type Form struct {
	// Version3 allows signatures of version 3 (RFC 4880, section 5.2.2), with
	// which the packages of RHEL and CentOS up to 8 are signed.
	Version3 bool
	// PassOver has signatures that cannot be understood not count, where
	// otherwise the file is refused: those of versions and algorithms that are
	// not known, such as a second signature for readers to come. Other
	// packets that are not known are passed over, too.
	PassOver bool
}

// ReadSignatures returns the signatures in data, binary or armored; none where
// data is empty. An error is a [*SignatureError].
func ReadSignatures(data []byte, f Form) ([]*packet.Signature, error) {
	bodies := [][]byte{data}
	if isArmored(data) {
		var err error
		if bodies, err = dearmor(data, pgp.SignatureType); err != nil {
			return nil, Malformed("%v", err)
		}
	}
	var out []*packet.Signature
	for _, b := range bodies {
		packets := packet.NewOpaqueReader(bytes.NewReader(b))
		for {
			p, err := packets.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				return nil, Malformed("%v", err)
			}
			s, err := f.read(p)
			if err != nil {
				return nil, err
			}
			if s == nil {
				continue
			}
			if len(out) == MaxSignatures {
				return nil, Malformed("more than %d signatures", MaxSignatures)
			}
			out = append(out, s)
		}
	}
	return out, nil
}

const tagSignature = 2

// read returns nil for what is to be passed over.
func (f Form) read(p *packet.OpaquePacket) (*packet.Signature, error) {
	if p.Tag != tagSignature && !f.PassOver {
		return nil, Malformed("a packet of type %d among the signatures", p.Tag)
	}
	if f.Version3 && p.Tag == tagSignature && len(p.Contents) > 0 && p.Contents[0] == 3 {
		return readVersion3(p.Contents)
	}
	parsed, err := p.Parse()
	if err != nil {
		if f.PassOver && notKnown(err) {
			return nil, nil
		}
		return nil, Malformed("%v", err)
	}
	switch parsed := parsed.(type) {
	case *packet.Signature:
		return parsed, nil
	case *packet.Marker: // which says nothing
		return nil, nil
	}
	return nil, Malformed("a packet of type %d among the signatures", p.Tag)
}

func notKnown(err error) bool {
	var unsupported pgperrors.UnsupportedError
	var unknown pgperrors.UnknownPacketTypeError
	return errors.As(err, &unsupported) || errors.As(err, &unknown)
}

// readVersion3 rewrites a signature of version 3 as one of version 4, for the
// library to read; what was signed along with the bytes stays that of version
// 3.
func readVersion3(b []byte) (*packet.Signature, error) {
	if len(b) < 19 || b[1] != 5 {
		return nil, Malformed("a signature of version 3 that is too short")
	}
	kind, created, keyID, algorithms, rest := b[2:3], b[3:7], b[7:15], b[15:17], b[17:]
	four := slices.Concat([]byte{4}, kind, algorithms,
		[]byte{0, 6, 5, 2}, created, // hashed: when it was made
		[]byte{0, 10, 9, 16}, keyID, // not hashed: by which key
		rest)
	p := &packet.OpaquePacket{Tag: tagSignature, Contents: four}
	parsed, err := p.Parse()
	if err != nil {
		return nil, Malformed("%v", err)
	}
	s, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, Malformed("a packet that cannot be read")
	}
	s.HashSuffix = slices.Concat(kind, created)
	return s, nil
}

// StrongDigest reports whether a signature over data may rest on a digest.
func StrongDigest(h crypto.Hash) bool {
	switch h {
	case crypto.SHA224, crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512:
		return true
	}
	return false
}

// issuer names the key that a signature says it was made by.
func issuer(s *packet.Signature) string {
	switch {
	case len(s.IssuerFingerprint) > 0:
		return strings.ToUpper(fmt.Sprintf("%x", s.IssuerFingerprint))
	case s.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *s.IssuerKeyId)
	}
	return "a key that it does not name"
}
