// Package swap makes swap areas, as mkswap(8) does: room on a disk where Linux
// puts memory that it has no use for at the moment. Only the first page of one
// is written, in the form that the kernel calls version 1; the rest is left as
// it is.
//
// Format version 1: pages of 4096 bytes, in the byte order of the machine, which
// is little-endian here, and no bad ones. A kernel with other pages, as arm64 and
// ppc64el can have, refuses such an area.
//
// It refuses areas of fewer than 10 pages, as the kernel does, and labels of more
// than 15 bytes.
package swap
