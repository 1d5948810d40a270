// Package tree holds the one model of a file tree that every image step takes
// and gives, and that every writer of a format sees.
//
// A [Tree] is a value: once frozen it never changes, and may be read from any
// number of goroutines. It has a root directory and any number of [Node]s, each
// a path with an [Inode]. Several paths may share one inode (hard links), of any
// type but directories.
//
// # What a writer's author can rely on
//
//   - Paths are byte strings without a leading slash; the root's is "". A name
//     has 1 to 255 bytes, none of them NUL or '/', and is neither "." nor "..".
//     Names need not be UTF-8. A whole path has at most [MaxPath] bytes.
//   - [Tree.All] goes through the nodes in the order of the bytes of the whole
//     path: "a", "a-b", "a/c". The root is first, a directory always comes
//     before what is in it, and every node's parent is there and a directory.
//     Children of one directory are in the order of the bytes of their names.
//   - [Node.Index] numbers the nodes from 0 in that order, [Node.InodeIndex]
//     numbers the inodes from 0 in the order of their smallest path. Inode
//     numbers of formats should follow from it, such as 1 + InodeIndex.
//   - [Node.First] is the smallest path of the inode: the one that carries the
//     file in a format that tells the others as links to it. [Tree.Inodes] goes
//     through these only, so that each inode is met once.
//   - [Inode] has the type and the 12 bits of the mode, 32-bit owners, one time
//     of modification in nanoseconds before and after 1970 and beyond 2038 (it
//     is the only time: formats with others repeat it), device numbers of 32
//     bits, link targets, and extended attributes in the order of their names'
//     bytes, with binary values. POSIX ACLs and capabilities are such
//     attributes, in the kernel's form.
//   - Symbolic links have the mode 0777. Only regular files have a size, a
//     content and a digest, only devices have device numbers.
//   - [Node.Open] gives a file's content and fails at its end, or before, if
//     that is not of the size and SHA-256 that the tree says. A writer that
//     passes its errors on can thus neither truncate nor pad by accident.
//     [Node.CopyTo] does that, and [ReadAhead] has small files ready before.
//   - Content may be absent, as in a tree read from a manifest: Open then fails
//     with [ErrNoContent].
//
// What a format cannot hold is an error made by [Unsupported], which names the
// path, and never left out in silence. The same tree gives the same bytes: a
// writer reads no clock, no environment, no randomness and no host, and does
// not depend on the number of CPUs. The package treetest has a tree with every
// oddity, and the suite that each writer passes.
//
// # How trees are made
//
// A [Builder] collects nodes in any order and [Builder.Freeze] checks them and
// makes the tree, hashing the contents whose digest was not given. [Overlay],
// [Filter], [Map] and [Sub] make trees of trees, and share what they do not
// change. Readers of formats (directories, tar, OCI) are in those formats'
// packages. [WriteManifest] and [ReadManifest] are a tree as text.
//
// The package refuses what no file system of Linux could have: missing parents,
// parents that are no directories, two inodes at one path, hard links to
// directories, names with NUL or slashes. It does not follow symbolic links:
// a path is the names it has.
package tree
