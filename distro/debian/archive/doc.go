// Package archive reads the signed indexes of a Debian package archive: it
// checks OpenPGP signatures, reads Release and Packages files, and holds each
// to what the one above it says of it. The chain is
//
//	signature → Release → SHA-256 and size of Packages → record → SHA-256 of the .deb
//
// and nothing of a Packages file is handed out before its own SHA-256 was
// found to be the one that the Release lists.
//
// The package refuses to choose: which keys may sign, which packages are
// wanted and which of two records is better is its caller's affair. It reaches
// the network only through [distro.Fetcher], and it refuses MD5 and SHA-1
// wherever they stand.
package archive
