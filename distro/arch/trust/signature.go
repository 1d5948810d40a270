package trust

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Limits on a signature file.
const (
	maxSignatures    = 16
	maxSignatureFile = 1 << 20
)

// readSignatures returns the signatures of a file, at least one.
func readSignatures(data []byte) ([]*packet.Signature, error) {
	switch {
	case len(data) > maxSignatureFile:
		return nil, malformed("it has %d bytes", len(data))
	case bytes.HasPrefix(data, []byte("-----BEGIN PGP")):
		return nil, malformed("it is armored: pacman wants it binary, as gpg --dearmor makes it")
	}
	r := packet.NewOpaqueReader(bytes.NewReader(data))
	var out []*packet.Signature
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, malformed("%v", err)
		}
		if p.Tag != tagSignature {
			return nil, malformed("a packet of type %d is in it", p.Tag)
		}
		if len(out) == maxSignatures {
			return nil, malformed("more than %d signatures", maxSignatures)
		}
		s, err := readSignature(p.Contents)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, malformed("nothing is in it")
	}
	return out, nil
}

// readSignature reads the body of a signature packet.
func readSignature(body []byte) (*packet.Signature, error) {
	if len(body) > 4 && body[0] == 4 && (body[3] == 1 || body[3] == 3) {
		return nil, &Error{Err: ErrWeakDigest}
	}
	p := packet.OpaquePacket{Tag: tagSignature, Contents: body}
	parsed, err := p.Parse()
	if err != nil {
		return nil, malformed("%v", err)
	}
	s, ok := parsed.(*packet.Signature)
	if !ok {
		return nil, malformed("it is a %T", parsed)
	}
	return s, nil
}

func issuerName(s *packet.Signature) string {
	switch {
	case len(s.IssuerFingerprint) > 0:
		return fmt.Sprintf("%X", s.IssuerFingerprint)
	case s.IssuerKeyId != nil:
		return fmt.Sprintf("%016X", *s.IssuerKeyId)
	}
	return ""
}

// exportable is the subpacket that says whether a certification is for others.
const exportable = 4

// readCertification reads the body of a signature that follows a key. Unlike
// readSignature it reads those that are for the keyring's owner alone, such as
// those of pacman-key over the masters, which the library refuses: they are
// shown to it as if they were for everybody, and it is then told what really
// was hashed.
func readCertification(body []byte) (*packet.Signature, error) {
	const head = 6 // version, type, algorithms, length of the hashed subpackets
	if len(body) < head || body[0] != 4 {
		return readSignature(body)
	}
	end := head + int(binary.BigEndian.Uint16(body[head-2:]))
	if end > len(body) {
		return readSignature(body)
	}
	shown := bytes.Clone(body)
	subpackets, err := packet.OpaqueSubpackets(shown[head:end])
	if err != nil {
		return nil, malformed("%v", err)
	}
	for _, s := range subpackets {
		if s.SubType&0x7f == exportable && len(s.Contents) == 1 {
			s.Contents[0] = 1
		}
	}
	sig, err := readSignature(shown)
	if err != nil {
		return nil, err
	}
	copy(sig.HashSuffix, body[:end])
	return sig, nil
}
