// Package disk makes of an image's tree a disk that boots, or a part of one:
// the file system of its root, the unified kernel image that it boots from, or
// kernel, initramfs and command line as files of their own. It decides what is
// where and leaves the bytes to the packages of the formats.
//
// Format version 1: a GUID partition table with an EFI system partition; where
// BIOSes are to boot it, one with GRUB's core image; those that are asked for
// besides; the root and, where it is guarded, the root's hash tree. They are in
// this order, each on a border of 1 MiB, with the types that the Discoverable
// Partitions Specification has for the architecture. All identifiers follow from
// the tree and the options, those of a guarded root from its hash, as that
// specification wants.
//
// A card for a Raspberry Pi has a master boot record instead, a FAT32 partition
// with all that the firmware reads and 128 MiB free, and the root, each on a
// border of 4 MiB; docs/raspberry-pi.md tells more.
//
// All that boots is taken from the tree: the kernel with its modules, the EFI
// stub or boot loader of systemd, GRUB, busybox for the initramfs. What is missing
// there is an error that tells the packages to lock. It signs nothing, and what
// the root ought to know of its disk it finds out when it boots. One thing is
// changed in the root: where partitions are asked for, their contents are taken
// out of it, and etc/fstab gets lines that mount them.
package disk
