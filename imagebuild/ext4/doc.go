// Package ext4 writes trees as ext4 file systems, as the documentation of
// Linux, filesystems/ext4, lays them down, and reads them back.
//
// Format version 1: blocks of 4096 bytes, inodes of 256, groups of 128 MiB whose
// bitmaps and inode tables are together for 16 of them; the tree's inodes are
// numbered from 12 on in its order, and their blocks follow each other in that
// order behind the journal's. Directories of more than one block are hashed by
// half MD4 of unsigned characters, with full leaves. Blocks of zeros are holes.
// All four times of an inode are the tree's one. There are checksums over all
// metadata. Growing, also while mounted, is by the feature meta_bg.
//
// A file system has a directory lost+found in its root, or e2fsck complains: it is
// made where the tree has none, as inode 11, of mode 0700 and of Options.Time.
// Read leaves such a one out while it is empty.
//
// What is an error that names the path: times before 1901-12-13 or after
// 2446-05-10; more than 65,000 links of a file; device numbers of more than 12
// bits (major) and 20 bits (minor); attributes that are not in the namespaces
// user, trusted and security and no POSIX ACLs, or do not fit into the inode
// and one block; a lost+found that is no directory; files of 16 TiB.
package ext4
