// Package inspect tells what is in images: those that this module writes, and
// those of others as far as the readers beside the writers go.
//
// [Open] finds out by the bytes alone what a file is, never by its name, and goes
// on inside: a qcow2 image has a disk, a disk has partitions, a partition a file
// system, an EFI system partition kernel images, and these an initramfs. Each of
// them is a [Part], with what its headers say, and with a tree of files where it
// has one. [Part.Verify] holds against what the formats have of sums and digests:
// hash trees of dm-verity against their data and against the root hash on a
// kernel's command line, blobs of an OCI layout against their descriptors.
// [Diff] compares two parts of any formats, entry by entry.
//
// All that is read is taken for hostile: counts, depths and sizes are bounded,
// and what leads out of a file, or round in a circle, is an error. A part that
// cannot be read further says why in [Part.Problem] and does not hide the others.
// Nothing is written to disk, and no content is kept in memory: it is read where
// it lies, and out of a compressed archive by reading that again.
//
// The package refuses to change anything, to decompress disks (they would have to
// be read at random), and to follow what is outside of the file, such as a
// backing file of qcow2.
package inspect
