// Package target makes a root on disk out of what packages hold: the
// [distro.Target] that packages are unpacked into and that their scripts then
// run in.
//
// All names are looked up within the root, whatever links the packages bring.
// Device nodes are remembered and not made, so that an ordinary user's root is
// like root's. What was made or changed while the root was made is told by the
// clock of its own file system and gets the time of the epoch, so that it does
// not matter when that was.
//
// The package refuses to know what a package is, and to run anything.
package target
