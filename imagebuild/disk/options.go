package disk

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samebits/samebits/imagebuild/secureboot"
	"github.com/samebits/samebits/imagebuild/tree"
)

// File systems of roots.
const (
	Ext4     = "ext4"
	EROFS    = "erofs"
	Squashfs = "squashfs"
)

// FileSystems are those that a root can have.
var FileSystems = []string{Ext4, EROFS, Squashfs}

// A Loader is what the firmware starts.
type Loader string

const (
	// UKI is a unified kernel image in the place of a boot loader.
	UKI Loader = "uki"
	// SystemdBoot is systemd's boot loader, with an entry for the kernel.
	SystemdBoot Loader = "systemd-boot"
	// RaspberryPi is a card for that computer, whose firmware is in a partition.
	RaspberryPi Loader = "raspberry-pi"
	// NoLoader makes a disk without an EFI system partition, to be booted with
	// a kernel from elsewhere, or not at all.
	NoLoader Loader = "none"
)

// Loaders are the kinds of them.
var Loaders = []Loader{UKI, SystemdBoot, RaspberryPi, NoLoader}

// Initramfs is where the initramfs comes from.
type Initramfs string

const (
	// OwnInitramfs is the small one of package initramfs.
	OwnInitramfs Initramfs = "own"
	// SystemInitramfs is the one that the packages' scripts made for the kernel.
	SystemInitramfs Initramfs = "system"
	// NoInitramfs leaves the root to the kernel, which then has all drivers.
	NoInitramfs Initramfs = "none"
)

// InitramfsKinds are the kinds of them.
var InitramfsKinds = []Initramfs{OwnInitramfs, SystemInitramfs, NoInitramfs}

// DefaultFree is how many bytes a root that can be written to has free, where
// neither they nor a size are given. They cost nothing in a sparse file.
const DefaultFree = 256 << 20

// Options are what a disk is besides its tree. The zero value, with Arch, is a
// disk that boots a writable ext4 root.
type Options struct {
	// Arch is the architecture, by Debian's name for it or another common one.
	Arch string
	// Time is that of file systems and of files that are made.
	Time tree.Time
	// Label names the root's file system, up to 16 bytes.
	Label string

	// FileSystem is the root's; "" is Ext4, or EROFS with Verity.
	FileSystem string
	// Compression is that of EROFS ("none", "lz4" or "zstd"; "" is "lz4") or
	// Squashfs ("zstd" or "gzip"; "" is "zstd").
	Compression string
	// DropACLs has a squashfs root go without POSIX ACLs, which it cannot hold.
	DropACLs bool
	// Verity guards the root by a hash tree, whose hash the kernel is given.
	Verity bool
	// Overlay has the initramfs put memory over the root.
	Overlay bool
	// Grow has the initramfs make an ext4 root as large as its disk; nil does so
	// where the tree has sfdisk and resize2fs, which that takes.
	Grow *bool
	// Size is that of the disk in bytes, a multiple of 1 MiB, where an ext4 root
	// takes what the rest leaves. If it is 0, the root has Free bytes free, where
	// nil is DefaultFree for an ext4 root without Verity, else 0.
	Size int64
	Free *int64

	// Boot is what the firmware starts; "" is what the tree has: UKI before
	// SystemdBoot.
	Boot Loader
	// BIOS has BIOSes start the same kernel by GRUB, which the tree has to have,
	// whatever Boot is.
	BIOS bool
	// Partitions are those of the disk besides its own, between these and the
	// root.
	Partitions []Partition
	// Kernel is the release to boot, "" the only one that the tree has.
	Kernel string
	// Initramfs is where that comes from; "" is OwnInitramfs.
	Initramfs Initramfs
	// Cmdline is what the kernel is told besides what the disk needs.
	Cmdline string
	// Signer signs what EFI firmware starts; nil for no signature. Identifiers do
	// not depend on it.
	Signer *secureboot.Signer

	medium string // that has the root as a file
}

func (o Options) free() int64 {
	switch {
	case o.Free != nil:
		return *o.Free
	case o.FileSystem == Ext4 && !o.Verity && o.Size == 0:
		return DefaultFree
	}
	return 0
}

// filled is the options with what is empty filled in, and checked.
func (o Options) filled() (Options, error) {
	if err := o.checkBIOS(); err != nil {
		return o, err
	}
	if _, err := o.parts(); err != nil {
		return o, err
	}
	if err := o.checkPi(); err != nil {
		return o, err
	}
	if o.FileSystem == NoRoot {
		return o, o.checkNoRoot()
	}
	if o.FileSystem == "" {
		o.FileSystem = Ext4
		if o.Verity {
			o.FileSystem = EROFS
		}
	}
	if o.Initramfs == "" {
		o.Initramfs = OwnInitramfs
	}
	switch {
	case !slices.Contains(FileSystems, o.FileSystem):
		return o, fmt.Errorf("%q is no file system for a root; there are %s", o.FileSystem, strings.Join(FileSystems, ", "))
	case o.Boot != "" && !slices.Contains(Loaders, o.Boot):
		return o, fmt.Errorf("%q is no way to boot; there are %s", o.Boot, join(Loaders))
	case !slices.Contains(InitramfsKinds, o.Initramfs):
		return o, fmt.Errorf("%q is no initramfs; there are %s", o.Initramfs, join(InitramfsKinds))
	case o.Size < 0 || o.Size%(1<<20) != 0:
		return o, fmt.Errorf("a disk of %d bytes: the size must be a multiple of 1 MiB", o.Size)
	case o.free() < 0:
		return o, fmt.Errorf("%d bytes cannot be free", o.free())
	case o.free() > 0 && (o.FileSystem != Ext4 || o.Verity):
		return o, fmt.Errorf("a root that is %s is not written to, so that nothing in it can be free", o.kind())
	case o.Free != nil && o.Size != 0:
		return o, errors.New("a size of the disk and of what is free cannot both be given")
	case o.Overlay && o.Initramfs != OwnInitramfs:
		return o, errors.New("an overlay is put over the root by our own initramfs only")
	case o.Grow != nil && *o.Grow && !o.mayGrow():
		return o, errors.New("only an ext4 root that is written to grows, by our own initramfs")
	case o.Verity && o.Initramfs == NoInitramfs:
		return o, errors.New("a root with a hash tree is opened by an initramfs, and there is to be none")
	case strings.ContainsAny(o.Cmdline, "\n\x00"):
		return o, errors.New("a command line of the kernel is one line")
	}
	return o, nil
}

// mayGrow reports whether the root could grow when it boots.
func (o Options) mayGrow() bool {
	return o.FileSystem == Ext4 && !o.Verity && !o.Overlay && o.Initramfs == OwnInitramfs
}

// grows reports whether the root of a tree grows when it boots.
func (o Options) grows(t *tree.Tree) bool {
	if o.Grow != nil || !o.mayGrow() {
		return o.Grow != nil && *o.Grow
	}
	return hasTool(t, "sfdisk") && hasTool(t, "resize2fs")
}

// hasTool reports whether a tree has a program where programs are.
func hasTool(t *tree.Tree, name string) bool {
	return slices.ContainsFunc([]string{"sbin/", "usr/sbin/", "usr/bin/", "bin/"}, func(dir string) bool {
		_, ok := t.File(dir + name)
		return ok
	})
}

func (o Options) kind() string {
	if o.Verity {
		return "guarded by verity"
	}
	return o.FileSystem
}

func join[T ~string](list []T) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}
