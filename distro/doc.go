// Package distro is the vocabulary of distributions: an installed [Package],
// the [Distro] that a family of systems implements, the [System] that a root
// directory turns out to be, and detection of which it is.
//
// Implementations live in folders beside this one (debian, alpine, …) and are
// listed in a table by whoever wires them together; the conformance suite in
// distrotest holds each of them to the contracts that are written here.
//
// The package refuses to reach the network by itself: a distribution asks for
// what it needs through [Fetcher]. It never prints and never reads the
// environment; what there is to tell goes to [Events].
package distro
