// Package snapshot asks archives that keep every state of a distribution's
// archive, such as snapshot.debian.org and snapshot.ubuntu.com, for the states
// of the past.
//
// Such services are slow, few and shared by many. A [Client] therefore makes
// one request at a time and a bounded number of them, and refuses to go on
// beyond that. The package also refuses to trust what a service says: what its
// machine-readable interface tells is a hint where to look, and only signed
// indexes, verified by others, say what a file is.
package snapshot
