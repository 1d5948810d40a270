// Package apk reads what Alpine's package manager reads: signed indexes,
// packages, the database of installed packages, the list of repositories,
// dependencies and versions. It knows the formats of apk 2 (APKINDEX.tar.gz,
// packages of three gzip members, RSA signatures by key name) and of apk 3
// (ADB files, signatures by key identity).
//
// Nothing of a signed file is handed out before its signature was found good.
// In apk's world no index tells a file's digest: it tells the identity of a
// package's control segment, which in turn tells the digest of the data.
// [CheckPackage] follows that chain; whoever wants the digest of a file hashes
// the bytes that it let pass.
//
// No signature covers the stored bytes of a segment of signatures, nor how a
// file of apk 3 is compressed: there a few bits may change without effect, for
// this package as for apk itself.
//
// What comes from outside is bounded in size and count. The package refuses to
// unpack a package's files, to choose between packages, to reach for files or
// the network, and signatures by anything but RSA.
package apk
