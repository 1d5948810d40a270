// Package target makes a root on disk out of what packages hold: the
// [distro.Target] that packages are unpacked into and that their scripts then
// run in.
//
// All names are looked up within the root, whatever links the packages bring.
// Device nodes are remembered and not made, so that an ordinary user's root is
// like root's. It remembers the time of every file as its package had it, so
// that what scripts changed can be told from what they left alone without
// trust in the clock.
//
// The package refuses to know what a package is, and to run anything.
package target
