// Package iso writes trees as ISO 9660 file systems (ECMA-119, level 3) with Rock
// Ridge's names and attributes (SUSP 1.12, RRIP 1.12) that PCs boot by El Torito,
// and reads them back, and what others write: also without Rock Ridge, with
// directories that it moved, and with files that zisofs compressed.
//
// Format version 1: descriptors, path tables, directories, what does not fit into
// these, boot catalog, boot images, then the contents in the order of the tree,
// each once for all its hard links; files of 4 GiB and more are in several
// extents. Inode numbers are 1 and the inode's index. Directories may be deeper
// than ISO 9660's eight levels, as Linux, xorriso and the BSDs have it; nothing
// is relocated. Names of ISO 9660's own have up to 30 of A-Z, 0-9 and _ and, of
// files, a dot; where two would be the same, the later ends in _1, _2 and so on.
// Rock Ridge's are those of the tree. Times are in UTC and whole seconds, rounded
// down.
//
// [Layout] tells where the boot images are, so that partition tables can point to
// them: the first 32 KiB, and what [Options] reserve at the end, are left to
// such tables.
//
// What is an error that names the path: names of more than 253 bytes, which Linux
// cuts off; devices of the major number 0 and a minor one above 255, which it
// takes for others; more than 65535 directories; and, unless Options allow to
// lose them, extended attributes, and times before 1900 or after 2155. (Linux
// before 6.13 shows times after 2038 as other ones.)
package iso
