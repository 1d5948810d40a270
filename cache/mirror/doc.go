// Package mirror is the team mirror: an http.Handler over the cache that
// serves the archives of distributions to their own package managers, fetching
// each file from upstream once and keeping what was named by a signature.
// docs/mirror.md describes what it keeps on disk.
//
// An archive is served by a URL prefix, to clients that use the mirror as
// their HTTP proxy, and at any time that was frozen below /snapshot/. Metadata
// is taken in sets: a signed root, such as Debian's InRelease, and all that it
// names. A set becomes visible at once and whole. A package is held to the set
// that names it: while it streams in for the first time its last bytes are
// kept back until its digest is known to be right.
//
// The package refuses to be an open proxy, to change or to sign metadata, to
// serve as good what it could not check against a set (such files pass through
// and are not kept), and to read the environment or print: the caller gives it
// a Config.
package mirror
