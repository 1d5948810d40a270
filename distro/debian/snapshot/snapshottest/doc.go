// Package snapshottest imitates a snapshot service on the loopback interface
// for tests: signed suites of several dates, made with the real gpg and
// apt-ftparchive, served in the layout of snapshot.debian.org.
//
// It refuses to be a faithful copy of the service: it has what the tests of
// this project ask for, and its bad moods.
package snapshottest
