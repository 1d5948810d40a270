// Package rpm reads the formats that are rpm's own: package files with their
// headers, digests and signatures, versions and how they compare, names of
// packages and of their files, and dependencies.
//
// A package file is a lead, a signature header, a header and a payload. The
// chain of trust is
//
//	OpenPGP signature → header → SHA-256 of the payload
//
// and [Check] follows it while the file streams by.
//
// The package refuses to choose which keys are trusted: that is its caller's
// affair. It refuses signatures and payload digests that rest on MD5 or SHA-1,
// packages that are signed only in part, headers without an immutable region
// (rpm 3 and before), and sizes and counts that no real package has. It never
// unpacks a payload and reads no database: for the latter there is go-rpmdb.
package rpm
