package iso

import (
	"errors"
	"fmt"
	"strings"

	"github.com/samebits/samebits/imagebuild/tree"
)

const (
	sectorSize  = 2048
	systemArea  = 16 * sectorSize
	maxSectors  = 1<<32 - 1
	maxBIOS     = 16 << 20
	minBIOS     = 64
	labelSize   = 32
	textSize    = 128
	bootSectors = 4 // of 512 bytes, that BIOSes load
)

// BootImage is what a firmware starts. It is not in the tree.
type BootImage struct {
	Content tree.Content
	Size    int64 // bytes
}

// Options are what a file system is besides its tree, and what of that may be
// lost.
type Options struct {
	// VolumeID is the label, up to 32 characters. ISO 9660 has A-Z, 0-9 and _,
	// and others of ASCII are taken as well.
	VolumeID string
	// System, VolumeSet, Publisher, Preparer and Application are texts of up to
	// 128 characters of ASCII, and System of 32.
	System, VolumeSet, Publisher, Preparer, Application string
	// Time is that of the volume; Linux shows it as the UUID.
	Time tree.Time

	// BIOS is loaded by BIOSes, its first 2048 bytes of it. With BIOSInfoTable,
	// its bytes 8 to 63 tell where it is, as isolinux and GRUB want it.
	BIOS          *BootImage
	BIOSInfoTable bool
	// UEFI is a FAT file system with \EFI\BOOT\BOOTX64.EFI or its like.
	UEFI *BootImage
	// Reserve is how many bytes are left free at the end, as for the copy of a
	// GUID partition table.
	Reserve int64

	DropXattrs bool
	ClampTimes bool // to 1900-01-01 and 2155-12-31
}

// Layout is where what is in an image, in bytes.
type Layout struct {
	Size       int64
	BIOS, UEFI tree.Extent // of no length where there is none
}

func (o *Options) check() error {
	if err := checkText("volume id", o.VolumeID, labelSize); err != nil {
		return err
	}
	for name, s := range map[string]string{"volume set": o.VolumeSet, "publisher": o.Publisher, "preparer": o.Preparer, "application": o.Application} {
		if err := checkText(name, s, textSize); err != nil {
			return err
		}
	}
	if err := checkText("system", o.System, labelSize); err != nil {
		return err
	}
	switch {
	case o.Reserve < 0:
		return errors.New("a negative number of bytes is to be reserved")
	case clamp(o.Time) != o.Time:
		return fmt.Errorf("the volume's time %s is not between 1900 and 2155", o.Time.Time())
	case o.BIOS != nil && (o.BIOS.Size < minBIOS || o.BIOS.Size > maxBIOS):
		return fmt.Errorf("a boot image for BIOSes of %d bytes: %d to %d are possible", o.BIOS.Size, minBIOS, maxBIOS)
	case o.UEFI != nil && (o.UEFI.Size <= 0 || o.UEFI.Size%512 != 0):
		return fmt.Errorf("a boot image for UEFI of %d bytes: it must be a multiple of 512", o.UEFI.Size)
	}
	return nil
}

func checkText(what, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("the %s has %d bytes: at most %d are possible", what, len(s), most)
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
		return fmt.Errorf("the %s %q has more than plain ASCII in it", what, s)
	}
	return nil
}

func sectors(n int64) int64 { return (n + sectorSize - 1) / sectorSize }
