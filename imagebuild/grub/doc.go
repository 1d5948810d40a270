// Package grub makes what BIOSes start from a disk: GRUB's first sector and its
// core image, put together of the files that distributions have in
// /usr/lib/grub/i386-pc, as grub-mkimage and grub-bios-setup of GRUB 2.00 and
// later do.
//
// The first sector loads the core image from a place on the disk that it is
// told. The core image is the file diskboot.img, which loads the rest of it;
// lzma_decompress.img; and, compressed, the program kernel.img with modules, the
// commands that it runs at once, and where it looks for more of them.
//
// Format version 1: modules are in the order in which they need each other, then
// in that of their names as asked for. The compressed part is a stream of LZMA
// (of the kind that GRUB takes: lc=3, lp=0, pb=2, no header and no end mark) that
// has only literals, whose coding is so simple that it never has to change: it is
// some 40% smaller than what it holds, and no room has to be saved here.
//
// It refuses files that are not what they are called, modules that are not
// there, and core images that have no place below the memory of the video card.
// It knows of disks only where the core image begins, and nothing of the other
// platforms that GRUB runs on.
package grub
