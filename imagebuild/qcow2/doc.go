// Package qcow2 writes raw disks as images of QEMU's format qcow2, version 3, as
// QEMU's docs/interop/qcow2.txt has it, and reads such images.
//
// Format version 1: clusters of 64 KiB; the header, the first table, the data in
// the order of the disk, then the second tables, and the counts of references.
// Clusters of zeros are not in the image. Compressed ones follow each other
// without gaps; one that does not get smaller stays as it is. The bytes depend
// on the disk and the compression alone, not on where its holes are told to be
// nor on the number of CPUs.
//
// It knows no backing files, snapshots, encryption or external data: an image
// that is read and has one of them is refused, as is what features it does not
// know.
package qcow2

import (
	"errors"
	"fmt"
)

// Compression is how clusters are made smaller.
type Compression int

// The kinds of compression. QEMU knows zstd since 5.1.
const (
	None    Compression = -1
	Deflate Compression = 0
	Zstd    Compression = 1
)

// Options are how an image is written. The zero value compresses with deflate,
// which every version of QEMU can read; a disk that is to be written to is
// faster with None.
type Options struct {
	Compression Compression
}

const (
	magic        = "QFI\xfb"
	version      = 3
	clusterBits  = 16
	clusterSize  = 1 << clusterBits
	headerLength = 112
	sectorSize   = 512
	refcountBits = 4 // as a power of two: counts have 16 bits
	perRefBlock  = clusterSize / 2
	perL2        = clusterSize / 8

	copied      = 1 << 63 // the count of references is one
	compressed  = 1 << 62
	zeroCluster = 1
	hostMask    = 0x00FFFFFFFFFFFE00

	compressionType = 1 << 3 // an incompatible feature: the type is not 0

	// maxSize is what a first table of 32 MiB, QEMU's limit, can address.
	maxSize = 32 << 20 / 8 * perL2 * clusterSize
)

func (o *Options) check(size int64) error {
	switch {
	case size <= 0 || size%sectorSize != 0 || size > maxSize:
		return fmt.Errorf("a disk of %d bytes: it must be a multiple of %d of at most %d", size, sectorSize, int64(maxSize))
	case o.Compression < None || o.Compression > Zstd:
		return errors.New("no such compression")
	}
	return nil
}

func up(n, to int64) int64 { return (n + to - 1) / to * to }
