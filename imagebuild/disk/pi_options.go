package disk

import "errors"

// NoRoot is in the place of a root's file system where a card for a Raspberry
// Pi has nothing but what its firmware reads.
const NoRoot = "none"

// checkPi reports what does not fit a card for a Raspberry Pi.
func (o Options) checkPi() error {
	switch {
	case o.Boot != RaspberryPi:
		return nil
	case o.Verity:
		return errors.New("a card for a Raspberry Pi has no hash tree: nothing would guard the kernel that checks it, beside it on the card")
	case len(o.Partitions) > 0:
		return errors.New("a card for a Raspberry Pi has no other partitions than the firmware's and the root")
	}
	return nil
}

// checkNoRoot reports what does not fit a card without a root.
func (o Options) checkNoRoot() error {
	switch {
	case o.Boot != RaspberryPi:
		return errors.New("only a card for a Raspberry Pi can be without a root: boot raspberry-pi")
	case o.Verity || o.Overlay || o.Grow != nil || o.Compression != "" || o.Kernel != "" || o.Initramfs != "" || o.Cmdline != "":
		return errors.New("a card without a root has its files as they are: no verity, overlay, grow, compression, kernel, initramfs or command line can be chosen")
	case o.Size < 0 || o.Size%mebibyte != 0:
		return errors.New("the size of a card must be a multiple of 1 MiB")
	case o.Free != nil && *o.Free < 0:
		return errors.New("less than nothing cannot be free")
	case o.Free != nil && o.Size != 0:
		return errors.New("a size of the card and of what is free cannot both be given")
	}
	return nil
}
