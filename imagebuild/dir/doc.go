// Package dir writes a tree into a directory of the host, and reads directories
// into trees.
//
// As root, a directory holds all that a tree has. As an ordinary user it cannot
// hold owners, devices, set-user-ID bits and most extended attributes: they are
// written as a record beside it (the tree's manifest), with which [Read] has the
// same tree back.
//
// Every name is made and opened relative to a descriptor of its directory, and
// no symbolic link is ever followed, so that neither a tree nor somebody who
// changes the directory meanwhile can have anything touched outside of it.
//
// Writing, it refuses a directory that is not empty, and a host that cannot keep
// what it must. Reading, it refuses mount points inside, and more entries than
// allowed. Times of access and change are neither read nor kept. Linux only.
package dir
