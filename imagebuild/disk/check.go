package disk

import "fmt"

// Check reports what is wrong with the options of a disk, whatever its tree.
func (o Options) Check() error {
	filled, err := o.filled()
	if err != nil {
		return err
	}
	return filled.checkCompression()
}

// CheckISO reports what is wrong with the options of an ISO 9660 image.
func (o Options) CheckISO() error {
	filled, err := o.forISO()
	if err != nil {
		return err
	}
	return filled.checkCompression()
}

// compressions are those of the file systems, the default first.
var compressions = map[string][]string{
	NoRoot:   {"none"},
	Ext4:     {"none"},
	EROFS:    {"lz4", "none", "zstd"},
	Squashfs: {"zstd", "gzip"},
}

func (o Options) checkCompression() error {
	known := compressions[o.FileSystem]
	for _, c := range known {
		if o.Compression == "" || o.Compression == c {
			return nil
		}
	}
	return fmt.Errorf("a root that is %s cannot be compressed by %s; there are %s", o.FileSystem, o.Compression, join(known))
}

// forISO is the options of an ISO 9660 image with what is empty filled in.
func (o Options) forISO() (Options, error) {
	if o.FileSystem == "" {
		o.FileSystem = Squashfs
	}
	o.Overlay, o.medium = true, "iso9660"
	o, err := o.filled()
	if err == nil && (o.FileSystem == Ext4 || o.Size != 0 || o.Boot == RaspberryPi || o.Boot == NoLoader) {
		err = fmt.Errorf("the root of an ISO 9660 image is a squashfs or erofs, it has the size that it has, and it boots")
	}
	if err == nil && (o.BIOS || len(o.Partitions) > 0) {
		err = fmt.Errorf("an ISO 9660 image has no other partitions, and BIOSes boot it where the image has isolinux")
	}
	return o, err
}
