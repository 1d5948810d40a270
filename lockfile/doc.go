// Package lockfile holds the vocabulary that everything else stands on: the
// [Digest] of a package file, the [Entry] that names one, and the [Lock] that
// lists them. It reads and writes the SHA256SUMS lock format, which
// docs/lock-format.md describes, and compares and merges locks.
//
// A lock is a file that GNU "sha256sum -c" accepts. What sha256sum does not
// need to know stands in comments that begin with "#:".
//
// The package works on readers and writers only. It refuses to open files, to
// reach the network, and to know what a package is: names, versions and
// architectures are read out of paths by the distributions, not here.
package lockfile
