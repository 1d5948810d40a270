// Package tar writes a tree as a tar archive, and reads archives into trees.
//
// The archive is ustar with extended headers of POSIX.1-2001 (pax) where ustar
// cannot hold a value: paths and link targets of more than 100 bytes, owners
// from 2,097,152, sizes from 8 GiB, times before 1970 or with nanoseconds, and
// extended attributes (SCHILY.xattr, as GNU tar, bsdtar, Go and container tools
// know it). Format version 1 fixes its bytes:
//
//   - Members are in the order of the bytes of their whole paths, the root, "./",
//     first. Other paths have no "./" before them, directories a "/" after them.
//   - Of hard links, the smallest path is the file, with its attributes, and the
//     others are links to it.
//   - Owners are numbers, their names empty. Times are whole seconds, rounded
//     down, unless [Nanoseconds] is asked for; there is no atime, no ctime.
//   - Extended headers are named "././@PaxHeader", with the mode 0644, the owner
//     0:0 and the time 0, and their records in the order of the keys' bytes.
//     Where a path or target in one is not UTF-8, it has hdrcharset=BINARY.
//   - Files are whole: no sparse members. Two blocks of zeros end the archive.
//   - What overlayfs keeps in trusted.overlay.* and user.overlay.* is left out,
//     since it speaks of the machine and not of the files.
//
// The writer is our own: that of Go's archive/tar may change its bytes with a
// release of Go (it names extended headers and chooses what goes into them), as
// GNU tar's do with its versions, while golden digests have to hold for ever.
// The reader stands on archive/tar, whose reading has no bytes to keep.
//
// Reading, hostile archives are refused: absolute paths, "..", links to what is
// not there, sizes and counts over a bound, members below what is no directory.
// Writing, it refuses what tar has no word for, naming the path: sockets, and
// extended attributes with "=" in their names.
package tar
