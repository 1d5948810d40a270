// Package erofs writes a tree as an EROFS file system, and reads what it wrote.
//
// Files are stored as they are, with their last bytes beside the inode where
// these fit, or compressed: by LZ4 into clusters of 4 KiB, which each Linux since
// 5.3 reads, or by zstd into larger ones, which Linux reads since 6.10. All of a
// tree is kept: times in nanoseconds, owners of 32 bits, extended attributes,
// POSIX ACLs, hard links, devices and holes. Blocks have 4 KiB.
//
// It refuses extended attributes other than those of user, trusted, security
// and POSIX ACLs, devices of more than 12 bits of major and 20 of minor number,
// and images of 16 TiB. It does not write shared attributes, fragments,
// deduplicated clusters or compact indexes, and its reader refuses them.
//
// The format is that of Linux' Documentation/filesystems/erofs.rst.
package erofs
