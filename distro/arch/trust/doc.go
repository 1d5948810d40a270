// Package trust judges signatures by pacman's own rule: a packager's key is
// trusted when enough of the distribution's master keys have certified a user
// ID of it. The keys come from the keyring package of a distribution
// ([Load]) or from what pacman-key has made of it ([LoadGnuPG]).
//
// The rule is that of GnuPG's web of trust, taken at the time at which a
// signature says that it was made, so that what was signed properly stays so
// when keys expire later:
//
//   - Three certifications by marginally trusted masters are enough, or one by
//     a fully trusted one. A master that the keyring names is valid by itself,
//     as if pacman-key had signed it.
//   - A key that the keyring lists as revoked is refused whatever the time; so
//     is one whose own revocation gives no reason or says that the key was
//     compromised. A revocation as superseded or retired counts from its time.
//   - The expiry of keys and subkeys is judged at the time of the signature.
//     A certification counts if its master was in order when it was made, or
//     when the signature was made, whichever is later: one that was renewed
//     vouches for what the key did before as well.
//   - Data signatures by MD5, SHA-1 and RIPEMD-160 are refused, and as by
//     GnuPG certifications by SHA-1 since 2019-01-19. A signature that has an
//     expiry of its own is refused once that has passed.
//
// The time of a signature is the signer's word: who has a key can date a
// signature back. That is why the revocation of a compromised key has no time.
//
// The package refuses to fetch keys, to ask gpg and to change a keyring. It
// reads binary signatures, as pacman's databases and .sig files have them, and
// refuses armored ones, as repo-add does.
package trust
