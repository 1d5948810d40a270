package fat

import (
	"fmt"
	"strings"
)

// Type is a kind of FAT.
type Type int

// The types. FAT12 is read, but not written.
const (
	Auto  Type = 0 // FAT16 below 512 MiB, else FAT32
	FAT12 Type = 12
	FAT16 Type = 16
	FAT32 Type = 32
)

// String is "FAT12", "FAT16" or "FAT32", and "FAT" for Auto.
func (t Type) String() string {
	if t == Auto {
		return "FAT"
	}
	return fmt.Sprintf("FAT%d", int(t))
}

// Options are what a file system is besides its tree, and what of that may be
// lost, which is nothing in the zero value.
type Options struct {
	Type Type
	// Size is that of the whole in bytes, a multiple of 512. If it is 0, it is
	// the least that holds the tree and Free bytes of another file.
	Size, Free int64
	// ClusterSize is in bytes, a power of two from 512 to 32768. If it is 0, it
	// is the least that FAT16 may have, and for FAT32 what Microsoft advises.
	ClusterSize int
	// VolumeID is the serial number, which Linux shows as the UUID.
	VolumeID uint32
	// Label has up to 11 capital letters, digits, spaces and other characters
	// that a short name may have. Without one there is "NO NAME".
	Label string
	// Start is the partition's first byte on its disk, a multiple of 512. Only
	// boot loaders of BIOSes ask for it.
	Start int64

	DropOwners bool
	DropModes  bool
	DropXattrs bool
	DropLinks  bool // each hard link becomes a file of its own
	ClampTimes bool // to 1980-01-01 and 2107-12-31
}

const (
	sectorSize = 512
	maxCluster = 32 << 10
	maxStart   = sectorSize * (1<<32 - 1)
	labelSize  = 11
	noLabel    = "NO NAME    "
)

func (o *Options) check() error {
	switch {
	case o.Type != Auto && o.Type != FAT16 && o.Type != FAT32:
		return fmt.Errorf("no type FAT%d: 16 and 32 are possible", int(o.Type))
	case o.Size < 0 || o.Size%sectorSize != 0:
		return fmt.Errorf("a size of %d bytes: it must be a multiple of %d", o.Size, sectorSize)
	case o.Free < 0:
		return fmt.Errorf("%d free bytes", o.Free)
	case o.Size > 0 && o.Free > 0:
		return fmt.Errorf("a size and free bytes are given: only one of them may be")
	case o.ClusterSize != 0 && !validCluster(o.ClusterSize):
		return fmt.Errorf("clusters of %d bytes: it must be a power of two from %d to %d", o.ClusterSize, sectorSize, maxCluster)
	case o.Start < 0 || o.Start%sectorSize != 0 || o.Start > maxStart:
		return fmt.Errorf("a start at byte %d: it must be a multiple of %d of at most 2 TiB", o.Start, sectorSize)
	}
	return checkLabel(o.Label)
}

func validCluster(n int) bool {
	return n >= sectorSize && n <= maxCluster && n&(n-1) == 0
}

func checkLabel(label string) error {
	if len(label) > labelSize {
		return fmt.Errorf("the label %q has %d bytes: at most %d are possible", label, len(label), labelSize)
	}
	for i := range len(label) {
		if c := label[i]; c != ' ' && !isShort(c) {
			return fmt.Errorf("the label %q has %q in it: capital letters, digits, spaces and $%%'-_@~`!(){}^#& are possible", label, c)
		}
	}
	if label != strings.Trim(label, " ") {
		return fmt.Errorf("the label %q begins or ends with a space", label)
	}
	return nil
}

// paddedLabel is the label as the file system has it.
func (o *Options) paddedLabel() string {
	if o.Label == "" {
		return noLabel
	}
	return fmt.Sprintf("%-11s", o.Label)
}
