package trust

import (
	"crypto"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// sha1End is since when GnuPG lets no certification rest on SHA-1.
var sha1End = time.Date(2019, 1, 19, 0, 0, 0, 0, time.UTC)

// A certification is a signature of one key over a user ID of another, or what
// takes it back. Whether it verifies does not depend on the time and is found
// out once.
type certification struct {
	sig  *packet.Signature
	once sync.Once
	by   *certificate // nil where it does not verify
}

// verify returns the certificate whose primary key made the certification of
// the user ID of c, or nil.
func (v *certification) verify(k *Keyring, c *certificate, id string) *certificate {
	v.once.Do(func() {
		if v.sig.Hash == crypto.SHA1 && !v.sig.CreationTime.Before(sha1End) {
			return
		}
		if by := k.issuer(v.sig); by != nil && by.primary.VerifyUserIdSignature(id, c.primary, v.sig) == nil {
			v.by = by
		}
	})
	return v.by
}

// issuer returns the certificate whose primary key a signature names, or nil.
func (k *Keyring) issuer(s *packet.Signature) *certificate {
	if s.IssuerKeyId == nil {
		return nil
	}
	for _, m := range k.keys[*s.IssuerKeyId] {
		if m.subkey < 0 && s.CheckKeyIdOrFingerprint(m.cert.primary) {
			return m.cert
		}
	}
	return nil
}

// A vote is how many masters vouch for a key.
type vote struct {
	marginal, full int
	user           string // the user ID for which most do, "" where none is asked
}

func (k *Keyring) enough(v vote) bool { return v.full >= k.completes || v.marginal >= k.marginals }

// state says what is wrong with a certificate at a time: its primary key's own
// state, and revocations that others made.
func (k *Keyring) state(c *certificate, t time.Time) error {
	self := c.evaluate()
	if k.revoked[c.fingerprint] {
		return ErrRevoked
	}
	for _, r := range self.foreign {
		if k.revokedBy(c, r) && (hard(r) || !r.CreationTime.After(t)) {
			return ErrRevoked
		}
	}
	return self.at(t, c.primary)
}

// revokedBy reports whether a key of the keyring made the revocation of c.
// Whether c appointed it is not asked: to be refused wrongly is the smaller
// harm.
func (k *Keyring) revokedBy(c *certificate, r *packet.Signature) bool {
	by := k.issuer(r)
	if by == nil {
		return false
	}
	h, err := r.PrepareVerify()
	if err != nil || c.primary.SerializeForHash(h) != nil {
		return false
	}
	return by.primary.VerifySignature(h, r) == nil
}

// trusted counts who vouches for c at a time, as far as it takes to know that
// they are enough. Depth is the length of the way from what is to be judged.
func (k *Keyring) trusted(c *certificate, t time.Time, depth int) (vote, bool) {
	if k.valid[c.fingerprint] || k.trustAll {
		return vote{}, true
	}
	var best vote
	for _, u := range c.users {
		if depth >= maxDepth || !c.ownsAt(u, t) {
			continue
		}
		v := k.count(c, u, t, depth)
		if k.enough(v) {
			return v, true
		}
		if v.marginal+v.full > best.marginal+best.full {
			best = v
		}
	}
	return best, false
}

// count counts the masters that vouch for a user ID of c.
func (k *Keyring) count(c *certificate, u *user, t time.Time, depth int) vote {
	v := vote{user: printable(u.id)}
	seen := map[*certificate]bool{}
	for _, o := range u.others {
		if o.sig.SigType == packet.SigTypeCertificationRevocation {
			continue
		}
		// Most keys that certified others have no say: they are passed over
		// before anything is verified.
		by := k.issuer(o.sig)
		if by == nil || by == c || seen[by] || k.owner[by.fingerprint] < trustMarginal {
			continue
		}
		if o.verify(k, c, u.id) == nil || !k.stands(o, c, u, t, depth) {
			continue
		}
		seen[by] = true
		if k.owner[by.fingerprint] == trustMarginal {
			v.marginal++
		} else {
			v.full++
		}
		if k.enough(v) {
			break
		}
	}
	return v
}

// stands reports whether a certification, which verifies, counts at a time, or
// when it was made if that was later: its maker was in order and trusted, it
// had not expired, nor was it replaced or taken back.
func (k *Keyring) stands(o *certification, c *certificate, u *user, t time.Time, depth int) bool {
	made := o.sig.CreationTime
	t = later(t, made)
	if made.Before(c.primary.CreationTime) || lapsed(o.sig, t) || k.state(o.by, t) != nil {
		return false
	}
	for _, p := range u.others {
		then := p.sig.CreationTime
		revocation := p.sig.SigType == packet.SigTypeCertificationRevocation
		switch {
		case p == o || then.Before(made) || k.issuer(p.sig) != o.by:
		case !revocation && (then.Equal(made) || then.After(t)):
		case revocation && then.After(t) && !hard(p.sig):
		case p.verify(k, c, u.id) != nil:
			return false
		}
	}
	_, ok := k.trusted(o.by, t, depth+1)
	return ok
}
