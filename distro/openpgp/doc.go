// Package openpgp judges OpenPGP signatures (RFC 9580) over the files of a
// package archive: its indexes and its packages. It reads keyrings and
// signatures, binary or armored, and has one policy for all archives whose
// keys are trusted alike:
//
//   - one good signature by a key of the keyring is enough, and signatures by
//     other keys do not count, but one that does not fit the bytes is too many
//     where a key of the keyring is said to have made it;
//   - a key that may sign, and has not expired at the time that the caller
//     asks about or, for what is of the past, at the time of the signature;
//   - no key that is revoked, whatever the time and the reason, nor one whose
//     owner or subkey is.
//
// It refuses signatures that rest on MD5 or SHA-1, and more keys or signatures
// than any archive has. It does not choose whose keys are trusted, nor weigh
// who vouches for whom: that a pacman keyring's web of trust asks for another
// judge is why distro/arch/trust is one of its own. Archives differ in what
// they let a file of signatures have; a [Form] says it.
package openpgp
