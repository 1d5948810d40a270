package trust

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Limits on a keyring. That of Arch has 1 MB and some 500 keys.
const (
	maxBlocks  = 4096 // armored
	maxPackets = 1 << 20
	maxPacket  = 1 << 20 // bytes
)

// Tags of packets, RFC 9580, section 5.
const (
	tagSignature = 2
	tagPublicKey = 6
	tagUserID    = 13
	tagSubkey    = 14
)

// A certificate is a primary key with all that was signed about it. Its
// signatures are read and verified when they are first asked for.
type certificate struct {
	fingerprint string
	primary     *packet.PublicKey
	direct      signed
	users       []*user
	subkeys     []*subkey

	once sync.Once
	// What holds by the key's own signatures; set once.
	self selfSigned
}

// signed are the signatures that follow a packet, as they are.
type signed struct {
	raw  [][]byte
	once sync.Once
	list []*packet.Signature
}

// A user is a user ID.
type user struct {
	id string
	signed
	bound sync.Once
	self  own
	// others are certifications by others, and what takes them back, by the
	// order in the keyring.
	others []*certification
}

// A subkey is one of a certificate's subkeys.
type subkey struct {
	key *packet.PublicKey
	signed
	bound sync.Once
	self  own
}

// signatures returns those that can be read, the newest first, so that those
// that are replaced need not be verified. What this program cannot read
// vouches for nothing.
func (s *signed) signatures() []*packet.Signature {
	s.once.Do(func() {
		for _, body := range s.raw {
			if sig, err := readCertification(body); err == nil {
				s.list = append(s.list, sig)
			}
		}
		slices.SortStableFunc(s.list, func(a, b *packet.Signature) int { return b.CreationTime.Compare(a.CreationTime) })
	})
	return s.list
}

// add takes the keys of a keyring, binary or armored. Keys that this program
// cannot use are passed over with what follows them.
func (k *Keyring) add(data []byte) error {
	if !bytes.HasPrefix(data, []byte("-----BEGIN")) {
		return k.addPackets(bytes.NewReader(data))
	}
	for range maxBlocks {
		// The decoder reads ahead: it is given one block at a time.
		one, rest := cutBlock(data)
		block, err := armor.Decode(bytes.NewReader(one))
		if err != nil {
			return fmt.Errorf("the armor of the keyring is damaged: %w", err)
		}
		if block.Type != openpgp.PublicKeyType {
			return fmt.Errorf("the keyring has a %q in it", block.Type)
		}
		body, err := io.ReadAll(block.Body)
		if err != nil {
			return fmt.Errorf("the armor of the keyring is damaged: %w", err)
		}
		if err := k.addPackets(bytes.NewReader(body)); err != nil {
			return err
		}
		if data = rest; len(data) == 0 {
			return nil
		}
	}
	return fmt.Errorf("the keyring has more than %d armored blocks", maxBlocks)
}

// cutBlock returns the first armored block of data and what comes after it.
func cutBlock(data []byte) (block, rest []byte) {
	begin := []byte("-----BEGIN")
	if i := bytes.Index(data[len(begin):], begin); i >= 0 {
		return data[:len(begin)+i], data[len(begin)+i:]
	}
	return data, nil
}

func (k *Keyring) addPackets(data io.Reader) error {
	r := packet.NewOpaqueReader(data)
	var b builder
	for range maxPackets {
		p, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the keyring cannot be read: %w", err)
		}
		if len(p.Contents) > maxPacket {
			return fmt.Errorf("a packet of the keyring has %d bytes", len(p.Contents))
		}
		b.add(k, p)
	}
	return fmt.Errorf("the keyring has more than %d packets", maxPackets)
}

// A builder puts together the certificate that it reads. The same key in two
// keyrings is one certificate with what both say.
type builder struct {
	cert *certificate
	last *signed // to which signatures belong; nil for none
}

func (b *builder) add(k *Keyring, p *packet.OpaquePacket) {
	switch p.Tag {
	case tagPublicKey:
		b.cert, b.last = nil, nil
		key := readKey(p)
		if key == nil || !key.PubKeyAlgo.CanSign() {
			return
		}
		f := fingerprint(key)
		if k.certs[f] == nil {
			k.certs[f] = &certificate{fingerprint: f, primary: key}
		}
		b.cert = k.certs[f]
		b.last = &b.cert.direct
	case tagUserID:
		b.last = nil
		if b.cert != nil {
			b.last = b.cert.user(string(p.Contents))
		}
	case tagSubkey:
		b.last = nil
		if key := readKey(p); b.cert != nil && key != nil {
			b.last = b.cert.subkey(key)
		}
	case tagSignature:
		if b.last != nil {
			b.last.raw = append(b.last.raw, p.Contents)
		}
	case 12: // a note of gpg's on the packet before it
	default:
		b.last = nil
	}
}

func (c *certificate) user(id string) *signed {
	for _, u := range c.users {
		if u.id == id {
			return &u.signed
		}
	}
	u := &user{id: id}
	c.users = append(c.users, u)
	return &u.signed
}

func (c *certificate) subkey(key *packet.PublicKey) *signed {
	for _, s := range c.subkeys {
		if bytes.Equal(s.key.Fingerprint, key.Fingerprint) {
			return &s.signed
		}
	}
	s := &subkey{key: key}
	c.subkeys = append(c.subkeys, s)
	return &s.signed
}

// readKey returns nil for a key that cannot be used.
func readKey(p *packet.OpaquePacket) *packet.PublicKey {
	parsed, err := p.Parse()
	if err != nil {
		return nil
	}
	key, _ := parsed.(*packet.PublicKey)
	return key
}

func fingerprint(k *packet.PublicKey) string { return fmt.Sprintf("%X", k.Fingerprint) }
