// Package apt reads apt's configuration below a root as apt itself reads it:
// apt.conf, the sources of packages, logins, pins, and which keys may sign
// what.
//
// It refuses to run apt, to read the environment, to reach the network and to
// verify anything: it says which keys a repository is trusted to be signed
// with, and others check.
package apt
