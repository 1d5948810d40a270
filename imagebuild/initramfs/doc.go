// Package initramfs finds the kernel in an image's tree, and makes the small
// initramfs that a disk of ours boots with: a tree of its own, for the writer
// of cpio archives, of nothing but what the image has.
//
// It holds busybox, the modules that the root is reached by with those that
// they need, veritysetup where a hash tree guards the root, sfdisk and
// resize2fs where the root grows with its disk, what these are linked with, and
// a script. The script loads the modules, waits for the partition or file system
// that root= on the kernel's command line names, opens the hash tree of
// roothash=…, mounts the root and starts its init. docs/initramfs.md tells the
// words of the command line that it understands.
//
// It refuses kernels that it is not told to take where there are several, and
// images that lack what the root is mounted with: a driver that is neither a
// module nor built in, busybox, veritysetup, sfdisk. Programs, libraries and
// modules are read with bounds on their sizes, and whatever is malformed in them
// is an error that names the file. It runs nothing, and knows no network, no
// encryption and no volume groups: who needs those takes the distribution's own
// initramfs.
package initramfs
