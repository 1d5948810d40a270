// Package squashfs writes a tree as a squashfs 4.0 file system, and reads what
// it, or mksquashfs with gzip, xz, lz4 or zstd, wrote.
//
// Files are compressed in blocks by zstd or gzip, on all CPUs, into the same
// bytes whatever their number. Files of less than a block share blocks, equal
// files are stored once, and blocks of zeros not at all. Large directories have
// an index. Extended attributes of user, trusted and security are kept, as are
// 65,535 different owners and groups of 32 bits, hard links, devices and sockets.
//
// The format has times in whole seconds from 1970 to 2106: nanoseconds are lost,
// other times are refused or, if so wanted, clamped. It has no POSIX ACLs, which
// are refused or, if so wanted, dropped. It refuses devices of more than 12 bits
// of major and 20 of minor number. It does not write xz, lzma, lzo or lz4, for
// which there is no encoder or no need, and does not read lzma and lzo.
//
// The format is that of Linux' Documentation/filesystems/squashfs.rst.
package squashfs
