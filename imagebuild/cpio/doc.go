// Package cpio writes trees as initramfs archives, in the newc format that the
// kernel's Documentation/driver-api/early-userspace/buffer-format.rst lays down,
// and reads single archives back.
//
// Format version 1: entries are in the order of the bytes of their paths, so
// that directories come before what is in them; the root is ".", others have
// neither "./" nor "/" before them. Inode numbers count from 1 in the order of
// the inodes' smallest paths, device numbers are 0: nothing of the machine that
// writes is in them. Of hard links, the greatest path carries the content, as
// GNU cpio and the kernel have it; symbolic links carry their target at each.
// Numbers are in upper-case hexadecimal digits. Zeros fill up to 512 bytes.
//
// Times are whole seconds, rounded down. What 32 bits cannot hold is an error
// that names the path: files of 4 GiB, and times before 1970 or after 2106
// unless [Options] allow to clamp them. So are extended attributes, for which
// newc has no place, unless Options allow to drop them.
package cpio
