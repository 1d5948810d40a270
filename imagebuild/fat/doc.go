// Package fat writes trees as FAT16 and FAT32 file systems with long names, as
// Microsoft's "FAT: General Overview of On-Disk Format" 1.03 lays them down and
// the UEFI specification asks for on an EFI system partition, and reads them
// back, and FAT12 of others.
//
// Format version 1: the clusters of files and directories follow each other in
// the order of the tree, each file in one run; entries of a directory are in
// the order of their names' bytes, after "." and ".."; a name that is not
// a short one in capital letters has a long one besides. The alias of a long
// name that is a short one but for its letters' case is that name in capital
// letters; others are cut and end in ~1, ~2 and so on, in the order of the
// names, past those that are taken. There are two tables, sectors of 512 bytes
// and clusters as small as the number of them may be. Times are in UTC, rounded
// down to 2 seconds; the creation's is the same one with its hundredths, and
// the label's the root directory's.
//
// What is an error that names the path: symbolic links, devices, fifos and
// sockets; files of 4 GiB and directories of more than 2 MiB; names that are not
// UTF-8, are longer than 255 UTF-16 units, have a control character or one of
// "*/:<>?\| in them, or end in a dot or a space; names of one directory that
// differ in case only. And, unless [Options] allow to lose them, owners other
// than 0, modes other than 0755 (or 0644, of a file), extended attributes, hard
// links, and times before 1980 or after 2107. The root directory has no entry,
// so that what the tree says of it is not in the file system.
package fat
