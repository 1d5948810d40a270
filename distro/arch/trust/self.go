package trust

import (
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// own is what a key says of one of its user IDs or subkeys, verified.
type own struct {
	newest  *packet.Signature // nil where it never said that it is its own
	revoked []*packet.Signature
}

// selfSigned is what a key says of itself, verified.
type selfSigned struct {
	revoked []*packet.Signature
	// foreign are revocations by other keys, not verified.
	foreign []*packet.Signature
	// expires is when the key does, zero for never.
	expires time.Time
	// maySign is false where the key says that it is not for signing data.
	maySign bool
}

// evaluate verifies what the certificate says of itself.
func (c *certificate) evaluate() *selfSigned {
	c.once.Do(func() { c.summarize(c.evaluateDirect()) })
	return &c.self
}

// byPrimary reports whether a signature claims to be the primary key's own and
// is not older than the key.
func (c *certificate) byPrimary(s *packet.Signature) bool {
	return s.CheckKeyIdOrFingerprint(c.primary) && !s.CreationTime.Before(c.primary.CreationTime)
}

// evaluateDirect takes the signatures over the key alone and returns the
// newest that describes it.
func (c *certificate) evaluateDirect() *packet.Signature {
	var newest *packet.Signature
	for _, s := range c.direct.signatures() {
		switch {
		case s.SigType == packet.SigTypeKeyRevocation && !s.CheckKeyIdOrFingerprint(c.primary):
			c.self.foreign = append(c.self.foreign, s)
		case !c.byPrimary(s):
		case s.SigType == packet.SigTypeKeyRevocation && c.primary.VerifyRevocationSignature(s) == nil:
			c.self.revoked = append(c.self.revoked, s)
		case s.SigType == packet.SigTypeDirectSignature && newer(s, newest) && c.primary.VerifyDirectKeySignature(s) == nil:
			newest = s
		}
	}
	return newest
}

// evaluateUser verifies what the certificate says of one of its user IDs.
func (c *certificate) evaluateUser(u *user) *own {
	u.bound.Do(func() {
		for _, s := range u.signatures() {
			revocation := s.SigType == packet.SigTypeCertificationRevocation
			switch {
			case !s.CheckKeyIdOrFingerprint(c.primary) && (revocation || certifies(s)):
				u.others = append(u.others, &certification{sig: s})
			case !c.byPrimary(s) || !revocation && (!certifies(s) || !newer(s, u.self.newest)):
			case c.primary.VerifyUserIdSignature(u.id, c.primary, s) != nil:
			case revocation:
				u.self.revoked = append(u.self.revoked, s)
			default:
				u.self.newest = s
			}
		}
	})
	return &u.self
}

// evaluateSubkey verifies what the certificate says of one of its subkeys.
func (c *certificate) evaluateSubkey(k *subkey) {
	k.bound.Do(func() {
		for _, s := range k.signatures() {
			switch {
			case !c.byPrimary(s) || s.CreationTime.Before(k.key.CreationTime):
			case s.SigType == packet.SigTypeSubkeyRevocation && c.primary.VerifySubkeyRevocationSignature(s, k.key) == nil:
				k.self.revoked = append(k.self.revoked, s)
			case s.SigType == packet.SigTypeSubkeyBinding && newer(s, k.self.newest) && c.primary.VerifyKeySignature(k.key, s) == nil:
				k.self.newest = s
			}
		}
	})
}

// summarize finds the key's expiry, use and name: in the newest signature over
// the key alone, else in the newest over a user ID that says something of it.
func (c *certificate) summarize(direct *packet.Signature) {
	lifetime, flags := direct, direct
	if direct == nil || direct.KeyLifetimeSecs == nil {
		lifetime = c.newestUser(func(s *packet.Signature) bool { return s.KeyLifetimeSecs != nil && *s.KeyLifetimeSecs != 0 })
	}
	if direct == nil || !direct.FlagsValid {
		flags = c.newestUser(func(s *packet.Signature) bool { return s.FlagsValid })
	}
	if lifetime != nil {
		c.self.expires = expiry(c.primary, lifetime)
	}
	c.self.maySign = flags == nil || flags.FlagSign
}

// newestUser returns the newest of the last words on each user ID that says
// something of the key. User IDs that cannot have it are not verified.
func (c *certificate) newestUser(says func(*packet.Signature) bool) *packet.Signature {
	var newest *packet.Signature
	for _, u := range c.users {
		if !slices.ContainsFunc(u.signatures(), func(s *packet.Signature) bool {
			return newer(s, newest) && certifies(s) && says(s) && c.byPrimary(s)
		}) {
			continue
		}
		self := c.evaluateUser(u)
		if s := self.newest; s != nil && len(self.revoked) == 0 && says(s) && newer(s, newest) {
			newest = s
		}
	}
	return newest
}

// lives reports whether the key signed any user ID of its own.
func (c *certificate) lives() bool {
	return slices.ContainsFunc(c.users, func(u *user) bool { return c.evaluateUser(u).newest != nil })
}

// name is the user ID to call the key by: the one that is marked as the
// primary one, else the newest, else any.
func (c *certificate) name() string {
	var best *user
	rank := func(u *user) int {
		switch self := c.evaluateUser(u); {
		case self.newest == nil:
			return 0
		case len(self.revoked) > 0:
			return 1
		case self.newest.IsPrimaryId != nil && *self.newest.IsPrimaryId:
			return 3
		}
		return 2
	}
	for _, u := range c.users {
		if best == nil || rank(u) > rank(best) || rank(u) == rank(best) && rank(u) > 0 && newer(u.self.newest, best.self.newest) {
			best = u
		}
	}
	if best == nil {
		return ""
	}
	return printable(best.id)
}

// expiry returns when a signature lets a key expire, zero for never.
func expiry(k *packet.PublicKey, s *packet.Signature) time.Time {
	if s.KeyLifetimeSecs == nil || *s.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return k.CreationTime.Add(time.Duration(*s.KeyLifetimeSecs) * time.Second)
}

// at says what is wrong with the primary key at a time: one of the reasons, or
// nil.
func (s *selfSigned) at(t time.Time, key *packet.PublicKey) error {
	switch {
	case t.Before(key.CreationTime):
		return ErrTooEarly
	case revokedAt(s.revoked, t):
		return ErrRevoked
	case !s.expires.IsZero() && !t.Before(s.expires):
		return ErrKeyExpired
	}
	return nil
}

// at says what is wrong with the subkey, which has been evaluated, at a time.
func (k *subkey) at(t time.Time) error {
	s := k.self.newest
	if s == nil {
		return ErrNotForSigning
	}
	expires := expiry(k.key, s)
	switch {
	case t.Before(k.key.CreationTime):
		return ErrTooEarly
	case revokedAt(k.self.revoked, t):
		return ErrRevoked
	case !expires.IsZero() && !t.Before(expires), lapsed(s, later(t, s.CreationTime)):
		return ErrKeyExpired
	}
	return nil
}

// ownsAt reports whether the key owned the user ID at a time. What it said
// last counts: a user ID can be taken up again.
func (c *certificate) ownsAt(u *user, t time.Time) bool {
	s := c.evaluateUser(u).newest
	if s == nil || lapsed(s, later(t, s.CreationTime)) {
		return false
	}
	for _, r := range u.self.revoked {
		if !r.CreationTime.Before(s.CreationTime) && (hard(r) || !r.CreationTime.After(t)) {
			return false
		}
	}
	return true
}

// revokedAt reports whether one of the revocations counts at a time.
func revokedAt(revocations []*packet.Signature, t time.Time) bool {
	for _, r := range revocations {
		if hard(r) || !r.CreationTime.After(t) {
			return true
		}
	}
	return false
}

// hard reports whether a revocation counts whatever the time, as it does where
// it gives no reason that makes it harmless for what was done before.
func hard(r *packet.Signature) bool {
	if r.RevocationReason == nil {
		return true
	}
	switch *r.RevocationReason {
	case packet.KeySuperseded, packet.KeyRetired, packet.UserIDNotValid:
		return false
	}
	return true
}

// lapsed reports whether a signature's own time is over.
func lapsed(s *packet.Signature, t time.Time) bool {
	return s.SigLifetimeSecs != nil && *s.SigLifetimeSecs != 0 &&
		!t.Before(s.CreationTime.Add(time.Duration(*s.SigLifetimeSecs)*time.Second))
}

// newer reports whether s is newer than t, which may be nil.
func newer(s, t *packet.Signature) bool { return t == nil || s.CreationTime.After(t.CreationTime) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// certifies reports whether a signature vouches for a user ID. As for gpg, one
// of which its maker says that nothing was checked does not.
func certifies(s *packet.Signature) bool {
	switch s.SigType {
	case packet.SigTypeGenericCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert:
		return true
	}
	return false
}
