// Package cache is the content-addressed store on disk: files whose name is
// the SHA-256 of their bytes, the pins that keep them, and an index of the
// file names that they were known by. docs/cache.md describes the layout.
//
// The files are the truth. A blob appears by rename once its bytes have been
// hashed, and is hashed again whenever it is asked for; the index can be
// deleted at any moment. Many processes may use one cache at once, and one
// that is killed leaves nothing that a person has to clean up.
//
// The package refuses to reach the network, to decide where bytes come from,
// and to hand out a blob whose bytes are not what its name says.
package cache
